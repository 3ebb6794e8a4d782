"""Posters as JPEG: of those who show links to pages, some know nothing newer (LinkedIn, Telegram).
Law: few ask, so that none is kept but the latest, and two are never made at the same moment."""

import asyncio
from io import BytesIO

_KEPT = 16  # pictures of some 100 KB
_QUALITY = 85  # above 80 nobody sees a difference in a preview's size


class Jpegs:
    """Makes JPEGs of WebP pictures, and keeps the latest."""

    def __init__(self) -> None:
        self._made: dict[str, bytes] = {}
        self._turn = asyncio.Lock()

    async def of(self, name: str, picture: bytes) -> bytes:
        """Give a picture as JPEG; `name` tells it from all others."""
        async with self._turn:
            made = self._made.pop(name, None)
            if made is None:
                made = await asyncio.to_thread(_jpeg, picture)
            self._made[name] = made
            if len(self._made) > _KEPT:
                del self._made[next(iter(self._made))]
        return made


def _jpeg(picture: bytes) -> bytes:
    from PIL import Image  # noqa: PLC0415 # megabytes that a service without links does without

    written = BytesIO()
    with Image.open(BytesIO(picture), formats=["WEBP"]) as opened:
        opened.convert("RGB").save(written, "JPEG", quality=_QUALITY, optimize=True)
    return written.getvalue()
