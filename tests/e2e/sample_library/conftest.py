"""The sample library with all artefacts ready, which these tests share and do not change."""

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page
from support.chromium import flawless
from support.raw_http import ask
from support.sample_library import fill
from support.server import until
from support.stack import Stack, running


@pytest.fixture(scope="session")
def cinema(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    media = tmp_path_factory.mktemp("cinema") / "media"
    fill(media)
    with running(media) as stack:
        until(lambda: derived(stack.base) or None, "artefacts are ready", pause=0.5)
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
