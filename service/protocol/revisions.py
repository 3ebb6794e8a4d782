"""The grammar of revisions, which name versions of files in the service and the edge.

revision = size "-" version [ layout ] [ sound ]
size     = 1*16 lower-case hexadecimal digits: the bytes of the file
version  = 1*64 lower-case hexadecimal digits: its modification time, or a digest
layout   = "-f" 1*3 decimal digits: bytes that are made of the file (`mp4/fast_start_layout.py`)
         / "-m" 16 lower-case hexadecimal digits: a header with this digest, and the file
         / "-h" 16 lower-case hexadecimal digits: fragments with headers of this digest. If they
           are of an MP4 with sound that was made, the first two are as after "-s"
         / "-s" 16 lower-case hexadecimal digits: a header and sound, and the file. The first two
           are the number of the sound that it was made of, 0 if that is the default one; the
           others are a digest
         / "-c" 16 lower-case hexadecimal digits: an MP4 with this digest, made of the file
sound    = "-a" 1*3 decimal digits, the first not 0: this sound of an MP4 as its first one
"""

import hashlib
import re
from collections.abc import Iterable

FILE_REVISION = "[0-9a-f]{1,16}-[0-9a-f]{1,64}"
"""The revision of a file's own bytes, a regular expression as in `nginx/njs/request_target.js`."""

REVISION = FILE_REVISION + "(?:-f[0-9]{1,3}|-[chms][0-9a-f]{16})?(?:-a[1-9][0-9]{0,2})?"
"""The revision of any bytes. `nginx/njs/request_target.js` and `media-cache.conf` have both."""


def file_revision(size: int, modified: int) -> str:
    """Return the revision of a file of `size` bytes that was last modified at `modified`.

    `modified` is in nanoseconds since 1970; a negative time is written as its absolute
    value with a leading zero, so that different times always have different revisions.
    """
    return f"{size:x}-{'0' if modified < 0 else ''}{abs(modified):x}"


def tagged_revision(size: int, digest: str) -> str:
    """Return the revision of `size` bytes with this digest: 1 to 64 hexadecimal digits."""
    return f"{size:x}-{digest}"


_REMUXED = re.compile(f"({FILE_REVISION})-([hms][0-9a-f]{{16}})", re.ASCII)
_WITH_SOUND_FIRST = re.compile("(.+)-a([1-9][0-9]{0,2})", re.ASCII)
_COPIED = re.compile(f"({FILE_REVISION})-(c[0-9a-f]{{16}})", re.ASCII)


def header_layout(parts: Iterable[bytes]) -> str:
    """Return the name of the layout of a header, which is in parts, and a file after it."""
    return f"m{_digest(parts)}"


def fragmented_layout(parts: Iterable[bytes], base: str = "") -> str:
    """Return the name of the layout of fragments. `parts` are all of it that is made.

    `base` is the name of the layout in place of the file, if they are of one.
    """
    digest = _digest([*parts, base.encode()])
    return f"h{_marked(digest, source_sound(base)) if is_sound_layout(base) else digest}"


def is_fragmented_layout(layout: str) -> bool:
    """Return whether a layout is one of fragments."""
    return layout.startswith("h")


def sound_layout(parts: Iterable[bytes], sound: int) -> str:
    """Return the name of the layout of a header and sound with a file. `parts` are all of it that
    is made, or digests of that. `sound` is the number of the sound that it was made of, from 1; 0
    if it is the default one.
    """
    return f"s{_marked(_digest(parts), sound)}"


def source_sound(layout: str) -> int:
    """Return `sound` of `sound_layout`, for a layout of sound or of fragments of one.

    For other fragments and invented names it is any number up to 255.
    """
    return int(layout[1:3], 16)


def copy_layout(parts: Iterable[bytes]) -> str:
    """Return the name of the layout of an MP4 into which a film was copied. `parts` are all of it,
    or digests of that.
    """
    return f"c{_digest(parts)}"


def is_sound_layout(layout: str) -> bool:
    """Return whether a layout has sound that was made."""
    return layout.startswith("s")


def _marked(digest: str, sound: int) -> str:
    return f"{sound:02x}{digest[2:]}"


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def remuxed_revision(revision: str, layout: str) -> str:
    """Return the revision of a file in this layout."""
    return f"{revision}-{layout}"


def file_part(revision: str) -> str:
    """Return the revision of the file itself, without that of a layout of it."""
    return "-".join(revision.split("-")[:2])


def split_remuxed(revision: str) -> tuple[str, str] | None:
    """Return the file's revision and the layout; None if there is none with a digest."""
    match = _REMUXED.fullmatch(revision)
    return (match[1], match[2]) if match else None


def split_copied(revision: str) -> tuple[str, str] | None:
    """Return the file's revision and the layout of a copy; None if it is of none."""
    match = _COPIED.fullmatch(revision)
    return (match[1], match[2]) if match else None


def sound_first_revision(revision: str, place: int) -> str:
    """Return the revision of an MP4 whose sound at a place, from 1, is its first one."""
    return f"{revision}-a{place}"


def split_sound_first(revision: str) -> tuple[str, int] | None:
    """Return the revision of the MP4 and the place of the sound in it; None if it names none."""
    match = _WITH_SOUND_FIRST.fullmatch(revision)
    return (match[1], int(match[2])) if match else None
