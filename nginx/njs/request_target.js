// The parts of a media request's target: route prefix, path, and the pinned revision or the sound.

// njs matches by PCRE, whose $ also matches before a line feed at the end of a text; (?!\n) excludes that.

// The grammar of service/protocol/revisions.py, for each route. /media/ also serves layouts that differ
// from the file (service/representations/); /download/ only serves the file's own bytes.
const REVISION = {
    '/media': /^[0-9a-f]{1,16}-[0-9a-f]{1,64}(?:-f[0-9]{1,3}|-[chms][0-9a-f]{16})?(?:-a[1-9][0-9]{0,2})?(?!\n)$/,
    '/download': /^[0-9a-f]{1,16}-[0-9a-f]{1,64}(?!\n)$/,
};
// The number of a sound, as in service/served/sounds.py.
const SOUND = /^sound=[1-9][0-9]{0,2}(?!\n)$/;
const TO_ESCAPE = /[^A-Za-z0-9/._~-]/;

// Characters of an escaped path. A path on Linux has at most 4,096 bytes (PATH_MAX), and escaping
// triples each. A longer one would not fit into large_client_header_buffers of the internal servers.
const MAX_PATH_LENGTH = 3 * 4096;

// Return "/media" or "/download".
function routePrefix(r) {
    return r.uri.slice(0, r.uri.indexOf('/', 1));
}

function isDownload(r) {
    return r.uri.startsWith('/download/');
}

// Return the path after the route prefix, each character escaped in one way only: so every spelling of
// a name is the same cache key and the same request to the service. Throws if the path is not UTF-8.
function escapedPath(r) {
    const path = r.uri.slice(r.uri.indexOf('/', 1));
    return TO_ESCAPE.test(path) ? path.split('/').map(encodeURIComponent).join('/') : path;
}

// Return the request's target as it is sent to the service: media paths in their one spelling, below the prefix of
// the share link if there is one.
function normalizedTarget(r) {
    const v = r.variables;
    if (!r.uri.startsWith('/media/') && !isDownload(r)) return v.request_uri;
    try {
        const prefix = v.share_token ? `/s/${encodeURIComponent(v.share_token)}` : '';
        return prefix + routePrefix(r) + escapedPath(r) + (v.args ? `?${v.args}` : '');
    } catch (error) {
        return v.request_uri; // not UTF-8
    }
}

// Return the sound that the query of /media/ names, as "&sound=2"; '' if it names none.
function soundQuery(r) {
    const query = r.variables.args;
    return query && !isDownload(r) && SOUND.test(query) ? `&${query}` : '';
}

// Return the revision that the query pins, '' if there is none or a sound, null if the query is anything else.
function pinnedRevision(r) {
    const query = r.variables.args;
    if (query && query.startsWith('v=')) {
        const text = query.slice(2);
        return REVISION[routePrefix(r)].test(text) ? text : null;
    }
    return !query || soundQuery(r) ? '' : null;
}

export default {
    MAX_PATH_LENGTH, escapedPath, isDownload, normalizedTarget, pinnedRevision, routePrefix, soundQuery,
};
