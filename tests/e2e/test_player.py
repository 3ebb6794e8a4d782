"""Chromium plays through the stack, with capped ranges and with moov in front or at the end."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from support.chromium import flawless
from support.ffmpeg_fixtures import ffmpeg
from support.raw_http import ask
from support.server import write
from support.stack import Stack, running

pytestmark = pytest.mark.stack

BLOCK = 4 * 2**20  # the default
SAMPLE = Path(__file__).parents[2] / "media" / "sample.mp4"


@pytest.fixture(scope="module")
def media(long_film: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a film with moov at the end and one with moov in front, and copy the sample."""
    folder = tmp_path_factory.mktemp("films") / "media"
    folder.mkdir()
    ffmpeg(folder / "end.mp4", "-i", long_film, "-c", "copy")
    (folder / "front.mp4").hardlink_to(long_film)
    write(folder, "sample.mp4", SAMPLE.read_bytes())
    write(folder, "ünï çödé/100% #1?.mp4", SAMPLE.read_bytes())
    return folder


@pytest.fixture(scope="module")
def films(media: Path) -> Iterator[Stack]:
    with running(media, MAX_PARTIAL_SIZE=str(BLOCK)) as stack:
        yield stack


@pytest.fixture(scope="module")
def browser(complete_browser: Browser) -> Browser:
    """Return the Chromium that viewers have."""
    return complete_browser


@pytest.fixture
def page(browser: Browser, films: Stack) -> Iterator[Page]:
    with flawless(browser, films.base) as page:
        yield page


DURATION = """async ([timeout]) => {
    const video = document.querySelector("video");
    await new Promise((resolve, reject) => {
        setTimeout(() => reject(`no metadata in ${timeout} ms`), timeout);
        const look = () => video.readyState >= 1 ? resolve() : setTimeout(look, 50);
        look();
    });
    return video.duration;
}"""

SEEK = """async ([second, timeout]) => {
    const video = document.querySelector("video");
    await new Promise((resolve, reject) => {
        video.addEventListener("seeked", resolve, {once: true});
        video.addEventListener("error", () => reject(video.error), {once: true});
        setTimeout(() => reject(`no seek to ${second} in ${timeout} ms`), timeout);
        video.currentTime = second;
    });
    return video.currentTime;
}"""

PLAY_ON = """async ([seconds, timeout]) => {
    const video = document.querySelector("video");
    const from = video.currentTime;
    await video.play();
    await new Promise((resolve, reject) => {
        video.addEventListener("error", () => reject(video.error), {once: true});
        setTimeout(() => reject(`stuck at ${video.currentTime}`), timeout);
        const look = () => video.ended || video.currentTime >= from + seconds
            ? resolve() : setTimeout(look, 50);
        look();
    });
    return video.ended;
}"""


def run(page: Page, script: str, *values: float) -> Any:
    """Run one of the scripts above, with a timeout of four minutes."""
    return page.evaluate(script, [*values, 240_000])


@pytest.mark.parametrize("name", ["front.mp4", "end.mp4"])
def test_a_film_plays_seeks_and_finishes(page: Page, films: Stack, name: str) -> None:
    answers: list[tuple[int, int]] = []
    page.on(
        "response",
        lambda r: (
            answers.append((r.status, int(r.headers.get("content-length", "0"))))
            if "/media/" in r.url
            else None
        ),
    )
    page.goto(f"/watch/{name}")
    assert run(page, DURATION) == pytest.approx(60, abs=0.5)
    run(page, PLAY_ON, 1.0)
    for second in (45.0, 10.0, 30.5, 2.0, 55.0):
        at = run(page, SEEK, second)
        assert second - 0.1 <= at < second + 4, "it plays on meanwhile"
        run(page, PLAY_ON, 0.5)
    run(page, SEEK, 58.5)
    assert run(page, PLAY_ON, 10.0) is True
    partial = [length for status, length in answers if status == 206]
    assert len(partial) > 3
    assert max(partial) <= BLOCK
    assert {status for status, _ in answers} <= {200, 206}


@pytest.mark.parametrize("path", ["sample.mp4", "ünï çödé/100% #1?.mp4"])
def test_a_viewer_finds_and_plays_the_sample_to_its_end(page: Page, path: str) -> None:
    page.goto("/")
    page.get_by_label("Search").fill(path.rpartition("/")[2].removesuffix(".mp4"))
    page.wait_for_url(lambda url: "?q=" in url)  # the results are shown
    page.get_by_role("link", name="Reelay sample").first.click()
    assert run(page, DURATION) == pytest.approx(8, abs=0.2)
    run(page, SEEK, 6.5)
    assert run(page, PLAY_ON, 10.0) is True
    assert page.evaluate("document.querySelector('video').error") is None
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").first.click()
    # The browser itself replaces characters that file systems do not allow.
    assert download.value.suggested_filename == path.rpartition("/")[2].replace("?", "_")
    assert Path(download.value.path()).read_bytes() == SAMPLE.read_bytes()


def test_curl_gets_exactly_the_first_block(films: Stack, media: Path) -> None:
    """Fetch ranges of a real film with curl, as a user does.

    Its moov is in front, so that the media route serves the file unchanged.
    """
    data = (media / "front.mp4").read_bytes()
    curl = ["curl", "--insecure", "--silent", "--fail", "--range", "0-"]
    first = subprocess.run(
        [*curl, f"{films.base}/media/front.mp4"], check=True, capture_output=True
    )
    assert first.stdout == data[:BLOCK]
    edge = ask(films.base, "/media/front.mp4", {"Range": f"bytes={BLOCK - 1}-{BLOCK}"})
    assert edge.span() == (BLOCK - 1, BLOCK - 1)
    assert edge.body == data[BLOCK - 1 : BLOCK]
    assert ask(films.base, "/media/front.mp4", {"Range": "bytes=-100"}).body == data[-100:]
