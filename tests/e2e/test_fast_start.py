"""A film with moov at the end, through the edge and its cache."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.chromium import flawless, launched
from support.ffmpeg_fixtures import ten_seconds
from support.raw_http import ask
from support.server import BLOCK, until, write
from support.stack import Stack, running

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a film of ten seconds and about 5 MB with moov at the end."""
    folder = tmp_path_factory.mktemp("fast") / "media"
    folder.mkdir()
    original = ten_seconds(folder.parent / "original.mp4")
    file = write(folder, "film.mp4", original.read_bytes())
    assert file.stat().st_size > 4 * BLOCK
    return file


@pytest.fixture(scope="module")
def stack(film: Path) -> Iterator[Stack]:
    with running(film.parent) as stack:
        yield stack


def frames(source: str | Path) -> str:
    web = ["-reconnect", "1", "-tls_verify", "0"] if str(source).startswith("http") else []
    command = ["ffmpeg", "-loglevel", "fatal", *web, "-i", source, "-f", "framemd5", "-"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.slow
def test_media_and_download_keep_their_layouts_while_the_service_is_down(
    stack: Stack, film: Path
) -> None:
    original = frames(film)
    assert frames(f"{stack.base}/media/film.mp4") == original
    assert frames(f"{stack.base}/download/film.mp4") == original
    assert ask(stack.base, "/download/film.mp4").body == film.read_bytes()
    fast_start = ask(stack.base, "/media/film.mp4")
    assert fast_start.headers["ETag"].endswith('-f2"')
    assert fast_start.body.index(b"moov") < fast_start.body.index(b"mdat")
    # Until the edge notices that the service has stopped, it may still forward a request.
    stack.compose("stop", "service")
    try:
        for span in (slice(0, BLOCK), slice(BLOCK + 5, BLOCK + 99)):
            headers = {"Range": f"bytes={span.start}-{span.stop - 1}"}
            for route, data in (("media", fast_start.body), ("download", film.read_bytes())):
                answer = ask(stack.base, f"/{route}/film.mp4", headers)
                assert answer.status == 206
                assert answer.headers["X-Cache"] == "HIT"
                assert answer.body == data[span]
    finally:
        stack.up()


def test_chromium_plays_the_film_to_its_end(stack: Stack) -> None:
    with launched() as browser, flawless(browser, stack.base) as page:
        urls: list[str] = []
        page.on("request", lambda r: urls.append(r.url) if "/media/" in r.url else None)

        def source() -> str | None:
            page.goto("/watch/film.mp4")
            link = page.get_attribute("video source", "src") or ""
            return link if link.endswith("-f2") else None

        until(source, "the film has been probed")
        urls.clear()
        assert page.evaluate(PLAY_THE_END) is True
        assert len(urls) > 1
        assert all(url.endswith("-f2") for url in urls)


PLAY_THE_END = """async () => {
    const video = document.querySelector("video");
    await new Promise((resolve, reject) => {
        video.addEventListener("ended", resolve, {once: true});
        video.addEventListener("error", () => reject(video.error), {once: true});
        setTimeout(() => reject(`stuck at ${video.currentTime}`), 60000);
        video.currentTime = 8.5;
        video.play().catch(reject);
    });
    return video.ended;
}"""
