// Judges the tokens and scopes of tests/support/access_vectors.json as the edge does.
import fs from 'fs';
import token from '/etc/nginx/njs/access_token.js';

function tokenResult(vectors, entry) {
    const key = vectors.derived[entry.kind === 'links' ? 'links' : `sessions ${vectors.generation}`];
    const found = token.verify(entry.token, key);
    const isKind = entry.kind === 'links' ? token.isLink : token.isSession;
    if (found === null || !isKind(found)) return { result: 'invalid' };
    const result = token.state(found, vectors.now, (id) => vectors.revoked[id] !== undefined);
    if (result !== 'valid') return { result };
    const flags = found.downloads ? '-' : 'd';
    return { result, expiry: found.expiry, id: found.id, flags, subject: found.subject };
}

function judge(r) {
    const vectors = JSON.parse(fs.readFileSync('/judge/access_vectors.json', 'utf8'));
    const derived = {};
    Object.keys(vectors.derived).forEach((label) => {
        derived[label] = token.derivedKey(vectors.master, label);
    });
    r.return(200, JSON.stringify({
        derived,
        tokens: vectors.tokens.map((entry) => tokenResult(vectors, entry)),
        scopes: vectors.scopes.map((entry) => token.opens(entry.subject, entry.path)),
    }));
}

export default { judge };
