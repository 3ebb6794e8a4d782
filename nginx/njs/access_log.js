// Which of the edge's own responses get a line in the access log: snippets/access-log.conf.

// Lines a second and address.
const MAX_LINES = 10;

// No rate limit bounds redirects and refusals: a client gets tens of thousands a second, which must not fill a disk
// with lines.
function mayLogOwnResponse(r) {
    // A counter for each second: one that is still being counted would not time out.
    const second = Math.floor(Date.now() / 1000);
    const lines = ngx.shared.edge_lines.incr(`${r.variables.client} ${second}`, 1, 0);
    return lines <= MAX_LINES ? '1' : '';
}

export default { mayLogOwnResponse };
