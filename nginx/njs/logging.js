// Which answers get a line in the log.

// A second, of one address: so many lines of answers that no rate limit bounds.
const MOST_OWN_LINES = 10;

// What the service or the cache had part in has passed the limits on requests, and always gets one.
// Redirects and refusals are the edge's own and bounded by none: a client gets tens of thousands a
// second, and must not fill a disk with them.
function isLogged(r) {
    const v = r.variables;
    if (v.upstream_addr || v.upstream_cache_status) return '1';
    // A count for each second: one that is counted on does not time out.
    const second = Math.floor(Date.now() / 1000);
    const lines = ngx.shared.own_lines.incr(`${v.client} ${second}`, 1, 0);
    return lines <= MOST_OWN_LINES ? '1' : '';
}

export default { isLogged };
