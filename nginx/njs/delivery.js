// What viewers got: media responses by the source of their bytes and by how they ended, and how long they took
// compared with the film. njs/metrics.js shows the sums. It imports nothing, as most responses run it.

// One of so many short hits is counted, for all of them: snippets/delivery.conf.
const SHORT_HITS = 16;
// Shorter responses say little about how fast a connection is.
const MIN_TIMED_BYTES = 262144;
// Shares of the time for which the bytes of a response play.
const RATIO_BOUNDS = [0.1, 0.25, 0.5, 0.8, 1, 1.25, 2, 5];

// Seconds until a block that was not cached begins.
const COLD_BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

// Add a response to the sums. Returns an empty string, as this is called for a variable.
function record(r) {
    const v = r.variables, counters = ngx.shared.counters, bytes = Number(v.body_bytes_sent);
    const source = sourceOf(v), outcome = outcomeOf(v), weight = v.is_short_hit ? SHORT_HITS : 1;
    counters.incr(`responses ${source} ${outcome}`, weight, 0);
    counters.incr(`bytes ${source}`, bytes * weight, 0);
    if (bytes >= MIN_TIMED_BYTES && outcome === 'complete') recordRatio(v, bytes);
    return '';
}

// Return "hit", "peer", "miss", "wait" (for a block that another request fetched), "bypass", or "none".
function sourceOf(v) {
    const cache = v.sent_http_x_cache;
    if (cache === 'HIT') return 'hit';
    if (!cache) return 'none'; // refused by this edge itself
    if (cache === 'MISS' && ngx.shared.waits.delete(v.request_id)) return 'wait';
    return cache.toLowerCase();
}

function outcomeOf(v) {
    const status = Number(v.status);
    if (status >= 500) return 'failed';
    if (status >= 400) return 'refused';
    return v.request_completion === 'OK' ? 'complete' : 'cut_short';
}

// The film's bit rate comes with each block: service/http/bit_rate.py.
function recordRatio(v, bytes) {
    const bitRate = Number(v.upstream_http_x_bit_rate);
    if (bitRate > 0) observe('ratio', Number(v.request_time) / (bytes * 8 / bitRate), RATIO_BOUNDS);
}

// Add the time since `started`, in ms since the epoch, after which a block begins that this request fetched
// ("miss"), or waited for ("wait").
function recordCold(source, started) {
    observe(`cold ${source}`, (Date.now() - started) / 1000, COLD_BOUNDS);
}

// Add a value to a histogram: to its sum, and to the number of values between two bounds.
function observe(name, value, bounds) {
    const bucket = bounds.findIndex((bound) => value <= bound);
    ngx.shared.counters.incr(`${name} ${bucket < 0 ? bounds.length : bucket}`, 1, 0);
    ngx.shared.counters.incr(`${name} sum`, value, 0);
}

export default { COLD_BOUNDS, RATIO_BOUNDS, record, recordCold };
