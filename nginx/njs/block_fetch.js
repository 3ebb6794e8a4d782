// What happens on a cache miss: fetch the block once, however many requests wait for it.
//
// nginx cannot take back a response that it has begun. So a response begins when its block is in the cache,
// whole, and no viewer notices if a replica dies. One of the requests that miss a block fetches it, by a
// HEAD subrequest: nginx then asks the service with GET and writes the cache, but keeps no body and needs no
// client, so that a viewer who leaves does not waste the transfer. If the replica dies, the next one is
// asked. The other requests look again after 20 ms, then less and less often (proxy_cache_lock would take
// 500 ms each time). The price: the first byte of a cold block waits for its last. docs/benchmarks.md says what
// smaller parts would cost ("Cold blocks").
//
// A block that cannot be stored is refused with 503, and the service answers the request itself. If it were streamed
// instead and broke off, a joined response would go on with the next block.
//
// With REELAY_CACHE_MIN_USES=2 a block is kept in memory at first (memory_cache.js). If it is fetched again, after it
// was removed there, it is kept on disk. So what a crowd requests at the same time is fetched once, and what is watched
// once is not written.
//
// If another edge owns the block, it is asked once, and the service at once if it does not give the block.
// Either way the block goes into peer_cache, which is small and forgets within minutes, so that an owner that
// comes back has its blocks to itself again.

import blockOwner from './block_owner.js';
import delivery from './delivery.js';
import diskSpace from './disk_space.js';
import fetchLimit from './fetch_limit.js';
import memoryCache from './memory_cache.js';
import metrics from './metrics.js';
import retry from './retry.js';

// Milliseconds that a request waits for a block that another one fetches.
const MAX_WAIT = 60000;
// Milliseconds for which waiting requests learn how a fetch ended, so that all of them go on at once.
const RESULT_TTL = 1000;
// Milliseconds for which a block that cannot be stored is not fetched into the cache.
const UNCACHEABLE_TTL = 5000;
// A block that arrives so often without being in the cache afterwards cannot be stored.
const MAX_UNSTORED = 5;
// Nor can a block of which so many tries in a row were cut short.
const MAX_CUT_SHORT = 4;

// States of a block in ngx.shared.in_flight.
const FETCHING = 'fetching', CACHED = 'cached', CACHED_FROM_PEER = 'cached from peer';
const UNCACHEABLE = 'uncacheable', FAILED = 'failed';

// Put a block into the cache, or wait until another request has, and answer with it; 503 if it cannot be had.
async function fetchBlock(r) {
    const v = r.variables, inFlight = ngx.shared.in_flight, started = Date.now();
    v.block_owner = r.headersIn['X-Block-Owner'] || '';
    const block = `${v.request_uri}|${r.headersIn['Range']}`, disk = v.block_owner ? 'peer_cache' : 'blocks';
    const key = `${disk} ${block}`, attempts = { block, cutShort: 0, unstored: 0 };
    if (mayBeInMemory(v, key, block)) {
        answerFromMemory(r);
        return;
    }
    let waited = false, allowed = false;
    for (let tries = 0; ;) {
        const state = inFlight.get(key);
        if (state === CACHED || state === CACHED_FROM_PEER) {
            if (waited) {
                ngx.shared.waits.set(v.forwarded_request_id, 1);
                delivery.recordCold('wait', started);
                v.cache_zone = blockOwner.isInMemory(v, block) ? 'memory' : disk;
                answerFromCache(r, state === CACHED_FROM_PEER ? 'PEER' : '');
                return;
            }
            inFlight.delete(key); // this request has just missed it, so it is no longer cached
            continue;
        }
        if (state === undefined) v.cache_zone = zoneToFill(v, key, disk);
        if (isGivenUp(v, state, Date.now() - started)) break;
        if (state !== undefined || !inFlight.add(key, FETCHING)) {
            waited = true;
            await retry.sleep(Math.min(20 + (Date.now() - started) / 10, 500));
            continue;
        }
        if (!allowed && !fetchLimit.mayFetch(r)) {
            inFlight.delete(key);
            metrics.count('over_limit');
            break;
        }
        allowed = true;
        const result = await fetchOnce(r, key, attempts);
        if (result === 'cached') {
            if (v.cache_min_uses > 1) ngx.shared.uses.incr(key, 1, 0);
            delivery.recordCold('miss', started);
            answerFromCache(r, v.block_source);
            return;
        }
        if (result === 'refused') break;
        if (result === 'unavailable') {
            if (Date.now() - started > retry.RETRY_TIMEOUT) {
                inFlight.set(key, FAILED, RESULT_TTL);
                break;
            }
            await retry.sleep(retry.backoff(tries++));
        }
    }
    if (allowed) memoryCache.forget(block);
    r.return(503);
}

