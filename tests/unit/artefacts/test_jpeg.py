"""Posters as JPEG: converted once and stored, and returned even if they cannot be stored."""

import asyncio
from collections.abc import Awaitable, Callable
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from structlog.testing import capture_logs

from service.artefact_store.folder import FolderArtefactStore
from service.artefacts import jpeg
from service.artefacts.jpeg import JpegPosters
from service.records.blobs import AsyncBlob


def webp(colour: str) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (64, 36), colour).save(buffer, "WEBP")
    return buffer.getvalue()


def picture(colour: str | None) -> Callable[[], Awaitable[bytes | None]]:
    async def load() -> bytes | None:
        return webp(colour) if colour else None

    return load


async def format_and_colour(opened: AsyncBlob | None) -> tuple[str | None, str]:
    """Return the format, and the dominant colour: red or blue."""
    assert opened is not None
    with Image.open(BytesIO(await opened.read(0, opened.length))) as image:
        red, _, blue = image.convert("RGB").resize((1, 1)).tobytes()
        return image.format, "red" if red > blue else "blue"


@pytest.fixture
def conversions(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list with an entry for each conversion."""
    lengths: list[int] = []
    make = jpeg._jpeg  # noqa: SLF001

    def counted(data: bytes) -> bytes:
        lengths.append(len(data))
        return make(data)

    monkeypatch.setattr(jpeg, "_jpeg", counted)
    return lengths


async def test_concurrent_requests_and_the_next_start_share_one_conversion(
    tmp_path: Path, conversions: list[int]
) -> None:
    for _ in range(2):
        jpegs = JpegPosters(FolderArtefactStore(tmp_path, 1 << 30))
        blobs = await asyncio.gather(*(jpegs.open("a", picture("red")) for _ in range(20)))
        for opened in blobs:
            assert await format_and_colour(opened) == ("JPEG", "red")
    assert len(conversions) == 1
    assert await format_and_colour(await jpegs.open("b", picture("blue"))) == ("JPEG", "blue")
    assert await format_and_colour(await jpegs.open("a", picture(None))) == ("JPEG", "red")
    assert len(conversions) == 2


async def test_without_a_poster_there_is_no_jpeg(tmp_path: Path) -> None:
    assert (
        await JpegPosters(FolderArtefactStore(tmp_path, 1 << 30)).open("a", picture(None)) is None
    )


async def test_a_jpeg_that_cannot_be_stored_is_still_returned(
    tmp_path: Path, conversions: list[int]
) -> None:
    (tmp_path / "derived").write_bytes(b"")
    jpegs = JpegPosters(FolderArtefactStore(tmp_path / "derived", 1 << 30))
    with capture_logs():
        for _ in range(2):
            assert await format_and_colour(await jpegs.open("a", picture("red"))) == ("JPEG", "red")
    assert len(conversions) == 1
