// What the edge may answer from its cache, and under which name.
// Law: a request is taken apart here only if the answer can be exact; for anything else this says
// "service", and the request is passed on as it is, but for the spelling of its path.

// One range, first byte given, at most 15 digits: 2^53 is the last number that is exact here.
const RANGE = /^bytes=(\d{1,15})-(\d{0,15})$/;
const REVISION = /^[0-9a-f]+-[0-9a-f]+$/;
const SAFE_IN_FALLBACK = /^[A-Za-z0-9 !#$&'()+,;=@^_`{}~.[\]-]$/;
const CONDITIONS = ['If-Match', 'If-None-Match', 'If-Modified-Since', 'If-Unmodified-Since'];

// The path without its door, each character escaped in one way, so that every spelling of a name is
// one name in the cache and in the request to the service.
function path(r) {
    return r.uri.replace(/^\/(media|download)/, '').split('/').map(encodeURIComponent).join('/');
}

// The revision that the client pins, '' where it pins none, null where its query says something else.
function pin(r) {
    const query = r.variables.args;
    if (!query) return '';
    const text = query.startsWith('v=') ? query.slice(2) : '';
    return REVISION.test(text) ? text : null;
}

function pinned(r) {
    return pin(r) || '';
}

// The span to ask for, in a Range header's words, and whether it is a whole block; null where the
// service has to answer. Called when $current, the revision now, has been asked for.
function plan(r) {
    const headers = r.headersIn, asked = pin(r), revision = asked || r.variables.current;
    // An empty file ("0-...") has no block.
    if (r.method !== 'GET' || asked === null || !revision || revision.startsWith('0-')) return null;
    if (CONDITIONS.some((name) => headers[name] !== undefined)) return null;
    // RFC 9110 13.1.5: a condition that holds changes nothing; of any other the service knows more.
    if (headers['If-Range'] !== undefined && headers['If-Range'] !== `"${revision}"`) return null;
    if (headers['Range'] === undefined) return { whole: false, span: '' };
    const match = RANGE.exec(headers['Range']);
    if (match === null) return null;
    const first = Number(match[1]), open = match[2] === '';
    if (!open && Number(match[2]) < first) return null;
    if (r.uri.startsWith('/download/')) return { whole: false, span: headers['Range'] };
    const block = Number(r.variables.block_size);
    const end = (Math.floor(first / block) + 1) * block - 1;
    const last = open ? end : Math.min(Number(match[2]), end);
    return { whole: first % block === 0 && last === end, span: `bytes=${first}-${last}` };
}

// Where a request for bytes goes: the service, the cache of blocks, or the cutter in front of it.
function dispatch(r) {
    let answer = null;
    try {
        answer = plan(r);
    } catch (error) {
        // What cannot even be read as text here is the service's.
    }
    r.variables.revision = (answer && (pin(r) || r.variables.current)) || '';
    r.variables.span = answer ? answer.span : '';
    r.internalRedirect(answer === null ? '@service' : answer.whole ? '@block' : '@cut');
}

// Content-Disposition of a download, in the service's words: service/protocol/disposition.py.
function disposition(r) {
    if (!r.uri.startsWith('/download/')) return '';
    const name = r.uri.slice(r.uri.lastIndexOf('/') + 1);
    const fallback = Array.from(name, (c) => SAFE_IN_FALLBACK.test(c) ? c : '_').join('');
    // RFC 8187 3.2.1, attr-char: encodeURIComponent escapes some of it, and not all that is outside.
    const encoded = encodeURIComponent(name)
        .replace(/['()*]/g, (c) => '%' + c.charCodeAt(0).toString(16).toUpperCase())
        .replace(/%(23|24|26|2B|5E|60|7C)/g, decodeURIComponent);
    return `attachment; filename="${fallback}"; filename*=UTF-8''${encoded}`;
}

// The edge's own metrics in Prometheus' text format.
async function metrics(r) {
    const status = await r.subrequest('/stub_status');
    const counts = status.responseText.match(/(\d+) (\d+) (\d+)/); // accepted, handled, requests
    const v = r.variables;
    r.headersOut['Content-Type'] = 'text/plain; version=0.0.4';
    r.return(200, [
        '# TYPE reelay_edge_connections_accepted_total counter',
        `reelay_edge_connections_accepted_total ${counts[1]}`,
        '# TYPE reelay_edge_connections_handled_total counter',
        `reelay_edge_connections_handled_total ${counts[2]}`,
        '# TYPE reelay_edge_requests_total counter',
        `reelay_edge_requests_total ${counts[3]}`,
        '# TYPE reelay_edge_connections gauge',
        `reelay_edge_connections{state="active"} ${v.connections_active}`,
        `reelay_edge_connections{state="reading"} ${v.connections_reading}`,
        `reelay_edge_connections{state="writing"} ${v.connections_writing}`,
        `reelay_edge_connections{state="waiting"} ${v.connections_waiting}`,
        '',
    ].join('\n'));
}

export default { path, pinned, dispatch, disposition, metrics };
