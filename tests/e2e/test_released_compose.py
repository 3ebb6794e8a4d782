"""compose.yml of a release, alone in a folder with videos, and images by the names that it has."""

import subprocess
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser
from support.chromium import flawless, until_true
from support.raw_http import ask
from support.server import until, write
from support.stack import ROOT, Stack, docker, require_engine

pytestmark = pytest.mark.stack

VIDEOS = ("first.mp4", "second.mp4")
SAMPLE = (ROOT / "media" / "sample.mp4").read_bytes()
IMAGES = {"service": "service", "nginx": "edge", "acme": "certificates"}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Start what a release's compose.yml describes, in a clean folder, with default settings."""
    require_engine()
    folder = tmp_path_factory.mktemp("release")
    for name in VIDEOS:
        write(folder / "media", name, SAMPLE)
    # Compose takes an empty variable for one that is not set.
    stack = Stack(
        folder / "media",
        variables={"REELAY_MEDIA_DIR": ""},
        compose_file=folder / "compose.yml",
    )
    images = f"example.test/{stack.project}"
    command = [str(ROOT / "deploy" / "release" / "stamp"), images, "1.2.3"]
    stack.compose_file.write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)
    build = Stack(stack.media, project=stack.project)
    try:
        build.compose("--profile", "acme", "build")
        for name, image in IMAGES.items():
            docker("tag", f"{stack.project}-{name}", f"{images}/{image}:1.2.3")
            docker("rmi", f"{stack.project}-{name}")
        stack.up()
        yield stack
    finally:
        stack.compose("down", "--volumes", "--remove-orphans", "--rmi", "all", "--timeout", "10")
        docker("rmi", "--force", f"{images}/certificates:1.2.3")


def test_the_containers_are_those_of_the_named_images(stack: Stack) -> None:
    for name in ("service", "nginx"):
        image = stack.container(name)["Config"]["Image"]
        assert image == f"example.test/{stack.project}/{IMAGES[name]}:1.2.3"


@pytest.mark.parametrize("video", VIDEOS)
def test_a_video_beside_the_file_plays(stack: Stack, browser: Browser, video: str) -> None:
    answer = ask(stack.base, f"/media/{video}", {"Range": "bytes=200-1000"})
    assert (answer.status, answer.body) == (206, SAMPLE[200:1001])
    until(lambda: ask(stack.base, f"/watch/{video}").status == 200, "it is listed")
    with flawless(browser, stack.base) as page:
        page.goto(f"/watch/{video}")
        page.locator("video").evaluate("video => (video.muted = true, video.play())")
        until_true(page, "document.querySelector('video').currentTime > 0.5")
