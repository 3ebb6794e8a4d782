// The Content-Disposition of a download: the same text as service/protocol/disposition.py writes.

const SAFE_IN_FALLBACK = /^[A-Za-z0-9 !#$&'()+,;=@^_`{}~.[\]-]$/;

// Return the field's value. Throws if the name is not UTF-8.
function format(r) {
    const name = r.uri.slice(r.uri.lastIndexOf('/') + 1);
    const fallback = Array.from(name, (c) => SAFE_IN_FALLBACK.test(c) ? c : '_').join('');
    // RFC 8187 3.2.1: encodeURIComponent leaves some characters that are not attr-char, and escapes
    // some that are.
    const encoded = encodeURIComponent(name)
        .replace(/['()*]/g, (c) => '%' + c.charCodeAt(0).toString(16).toUpperCase())
        .replace(/%(23|24|26|2B|5E|60|7C)/g, decodeURIComponent);
    return `attachment; filename="${fallback}"; filename*=UTF-8''${encoded}`;
}

export default { format };
