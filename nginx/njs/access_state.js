// What this edge knows of access control: the key, from a file, and the rest from the service.
//
// ngx.shared.access has the rules (access_rules.js), and the credential of this edge's own requests. The rules are not
// known before the service answers, or if the service does not accept the credential.

import accessRules from './access_rules.js';
import crypto from 'crypto';
import fs from 'fs';
import token from './access_token.js';

// The service's last answer, in the volume of the cached blocks: an edge that restarts while the service is away
// goes on as before. If the volume is lost, so are the blocks.
const REMEMBERED = '/var/cache/nginx/access.json';
// Milliseconds between two complaints about the same wrong setting.
const COMPLAINT_INTERVAL = 60000;
// The header by which this edge passes on the user that a proxy names: snippets/forwarded-headers.conf.
const USER_HEADER = 'x-reelay-user';

// Read the key, and ask the service: every few seconds (snippets/access.conf).
async function refresh(periodic) {
    const v = periodic.variables, known = ngx.shared.access;
    const key = readKey(v);
    const credential = key ? token.derivedKey(key, 'edge') : '';
    if (known.get('credential') !== credential) known.set('credential', credential);
    if (!known.has('rules')) applyRemembered(key);
    let reply, text;
    try {
        reply = await ngx.fetch(`http://${v.service_address}/_access`, {
            headers: credential ? { 'X-Reelay-Edge': credential } : {},
        });
        text = await reply.text();
    } catch (error) {
        return; // the service is away: nothing can have changed that this edge could learn
    }
    if (reply.status === 200) {
        if (apply(key, text)) remember(text);
    } else if (reply.status === 401) {
        forget();
        complain(key
            ? 'the service does not accept the key of this edge: REELAY_KEY has to be the same for both'
            : 'the service has access control, and this edge has no key: set REELAY_KEY for both, or mount'
                + ' the folder of REELAY_STATE at /var/lib/reelay');
    } else if (reply.status === 404 && !key) {
        apply(key, '{"access": false}'); // a service of an older version, during an update
    }
}

// Return the master key in hexadecimal digits, '' if there is none.
function readKey(v) {
    if (v.given_key) return v.given_key;
    let text;
    try {
        text = fs.readFileSync(v.key_file, 'utf8').trim();
    } catch (error) {
        // No access control yet. A file that this edge may not read is a mistake.
        if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') complain(`the key cannot be read: ${error}`);
        return '';
    }
    if (/^[0-9a-f]{64}(?!\n)$/.test(text)) return text;
    complain(`${v.key_file}: should have 64 hexadecimal digits`);
    return '';
}

// Use an answer of the service. Return whether it is new.
function apply(key, text) {
    const known = ngx.shared.access;
    const applied = crypto.createHash('sha256').update(`${key} ${text}`).digest('hex');
    if (known.get('applied') === applied && known.has('rules')) return false;
    try {
        const answer = JSON.parse(text);
        if (answer.access === false) {
            known.set('rules', accessRules.OPEN);
        } else {
            if (!key) return false;
            applyChecked(key, answer);
        }
        known.set('applied', applied);
        return true;
    } catch (error) { // not such an answer, or more tokens were taken back than there is room for
        forget();
        complain(`${error}`);
        return false;
    }
}

function applyChecked(key, answer) {
    const known = ngx.shared.access, revoked = ngx.shared.revoked;
    Object.keys(answer.revoked).forEach((id) => revoked.set(id, 'yes'));
    revoked.keys(1000000).forEach((id) => {
        if (answer.revoked[id] === undefined) revoked.delete(id);
    });
    const header = (answer.auth_header || '').toLowerCase();
    const links = token.derivedKey(key, 'links');
    const sessions = token.derivedKey(key, `sessions ${Number(answer.generation)}`);
    known.set('rules', accessRules.checked(header === USER_HEADER, links, sessions));
    if (header && header !== USER_HEADER) {
        complain('REELAY_AUTH_HEADER of the service has to be X-Reelay-User behind an edge, or viewers may send it;'
            + ' name the proxy\'s header in REELAY_AUTH_HEADER of the edge');
    }
}

// Know nothing: the service answers all requests, and checks them. What was remembered is wrong as well, and would be
// used again before the next answer.
function forget() {
    ngx.shared.access.delete('rules');
    ngx.shared.access.delete('applied');
    try {
        fs.unlinkSync(REMEMBERED);
    } catch (error) {
        // there is none
    }
}

function remember(text) {
    try {
        fs.writeFileSync(`${REMEMBERED}.new`, text);
        fs.renameSync(`${REMEMBERED}.new`, REMEMBERED);
    } catch (error) {
        ngx.log(ngx.WARN, `${REMEMBERED}: ${error}`); // the disk is full
    }
}

// Use the last answer before this start, unless a key has come or gone since.
function applyRemembered(key) {
    let text;
    try {
        text = fs.readFileSync(REMEMBERED, 'utf8');
        if (JSON.parse(text).access !== Boolean(key)) return;
    } catch (error) {
        return; // there is none
    }
    apply(key, text);
}

function complain(message) {
    const known = ngx.shared.access, now = Date.now();
    if (now - Number(known.get(`complained ${message}`) || 0) < COMPLAINT_INTERVAL) return;
    known.set(`complained ${message}`, String(now));
    ngx.log(ngx.ERR, `access control: ${message}`);
}

export default { refresh };
