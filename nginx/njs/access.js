// Whether a request may be answered from the cache: by a share link, a session, or a proxy's word. Any other
// request goes to the service, which checks it again and says what is wrong.

import accessRules from './access_rules.js';
import requestTarget from './request_target.js';
import token from './access_token.js';

function isRevoked(id) {
    return ngx.shared.revoked.has(id);
}

// Return what a token says that was signed with a key, null for any other text. A player sends the same token with each
// request, and to verify it takes longer than all else here. So the last one of a connection is kept by the connection's
// number: only its own viewer could learn something from the time of the comparison. Connections of proxies have many
// viewers, and each request of HTTP/3 has a number of its own. The length is kept as well: a text may contain a line
// feed, and would otherwise end within what another token says.
function verified(r, text, key) {
    const v = r.variables, kept = ngx.shared.verified;
    const connection = v.from_proxy || r.httpVersion === '3.0' ? '' : v.connection;
    const last = connection && kept.get(connection), begin = `${key} ${text.length} ${text}\n`;
    if (last && last.startsWith(begin)) return token.parse(last.slice(begin.length));
    const found = token.verify(text, key);
    if (found !== null && connection) kept.set(connection, begin + token.format(found));
    return found;
}

// Return what a token says if it is valid now, else null.
function valid(r, text, key) {
    const found = verified(r, text, key);
    return found && token.state(found, Math.floor(Date.now() / 1000), isRevoked) === 'valid' ? found : null;
}

// Return whether the viewer may read the file that a request for media names. Where viewers are checked, tell
// shared caches not to keep the response.
function mayRead(r) {
    const v = r.variables, rules = accessRules.current();
    if (rules === accessRules.OPEN) return !v.share_token;
    if (rules === undefined) return false;
    v.cache_visibility = 'private';
    if (v.share_token) return linkOpens(r, v.share_token, accessRules.linksKey(rules));
    if (v.proxy_user && accessRules.believesProxies(rules)) return true;
    const cookie = v.session_cookie;
    const session = cookie ? valid(r, cookie, accessRules.sessionsKey(rules)) : null;
    return session !== null && token.isSession(session);
}

function linkOpens(r, text, key) {
    const link = valid(r, text, key);
    if (link === null || !token.isLink(link)) return false;
    if (requestTarget.isDownload(r) && !link.downloads) return false;
    return token.opens(link.subject, r.uri.slice(requestTarget.routePrefix(r).length + 1));
}

export default { mayRead };
