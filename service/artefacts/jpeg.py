"""Posters as JPEG, for link previews of programs that do not support WebP (LinkedIn, Telegram)."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO

from service.artefact_store.keys import artefact_name
from service.artefact_store.store import ArtefactStore
from service.records.blobs import AsyncBlob, MemoryBlob, OpenBlob
from service.records.sized_lru_cache import SizedLRUCache

_KIND = "jpeg"
_QUALITY = 85  # above 80 there is no visible difference at a preview's size

# Bytes of about 20 images that could not be stored. Without them each request would convert again.
_MAX_UNSTORED_BYTES = 4 << 20


class JpegPosters:
    """Converts WebP images to JPEG, one at a time, and stores them."""

    def __init__(self, store: ArtefactStore) -> None:
        self._store = store
        self._lock = asyncio.Lock()
        self._unstored: SizedLRUCache[str, MemoryBlob] = SizedLRUCache(_MAX_UNSTORED_BYTES)
        self._threads = ThreadPoolExecutor(2, "jpeg")

    def close(self) -> None:
        """Release the threads without waiting for their work."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def open(
        self, name: str, load_image: Callable[[], Awaitable[bytes | None]]
    ) -> AsyncBlob | None:
        """Open an image as JPEG; None if there is no image. `name` must be unique to the image."""
        key = artefact_name(_KIND, name)
        blob = await self._run(self._open_stored, key)
        if blob is None:
            async with self._lock:
                blob = await self._run(self._open_stored, key)
                if blob is None:
                    data = await load_image()
                    if data is None:
                        return None
                    blob = await self._run(self._create, key, data)
        return None if blob is None else AsyncBlob(blob, self._threads)

    async def _run(
        self, work: Callable[..., OpenBlob | None], *args: str | bytes
    ) -> OpenBlob | None:
        return await asyncio.wrap_future(self._threads.submit(work, *args))

    def _open_stored(self, key: str) -> OpenBlob | None:
        if (unstored := self._unstored.get(key)) is not None:
            return unstored
        with suppress(OSError):
            return self._store.open(_KIND, key, 0)
        return None

    def _create(self, key: str, load_image: bytes) -> OpenBlob:
        data = _jpeg(load_image)
        if self._store.save(_KIND, key, b"null", [data]) and (stored := self._open_stored(key)):
            return stored
        unstored = MemoryBlob(data)
        self._unstored.put(key, unstored, len(data))
        return unstored


def _jpeg(load_image: bytes) -> bytes:
    from PIL import Image  # noqa: PLC0415 # takes megabytes, and not every service needs it

    output = BytesIO()
    with Image.open(BytesIO(load_image), formats=["WEBP"]) as opened:
        opened.convert("RGB").save(output, "JPEG", quality=_QUALITY, optimize=True)
    return output.getvalue()
