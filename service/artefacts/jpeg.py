"""Posters as JPEG: of those who show links to pages, some know nothing newer (LinkedIn, Telegram).
Law: one is made at a time, and kept among what is derived; two are never made of the same poster at
the same moment."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO

from service.artefact_store.blobs import AsyncBlob, MemoryBlob, OpenBlob
from service.artefact_store.folder import ArtefactStore, name_of
from service.artefact_store.sized_lru_cache import SizedLRUCache

_KIND = "jpeg"
_QUALITY = 85  # above 80 nobody sees a difference in a preview's size

# Bytes of pictures that could not be kept, some 20: else each request would make its own anew.
_MAX_UNKEPT = 4 << 20


class Jpegs:
    """Makes JPEGs of WebP pictures, and keeps them."""

    def __init__(self, derived: ArtefactStore) -> None:
        self._derived = derived
        self._turn = asyncio.Lock()
        self._unkept: SizedLRUCache[str, MemoryBlob] = SizedLRUCache(_MAX_UNKEPT)
        self._threads = ThreadPoolExecutor(2, "jpeg")

    def close(self) -> None:
        """Release the threads without waiting for what they wait for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def open(
        self, name: str, picture: Callable[[], Awaitable[bytes | None]]
    ) -> AsyncBlob | None:
        """Open a picture as JPEG. `name` tells it from all others; None where there is none."""
        key = name_of(_KIND, name)
        made = await self._wait(self._find, key)
        if made is None:
            async with self._turn:
                made = await self._wait(self._find, key)
                if made is None:
                    data = await picture()
                    if data is None:
                        return None
                    made = await self._wait(self._make, key, data)
        return None if made is None else AsyncBlob(made, self._threads)

    async def _wait(
        self, work: Callable[..., OpenBlob | None], *given: str | bytes
    ) -> OpenBlob | None:
        return await asyncio.wrap_future(self._threads.submit(work, *given))

    def _find(self, key: str) -> OpenBlob | None:
        if (unkept := self._unkept.get(key)) is not None:
            return unkept
        with suppress(OSError):
            return self._derived.open(_KIND, key, 0)
        return None

    def _make(self, key: str, picture: bytes) -> OpenBlob:
        data = _jpeg(picture)
        if self._derived.save(_KIND, key, b"null", [data]) and (kept := self._find(key)):
            return kept
        unkept = MemoryBlob(data)
        self._unkept.put(key, unkept, len(data))
        return unkept


def _jpeg(picture: bytes) -> bytes:
    from PIL import Image  # noqa: PLC0415 # megabytes that a service without links does without

    written = BytesIO()
    with Image.open(BytesIO(picture), formats=["WEBP"]) as opened:
        opened.convert("RGB").save(written, "JPEG", quality=_QUALITY, optimize=True)
    return written.getvalue()