// Return whether a block that this request has not found may be in memory now: it was fetched meanwhile.
function mayBeInMemory(v, key, block) {
    if (v.cache_min_uses === '1' || v.missed_in_memory || ngx.shared.in_flight.get(key) === FETCHING) return false;
    return ngx.shared.in_memory.has(block);
}

function answerFromMemory(r) {
    const v = r.variables;
    v.missed_in_memory = '1'; // if it is not there, this request comes back
    v.cache_zone = 'memory';
    answerFromCache(r, 'HIT');
}

// Return the cache that is to keep a block: the one on disk if it has been fetched before (REELAY_CACHE_MIN_USES), or if
// there is no room in memory.
function zoneToFill(v, key, disk) {
    const least = Number(v.cache_min_uses);
    if (least === 1) return disk;
    if (least === 0) return 'memory';
    return (ngx.shared.uses.get(key) || 0) + 1 < least && !diskSpace.isFull('memory') ? 'memory' : disk;
}

function isGivenUp(v, state, elapsed) {
    if (state === UNCACHEABLE || diskSpace.isFull(v.cache_zone) || elapsed > MAX_WAIT) return true;
    return state === FAILED && elapsed > retry.RETRY_TIMEOUT;
}

function answerFromCache(r, source) {
    r.variables.block_source = source;
    r.internalRedirect('@cached');
}

// Fetch the block once. Return "cached"; "again" to look whether it is cached now; "unavailable" if no
// replica answers; "refused" if there is no such block.
async function fetchOnce(r, key, attempts) {
    const v = r.variables, inFlight = ngx.shared.in_flight;
    if (v.cache_zone === 'memory') memoryCache.add(v, attempts.block);
    else memoryCache.forget(attempts.block);
    const reply = await r.subrequest('/_fetch', { method: 'HEAD' });
    inFlight.delete(key);
    const status = reply.headersOut['X-Store-Status'];
    if (v.block_owner && status !== '206') {
        metrics.count('refused');
        if (status === '502') blockOwner.markOwnerDown(v);
        v.block_owner = '';
        return 'again';
    }
    if (status === undefined) {
        if (reply.status < 500) return 'refused'; // by nginx itself: not a valid request
        await recordCutShort(v, key, attempts);
        return 'again';
    }
    if (status !== '206') return Number(status) < 500 ? 'refused' : 'unavailable';
    if (reply.headersOut['X-Cache'] === 'HIT') {
        if (v.cache_zone === 'memory') memoryCache.add(v, attempts.block); // many others may have begun since
        inFlight.set(key, v.block_source ? CACHED_FROM_PEER : CACHED, RESULT_TTL);
        return 'cached';
    }
    metrics.count(v.block_owner ? 'edge' : 'service');
    v.block_source = v.block_owner && reply.headersOut['X-Peer-Cache'] === 'HIT' ? 'PEER' : '';
    // It arrived; it is stored if the next try is a HIT. A file that changed a moment ago is not stored,
    // and a block that does not stay is not fetched forever.
    attempts.unstored += 1;
    const cacheable = reply.headersOut['X-Cacheable'] === 'yes';
    if (!cacheable || attempts.unstored > MAX_UNSTORED) inFlight.set(key, UNCACHEABLE, UNCACHEABLE_TTL);
    return 'again';
}

// The transfer was cut short: the replica died, the file changed or cannot be read, or the disk is full. The
// file may be the reason, so a full disk is never concluded from this, but tested.
async function recordCutShort(v, key, attempts) {
    attempts.cutShort += 1;
    if (!await hasRoom(v)) diskSpace.markFull(v.cache_zone);
    else if (attempts.cutShort > MAX_CUT_SHORT) ngx.shared.in_flight.set(key, UNCACHEABLE, UNCACHEABLE_TTL);
}

// Blocks that left the cache in memory take room there while viewers are getting them. So the others make room.
async function hasRoom(v) {
    if (await diskSpace.hasRoom(v)) return true;
    if (v.cache_zone !== 'memory') return false;
    memoryCache.empty(v);
    return diskSpace.canStore(v);
}

export default { fetchBlock };
