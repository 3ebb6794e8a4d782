"""Content-Disposition for a file of any name (RFC 6266, RFC 8187).

The edge writes the same text for cached responses: `nginx/njs/content_disposition.js`."""

import re
from urllib.parse import quote

# RFC 6266 appendix D: a quoted fallback should hold neither percent signs nor escapes.
_UNSAFE_IN_FALLBACK = re.compile(r"[^A-Za-z0-9 !#$&'()+,;=@^_`{}~.\[\]-]")
_ATTR_CHAR = "!#$&+-.^_`|~"  # RFC 8187 §3.2.1, besides letters and digits


def attachment(name: str) -> str:
    """Return a header value to save under `name`, with an ASCII fallback for old clients."""
    fallback = _UNSAFE_IN_FALLBACK.sub("_", name)
    return f"attachment; filename=\"{fallback}\"; filename*=UTF-8''{quote(name, safe=_ATTR_CHAR)}"
