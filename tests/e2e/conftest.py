"""Fixtures of the end-to-end tests: a shared stack and one behind proxies."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from support.chromium import flawless
from support.ffmpeg_fixtures import AAC, ffmpeg
from support.http_contract import Origin, fill
from support.raw_http import ask
from support.sample_library import fill as fill_library
from support.server import until
from support.stack import Stack, running
from support.trusted_proxies import YEAR, balancer_in_front, trust


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    media = tmp_path_factory.mktemp("stack") / "media"
    fill(media)
    with running(media) as stack:
        yield stack


@pytest.fixture(scope="session")
def origin(stack: Stack) -> Origin:
    return Origin(stack.base, stack.media)


@pytest.fixture(scope="session")
def behind_proxies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, str]]:
    media = tmp_path_factory.mktemp("behind") / "media"
    fill(media)
    with running(media, HSTS_MAX_AGE=YEAR) as stack, balancer_in_front(stack) as balancer:
        trust(stack, balancer)
        yield stack, balancer


@pytest.fixture(scope="session")
def trusting(behind_proxies: tuple[Stack, str]) -> Stack:
    return behind_proxies[0]


@pytest.fixture(scope="session")
def balancer(behind_proxies: tuple[Stack, str]) -> str:
    return behind_proxies[1]


@pytest.fixture(scope="session")
def long_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a video of one minute and about 60 MB, more than a browser buffers; moov is in front."""
    picture = ("-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25:duration=60")
    sound = ("-f", "lavfi", "-i", "sine=frequency=440:duration=60")
    rate = ("-b:v", "8M", "-minrate", "8M", "-maxrate", "8M", "-bufsize", "4M")
    codec = ("-c:v", "libx264", "-preset", "ultrafast", "-x264-params", "nal-hrd=cbr",
             "-pix_fmt", "yuv420p", "-g", "50")  # fmt: skip
    film = tmp_path_factory.mktemp("long") / "film.mp4"
    ffmpeg(film, *picture, *sound, *codec, *rate, *AAC, "-movflags", "+faststart")
    assert 50e6 < film.stat().st_size < 80e6
    return film


@pytest.fixture(scope="session")
def cinema(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Run the sample library with all artefacts ready. Tests do not change it."""
    media = tmp_path_factory.mktemp("cinema") / "media"
    fill_library(media)
    with running(media) as stack:
        until(lambda: derived(stack.base) or None, "artefacts are ready", timeout=120, pause=0.5)
        yield stack


def derived(base: str) -> bool:
    """Return whether no video is pending and no artefact waiting."""
    videos = json.loads(ask(base, "/api/videos?limit=100").body)["videos"]
    kinds = ("poster", "captions", "storyboard")
    return bool(videos) and all(
        video["state"] != "pending" and all(video[kind]["state"] != "waiting" for kind in kinds)
        for video in videos
    )


@pytest.fixture
def page(browser: Browser, cinema: Stack) -> Iterator[Page]:
    """Open a page of the sample library on which any fault fails the test."""
    with flawless(browser, cinema.base) as page:
        yield page
