// Who may read, as one text in ngx.shared.access: a request looks it up once. The text is "open", or "checked" with the
// keys of links and sessions, 64 hexadecimal digits each. It is missing while it is not known.

const OPEN = 'open';

function checked(believesProxies, linksKey, sessionsKey) {
    return `checked${believesProxies ? '+' : '-'}${linksKey}${sessionsKey}`;
}

function current() {
    return ngx.shared.access.get('rules');
}

// Return whether users are believed that a trusted proxy names.
function believesProxies(rules) {
    return rules[7] === '+';
}

function linksKey(rules) {
    return rules.slice(8, 72);
}

function sessionsKey(rules) {
    return rules.slice(72);
}

export default { OPEN, believesProxies, checked, current, linksKey, sessionsKey };
