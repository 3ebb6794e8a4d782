// Whether a request may be answered from the cache: by a share link, a session, or a proxy's word. Any other
// request goes to the service, which checks it again and says what is wrong.

import crypto from 'crypto';
import requestTarget from './request_target.js';
import token from './access_token.js';

const SESSION = /(?:^|;\s*)__Host-reelay=([^;\s]*)/;

function isRevoked(id) {
    return ngx.shared.revoked.has(id);
}

// Return what a token says that was signed with a key, null for any other text. A player sends the same token with each
// request. Those verified are found by a hash with the key in it: nobody else can predict the hash, so the time of a
// search tells nothing of the token.
function verified(text, key) {
    const name = crypto.createHash('sha256').update(key).update(text).digest('base64url');
    const tokens = ngx.shared.verified, known = tokens.get(name);
    if (known !== undefined) return JSON.parse(known);
    const found = token.verify(text, key);
    if (found !== null) tokens.set(name, JSON.stringify(found));
    return found;
}

// Return what a token says if it is valid now, else null.
function valid(text, keyName) {
    const found = verified(text, ngx.shared.access.get(keyName));
    return found && token.state(found, Math.floor(Date.now() / 1000), isRevoked) === 'valid' ? found : null;
}

// Return whether the viewer may read the file that a request for media names. Where viewers are checked, tell
// shared caches not to keep the response.
function mayRead(r) {
    const v = r.variables, known = ngx.shared.access, mode = known.get('mode');
    if (mode === 'open') return !v.share_token;
    if (mode !== 'checked') return false;
    v.cache_visibility = 'private';
    if (v.share_token) return linkOpens(r, v.share_token);
    if (v.proxy_user && known.get('believes_proxies')) return true;
    const cookie = SESSION.exec(r.headersIn['Cookie'] || '');
    const session = cookie && valid(cookie[1], 'sessions');
    return session !== null && token.isSession(session);
}

function linkOpens(r, text) {
    const link = valid(text, 'links');
    if (link === null || !token.isLink(link)) return false;
    if (requestTarget.isDownload(r) && !link.downloads) return false;
    return token.opens(link.subject, r.uri.slice(requestTarget.routePrefix(r).length + 1));
}

export default { mayRead };
