// Whether each part of a joined response has been sent whole: snippets/response-part.conf.

import retry from './retry.js';

// Milliseconds that the next part waits until it is known how the one before ended.
const MAX_WAIT = 2000;
// Milliseconds for which a broken part is remembered: a slow client takes minutes to reach its end.
const BROKEN_TTL = 600000;

// Return the key of the part that a server is sending for a response.
function partKey(v) {
    return `${v.forwarded_request_id} ${v.server_addr}`;
}

// Return '1' unless the part before this one is known to have been sent whole. Records that this one begins.
function isPartPending(r) {
    return ngx.shared.response_parts.add(partKey(r.variables), 'sending') ? '' : '1';
}

// Wait until the part before has been sent whole: another worker may be about to record it. If it broke
// off, or its worker has died, fail, so that the response ends.
async function waitForPart(r) {
    const parts = ngx.shared.response_parts, key = partKey(r.variables), started = Date.now();
    while (parts.get(key) !== 'broken' && Date.now() - started < MAX_WAIT) {
        await retry.sleep(20);
        if (parts.add(key, 'sending')) {
            r.internalRedirect('@part');
            return;
        }
    }
    r.return(500);
}

// Record how a part ended. Returns an empty string, as this is called for a variable.
function recordPart(r) {
    const v = r.variables, parts = ngx.shared.response_parts, length = v.sent_http_content_length;
    const begun = v.status === '200' || v.status === '206';
    if (begun && (v.request_completion !== 'OK' || v.body_bytes_sent !== length)) {
        parts.set(partKey(v), 'broken', BROKEN_TTL);
    } else {
        parts.delete(partKey(v));
    }
    return '';
}

export default { isPartPending, recordPart, waitForPart };
