// A limit on blocks that one address has the edge fetch and does not take: GCRA (ITU-T I.371).
//
// Without it, a client that requests one byte of each block makes the edge write 4 MiB for each, and
// pushes the blocks of all others out of the cache. A viewer who seeks leaves at most one block each time.

// Blocks that an address may leave at once, and then one for each 100 requests that it may make
// (REELAY_REQUESTS_PER_CLIENT): one block a second by default.
const MAX_BLOCKS_LEFT = 64;
const REQUESTS_PER_BLOCK_LEFT = 100;

// As cache_lookup.js writes it: the first byte's position of a block.
const BLOCK_RANGE = /^bytes=(\d{1,15})-(\d{0,15})(?!\n)$/;

// Return the milliseconds after which an address may leave so many bytes more.
function timeFor(v, bytes) {
    return bytes / Number(v.block_size) * 1000 * REQUESTS_PER_BLOCK_LEFT / Number(v.client_rate);
}

// Return the time in ms at which all that an address has left would be allowed.
function allowedAt(client) {
    return Math.max(ngx.shared.fetch_limits.get(client) || 0, Date.now());
}

function isOverLimit(v, client) {
    return allowedAt(client) - Date.now() > timeFor(v, MAX_BLOCKS_LEFT * Number(v.block_size));
}

function refund(v, client, bytes) {
    const limits = ngx.shared.fetch_limits;
    if (limits.has(client)) limits.incr(client, -timeFor(v, bytes));
}

// Return whether the block that a request is for is the first one of the viewer's response.
function isFirstBlock(r) {
    const range = BLOCK_RANGE.exec(r.headersIn['Range'] || '');
    return range !== null && range[1] === (r.headersIn['X-Fetch-Charge'] || '').split(' ')[0];
}

// Return whether a block may be fetched for this request's viewer. If so, charge it to the viewer's
// address, and refund the block charged before for the same response, as that one has been sent. Only the
// first block of a response can be refused: a response that has begun is not cut off.
function mayFetch(r) {
    const v = r.variables, charges = ngx.shared.fetch_charges, id = v.forwarded_request_id;
    const charge = (r.headersIn['X-Fetch-Charge'] || '').split(' '), client = charge[2];
    const range = BLOCK_RANGE.exec(r.headersIn['Range'] || '');
    if (!client || range === null) return true;
    const begin = Number(range[1]), end = Math.min(begin + Number(v.block_size), Number(charge[1]));
    if (isFirstBlock(r) && isOverLimit(v, client)) return false;
    const before = charges.get(id);
    if (before) refund(v, client, Number(before.split(' ')[1]) - Number(before.split(' ')[0]));
    ngx.shared.fetch_limits.set(client, allowedAt(client) + timeFor(v, Math.max(end - begin, 0)));
    charges.set(id, `${begin} ${end}`);
    return true;
}

// Refund, at the end of a response, what the viewer took of the last block charged. Returns an empty
// string, as this is called for a variable.
function refundTaken(r) {
    const v = r.variables, charged = ngx.shared.fetch_charges.get(v.request_id);
    if (!charged) return '';
    ngx.shared.fetch_charges.delete(v.request_id);
    const block = charged.split(' ').map(Number), first = Number(v.first_byte);
    const end = Math.min(first + Number(v.body_bytes_sent), block[1]);
    refund(v, v.fetch_limit_key, Math.max(end - Math.max(first, block[0]), 0));
    return '';
}

export default { isOverLimit, mayFetch, refundTaken };
