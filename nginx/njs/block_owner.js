// Which of several edges keeps a block (its owner), and in which cache this edge looks for it: on disk or in memory.

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

// Set $block_owner, and $cache_zone to the cache that has the block, if any has.
function chooseCache(v, key) {
    v.block_owner = v.edges ? blockOwner(v, key) : '';
    v.cache_zone = zoneOf(v, key);
}

// Return the cache that has a block, if any has. Blocks of other edges have a small cache of their own on disk: a
// crowd's block is fetched from its owner once, and displaces none of the blocks that this edge owns.
function zoneOf(v, key) {
    if (isInMemory(v, key)) return 'memory';
    return v.block_owner ? 'peer_cache' : 'blocks';
}

// Return whether a block is kept in memory (REELAY_CACHE_MIN_USES), if it is kept at all.
function isInMemory(v, key) {
    const uses = v.cache_min_uses;
    return uses === '0' || uses !== '1' && ngx.shared.in_memory.has(key);
}

// Return the cache in which the slicer or the reader looks for a block.
function sliceCacheZone(r) {
    const v = r.variables;
    chooseCache(v, `${v.request_uri}|${v.slice_range || v.block_range}`);
    return v.cache_zone;
}

// Return the cache in which this edge looks for a block of its own that another edge requests.
function ownCacheZone(r) {
    const v = r.variables;
    return zoneOf(v, `${v.request_uri}|${v.block_range}`);
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

export default { checkPeers, chooseCache, isInMemory, markOwnerDown, ownCacheZone, peers, sliceCacheZone };
