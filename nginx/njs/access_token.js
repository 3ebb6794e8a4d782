// Tokens of share links and of sessions: the grammar, the MAC and the scope, as in service/access/tokens.py and
// service/access/grants.py. Both are tested by tests/support/access_vectors.json.

import constantTime from './constant_time.js';
import crypto from 'crypto';

// njs matches by PCRE, whose $ also matches before a line feed at the end of a text; (?!\n) excludes that.
const TOKEN = /^1\.(0|[1-9][0-9]{0,10})\.([A-Za-z0-9_-]{16})\.([d-])\.([A-Za-z0-9_-]{2,5462})\.([A-Za-z0-9_-]{43})(?!\n)$/;
const MAC_LENGTH = 43;
// Bytes of a subject: a path on Linux has at most 4,096 bytes with the final NUL (PATH_MAX).
const MAX_SUBJECT = 4096;

function hmac(key, text) {
    return crypto.createHmac('sha256', key).update(text);
}

// Return the key for one purpose, in hexadecimal digits, from the master key in hexadecimal digits.
function derivedKey(master, label) {
    return hmac(Buffer.from(master, 'hex'), label).digest('hex');
}

// Return what a token says that was signed with the key, which is in hexadecimal digits; null for any other text.
function verify(text, hexKey) {
    const match = TOKEN.exec(text);
    if (match === null) return null;
    const key = Buffer.from(hexKey, 'hex');
    const mac = hmac(key, text.slice(0, -MAC_LENGTH - 1)).digest('base64url');
    // The texts are compared, not the decoded bytes: only one text of a MAC is accepted.
    if (!constantTime.isEqual(key, mac, match[5])) return null;
    const subject = decodedSubject(match[4]);
    if (subject === null) return null;
    return { expiry: Number(match[1]), id: match[2], downloads: match[3] === '-', subject };
}

// Return a subject's text; null if it is too long, not UTF-8, or not the only encoding of its bytes.
function decodedSubject(encoded) {
    const bytes = Buffer.from(encoded, 'base64url');
    if (bytes.length > MAX_SUBJECT || bytes.toString('base64url') !== encoded) return null;
    try {
        return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch (error) {
        return null;
    }
}

// Return what a token says as a text: the expiry in 11 digits, the identity in 16 characters, whether downloads are
// allowed ("-", else "d"), and the subject.
function format(token) {
    return `${String(token.expiry).padStart(11, '0')}${token.id}${token.downloads ? '-' : 'd'}${token.subject}`;
}

function parse(text) {
    const expiry = Number(text.slice(0, 11));
    return { expiry, id: text.slice(11, 27), downloads: text[27] === '-', subject: text.slice(28) };
}

// Return whether a token is of a link: its subject names a video or a folder.
function isLink(token) {
    return token.subject.startsWith('f') || (token.subject.startsWith('v') && token.subject.length > 1);
}

// Return whether a token is of a session: its subject names who signed in.
function isSession(token) {
    return token.subject.startsWith('s');
}

// Return "valid", "expired" or "revoked"; `now` is in Unix seconds.
function state(token, now, isRevoked) {
    if (token.expiry !== 0 && token.expiry < now) return 'expired';
    return isRevoked(token.id) ? 'revoked' : 'valid';
}

// Return whether a link's subject names a file, whose path is decoded and relative to the library.
function opens(subject, path) {
    const parts = `/${path}/`;
    if (parts.includes('//') || parts.includes('/./') || parts.includes('/../')) return false; // no file has such a path
    const scope = subject.slice(1);
    if (subject.startsWith('v')) return path === scope;
    return subject.startsWith('f') && (scope === '' || path.startsWith(`${scope}/`));
}

export default { derivedKey, format, isLink, isSession, opens, parse, state, verify };
