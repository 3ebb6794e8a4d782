// Which responses get a line in the access log.

// Lines a second and address for responses that no rate limit bounds.
const MAX_EDGE_LINES = 10;

// Responses of the service or the cache have passed the request limits and always get a line. Redirects
// and refusals are the edge's own and not limited: a client gets tens of thousands a second, which must
// not fill a disk with lines.
function isLogged(r) {
    const v = r.variables;
    if (v.upstream_addr || v.upstream_cache_status) return '1';
    // A counter for each second: one that is still being counted would not time out.
    const second = Math.floor(Date.now() / 1000);
    const lines = ngx.shared.edge_lines.incr(`${v.client} ${second}`, 1, 0);
    return lines <= MAX_EDGE_LINES ? '1' : '';
}

export default { isLogged };
