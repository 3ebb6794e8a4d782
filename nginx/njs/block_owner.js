// Which of several edges keeps a block (its owner), and in which cache this edge looks for it.

import crypto from 'crypto';

// Return the upstream of the edge that owns a block, '' if that is this edge. Rendezvous hashing (Thaler
// and Ravishankar, 1998): of the edges that answer, the owner has the highest digest of its name with the
// block's, so that all edges find the same one. If an edge goes, only its own blocks get another owner, in
// equal shares; if one comes, it takes an equal share from each.
function blockOwner(v, key) {
    let highest = '', owner = '';
    v.edges.split(',').forEach((edge, number) => {
        const isSelf = edge === v.this_edge;
        if (!isSelf && ngx.shared.down_peers.has(edge)) return;
        const digest = crypto.createHash('md5').update(`${edge} ${key}`).digest('hex');
        if (digest > highest) {
            highest = digest;
            owner = isSelf ? '' : `edge_${number}`;
        }
    });
    return owner;
}

// Set $block_owner and $cache_zone. Blocks of other edges have a small cache of their own: a crowd's block
// is fetched from its owner once, and displaces none of the blocks that this edge owns.
function chooseCache(v, key) {
    v.block_owner = blockOwner(v, key);
    v.cache_zone = v.block_owner ? 'peer_cache' : 'blocks';
}

// Return the cache in which the slicer or the reader looks for a block.
function sliceCacheZone(r) {
    const v = r.variables;
    chooseCache(v, `${v.request_uri}|${v.slice_range || v.block_range}`);
    return v.cache_zone;
}

function peers(v) {
    return v.edges ? v.edges.split(',').filter((edge) => edge !== v.this_edge) : [];
}

// Check which peers answer: a peer that does not must not be waited for.
async function checkPeers(periodic) {
    const down = ngx.shared.down_peers;
    await Promise.all(peers(periodic.variables).map(async (edge) => {
        try {
            const reply = await ngx.fetch(`http://${edge}/healthz`);
            if (reply.ok) down.delete(edge);
            else down.set(edge, 'yes');
        } catch (error) {
            down.set(edge, 'yes');
        }
    }));
}

// Treat the current owner as down until it answers the next check.
function markOwnerDown(v) {
    ngx.shared.down_peers.set(v.edges.split(',')[Number(v.block_owner.slice('edge_'.length))], 'yes');
}

export default { checkPeers, chooseCache, markOwnerDown, peers, sliceCacheZone };
