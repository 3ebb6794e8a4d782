"""The kinds of stored artefacts and the names that they are stored under."""

import hashlib
from json.encoder import encode_basestring_ascii

LARGE_KINDS = ("copied", "sound")
"""Kinds with a large file, which is written by a worker and never whole in memory."""

KINDS = (
    "metadata",
    "layout",
    "remux",
    "fragments",
    "poster",
    "jpeg",
    "captions",
    "storyboard",
    *LARGE_KINDS,
)

# Increase the number of a kind when the result of reading or building it changes. What an earlier
# release stored is then no longer found, and it is deleted when room is needed.
_FORMAT = "2"
_FORMATS = {
    "metadata": "7",
    "poster": "4",
    "captions": "6",
    "storyboard": "4",
    "remux": "5",
    "sound": "3",
}

Key = tuple[str, str]
"""Kind and name."""


def artefact_name(kind: str, *parts: str) -> str:
    """Return 32 hexadecimal digits, the same on every replica for the same kind and parts."""
    texts = map(encode_basestring_ascii, (_FORMATS.get(kind, _FORMAT), kind, *parts))
    text = f"[{', '.join(texts)}]"  # as json.dumps() writes a list, in a third of the time
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
