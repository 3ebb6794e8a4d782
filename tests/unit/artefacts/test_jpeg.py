"""Posters as JPEG: converted once and stored, and returned even if they cannot be stored."""

import asyncio
from collections.abc import Awaitable, Callable
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from structlog.testing import capture_logs

from service.artefact_store.blobs import AsyncBlob
from service.artefact_store.folder import FolderArtefactStore
from service.artefacts import jpeg
from service.artefacts.jpeg import JpegPosters


def webp(colour: str) -> bytes:
    written = BytesIO()
    Image.new("RGB", (64, 36), colour).save(written, "WEBP")
    return written.getvalue()


def picture(colour: str | None) -> Callable[[], Awaitable[bytes | None]]:
    async def give() -> bytes | None:
        return webp(colour) if colour else None

    return give


async def shown(opened: AsyncBlob | None) -> tuple[str | None, str]:
    """Return the format, and which of red and blue dominates."""
    assert opened is not None
    with Image.open(BytesIO(await opened.read(0, opened.length))) as found:
        red, _, blue = found.convert("RGB").resize((1, 1)).tobytes()
        return found.format, "red" if red > blue else "blue"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list with an entry for each conversion."""
    lengths: list[int] = []
    make = jpeg._jpeg  # noqa: SLF001

    def counted(data: bytes) -> bytes:
        lengths.append(len(data))
        return make(data)

    monkeypatch.setattr(jpeg, "_jpeg", counted)
    return lengths


async def test_a_crowd_and_the_next_start_cost_one(tmp_path: Path, made: list[int]) -> None:
    for _ in range(2):
        jpegs = JpegPosters(FolderArtefactStore(tmp_path, 1 << 30))
        crowd = await asyncio.gather(*(jpegs.open("a", picture("red")) for _ in range(20)))
        for opened in crowd:
            assert await shown(opened) == ("JPEG", "red")
    assert len(made) == 1
    assert await shown(await jpegs.open("b", picture("blue"))) == ("JPEG", "blue")
    assert await shown(await jpegs.open("a", picture(None))) == ("JPEG", "red")
    assert len(made) == 2


async def test_where_there_is_no_picture_there_is_none(tmp_path: Path) -> None:
    assert (
        await JpegPosters(FolderArtefactStore(tmp_path, 1 << 30)).open("a", picture(None)) is None
    )


async def test_where_none_can_be_kept_it_is_made_and_given(tmp_path: Path, made: list[int]) -> None:
    (tmp_path / "derived").write_bytes(b"")
    jpegs = JpegPosters(FolderArtefactStore(tmp_path / "derived", 1 << 30))
    with capture_logs():
        for _ in range(2):
            assert await shown(await jpegs.open("a", picture("red"))) == ("JPEG", "red")
    assert len(made) == 1
