"""The stack over an object store, with failures of its parts."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.ffmpeg_fixtures import ffmpeg
from support.firefox import Tab
from support.player_page import LISTEN, seek, start, state, until_playing
from support.raw_http import ask
from support.server import BLOCK
from support.stack import ROOT, Stack, running

pytestmark = [pytest.mark.slow, pytest.mark.stack]

NAMES = ("films/played.mp4", "films/node.mp4", "films/proxy.mp4", "films/replaced.mp4")
REPLICAS = 3


@pytest.fixture(scope="module")
def store(long_film: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Run three replicas over a store of three object servers, with a film for each test."""
    media = tmp_path_factory.mktemp("store") / "media"
    (media / "films").mkdir(parents=True)
    for name in NAMES:
        (media / name).hardlink_to(long_film)
    (media / "small.mp4").write_bytes(secrets.token_bytes(2 * BLOCK + 1000))
    objects = ROOT / "deploy/compose/objects.yml"
    with running(media, objects, RESCAN_INTERVAL="1") as stack:
        stack.up("--scale", f"service={REPLICAS}")
        yield stack


@pytest.fixture
def viewer(store: Stack, firefox_tab: Tab) -> Iterator[Tab]:
    """Open a page in Firefox, which ignores changes of this machine's networks."""
    firefox_tab.renew(store.base, watched=True)
    firefox_tab.add_init_script(LISTEN)
    yield firefox_tab
    assert firefox_tab.complaints() == []


def test_every_replica_returns_the_same_revision_and_bytes(store: Stack) -> None:
    source = (
        "import sys, urllib.request as r\n"
        "a = r.urlopen('http://127.0.0.1:8000/media/small.mp4')\n"
        "import hashlib; print(a.headers['ETag'], hashlib.sha256(a.read()).hexdigest())\n"
    )
    outputs = {
        store.compose("exec", "--no-TTY", "--index", str(number), "service", "python", "-c", source)
        for number in range(1, REPLICAS + 1)
    }
    assert len(outputs) == 1
    answer = ask(store.base, "/media/small.mp4", {"Range": f"bytes={BLOCK - 3}-"})
    assert answer.status == 206
    assert answer.headers["Content-Range"] == f"bytes {BLOCK - 3}-{BLOCK - 1}/{2 * BLOCK + 1000}"
    assert answer.body == (store.media / "small.mp4").read_bytes()[BLOCK - 3 : BLOCK]
    assert answer.headers["ETag"] in outputs.pop()


def test_only_the_proxy_reaches_the_storage_nodes(store: Stack) -> None:
    source = (
        "import socket\n"
        "def reachable(name):\n"
        "    try: socket.create_connection((f'swift-{name}', 8080), 5).close()\n"
        "    except OSError: return False\n"
        "    return True\n"
        "print(*filter(reachable, ('proxy', 'account', 'container', 'object1')))\n"
    )
    for client, reached in {
        "service": "proxy",
        "swift-proxy": "proxy account container object1",
    }.items():
        output = store.compose("exec", "--no-TTY", client, "python", "-c", source)
        assert output.split() == reached.split()


def test_a_film_plays_and_seeks(viewer: Tab) -> None:
    start(viewer, NAMES[0])
    for second in (45, 15, 30):
        seek(viewer, second)
        until_playing(viewer, second)
    assert state(viewer)["noticed"] == []


def test_playback_survives_the_loss_of_two_of_three_object_servers(
    store: Stack, viewer: Tab
) -> None:
    start(viewer, NAMES[1])
    store.compose("kill", "swift-object1", "swift-object2")
    try:
        for second in (45, 15, 30):
            seek(viewer, second)
            until_playing(viewer, second)
        assert state(viewer)["noticed"] == []
    finally:
        store.compose("start", "swift-object1", "swift-object2")


def test_cached_blocks_play_while_the_store_is_down_and_others_recover_later(
    store: Stack, viewer: Tab
) -> None:
    start(viewer, NAMES[2])
    cached = {"Range": "bytes=0-99"}
    assert ask(store.base, f"/media/{NAMES[2]}", cached).status == 206
    store.compose("kill", "swift-proxy")
    try:
        # A block that is not cached.
        answer = ask(store.base, f"/media/{NAMES[3]}", {"Range": f"bytes={5 * BLOCK}-"})
        assert answer.status in {502, 504}
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert ask(store.base, f"/media/{NAMES[2]}", cached).status == 206
        # Replicas do not count as failed: pages do not need the store.
        assert [ask(store.base, "/").status for _ in range(10)] == [200] * 10
        seek(viewer, 50)
    finally:
        store.compose("start", "swift-proxy")
    until_playing(viewer, 50)


def test_playback_continues_at_the_same_second_after_an_object_is_replaced(
    store: Stack, viewer: Tab, long_film: Path
) -> None:
    start(viewer, NAMES[3])
    before = state(viewer)["source"]
    another = ("-c", "copy", "-metadata", "title=New", "-movflags", "+faststart")
    other = ffmpeg(store.media / ".new.mp4", "-i", long_film, *another)
    other.replace(store.media / NAMES[3])
    store.compose("up", "--no-deps", "films")
    seek(viewer, 40)
    assert until_playing(viewer, 40)["source"] != before
