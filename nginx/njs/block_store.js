// Storing a block in the cache, from its owner or from the service.

// Fetch one block for block_fetch.js and let nginx write it to the cache. This is a request of its own: if
// a block ends early or cannot be written, nginx ends the request that the subrequest belongs to, which then
// gives no response.
async function storeBlock(r) {
    const owner = r.headersIn['X-Block-Owner'] || '';
    r.variables.block_owner = owner;
    const reply = await r.subrequest(owner ? '/_store_from_peer' : '/_store', { method: 'HEAD' });
    r.headersOut['X-Store-Status'] = `${reply.status}`;
    // Whether the owner had it cached.
    r.headersOut['X-Peer-Cache'] = owner ? reply.headersOut['X-Cache'] : '';
    // Set here, as add_header has no effect on subrequests.
    r.headersOut['X-Cache'] = reply.variables.upstream_cache_status;
    // "no" for a file that was changed a moment ago: service/protocol/plan.py.
    r.headersOut['X-Cacheable'] = /immutable/.test(reply.headersOut['Cache-Control']) ? 'yes' : 'no';
    r.return(204);
}

export default { storeBlock };
