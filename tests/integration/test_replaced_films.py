"""Films that are replaced while a worker makes something large of them: it ends soon."""

from pathlib import Path
from typing import Any, BinaryIO

import pytest
from support.ffmpeg_fixtures import ffmpeg

from service.copies.film import FilmCopy, copy_film
from service.storage.local.files import revision
from service.worker import tasks
from service.workers.large_output import LargeOutput

CODEC = ("-c:v", "libx264", "-preset", "ultrafast", "-qp", "10", "-pix_fmt", "yuv420p")
NOISE = ("-f", "lavfi", "-i", "color=gray:size=640x360:rate=25:duration=4,noise=alls=100:allf=t")


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return ffmpeg(tmp_path_factory.mktemp("noise") / "film.ts", *NOISE, *CODEC).read_bytes()


@pytest.mark.parametrize("is_replaced", [True, False])
def test_a_film_that_is_replaced_is_not_copied_to_its_end(
    tmp_path: Path,
    noise: bytes,
    monkeypatch: pytest.MonkeyPatch,
    is_replaced: bool,  # noqa: FBT001 # as in the table
) -> None:
    film, output = tmp_path / "film.ts", tmp_path / "output"
    film.write_bytes(noise)
    assert len(noise) > 3 * (1 << 22)  # the path is looked at after each 4 MiB
    other = tmp_path / "other"
    other.write_bytes(noise)
    output.touch()
    request: dict[str, Any] = {
        "task": "copied", "root": str(tmp_path), "path": film.name, "output": str(output),
        "revision": revision(film.stat()), "room": 1 << 30,
    }  # fmt: skip
    lengths = []

    def replace_first(file: BinaryIO, written: LargeOutput) -> FilmCopy:
        if is_replaced:
            other.replace(film)
        try:
            return copy_film(file, written)
        finally:
            lengths.append(written.length)

    monkeypatch.setattr("service.worker.films.copy_film", replace_first)
    response, _ = tasks.handle_request(request)
    if is_replaced:
        assert response == {"problem": "The file is gone.", "lasting": False}
        assert lengths[0] < film.stat().st_size // 2
    else:
        assert "facts" in response
