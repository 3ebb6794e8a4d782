"""What leaves the pages: playlists, what programs read of a shared link, icons, errors."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from server import Server, serve, until, write
from wire import Answer, ask

SAMPLE = (Path(__file__).parents[2] / "media/sample.mp4").read_bytes()
NAME = 'Series/it\'s "S1" <1>/ep 1 & ünï.mp4'
FOLDER = NAME.rpartition("/")[0]
TARGETS = [f"/playlists/{quote(NAME)}.m3u", "/playlists/", f"/playlists/?folder={quote(FOLDER)}"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    media: Path = tmp_path_factory.mktemp("sharing") / "media"
    write(media, "broken.mp4", b"no film")
    for name in (NAME, f"{FOLDER}/ep 10.mp4", f"{FOLDER}/ep 2.mp4", "first.mp4"):
        write(media, name, SAMPLE)
    with serve(media) as one:

        def probed() -> Any:
            videos = json.loads(ask(one.base, "/api/videos").body)["videos"]
            return all(video["state"] != "pending" for video in videos) or None

        until(probed, "all are probed")
        yield one


def get(server: Server, target: str, method: str = "GET", **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ask(server.base, target, named, method)


def entries(answer: Answer) -> list[tuple[str, str]]:
    """Read a playlist: of each entry, what `#EXTINF:` says, and the address."""
    first, *lines = answer.body.decode().splitlines()
    assert first == "#EXTM3U"
    told = [line.removeprefix("#EXTINF:") for line in lines if line.startswith("#EXTINF:")]
    return list(zip(told, [line for line in lines if not line.startswith("#")], strict=True))


def test_a_playlist_names_the_video_its_length_and_its_bytes(server: Server) -> None:
    answer = get(server, TARGETS[0])
    assert answer.headers["Content-Type"] == "audio/x-mpegurl; charset=utf-8"
    assert answer.headers["Content-Disposition"].startswith("attachment; ")
    assert answer.headers["Content-Disposition"].endswith(
        "filename*=UTF-8''ep%201%20&%20%C3%BCn%C3%AF.m3u"
    )
    ((told, address),) = entries(answer)
    assert told == "8,Reelay sample"
    item = json.loads(get(server, f"/api/videos/{quote(NAME)}").body)
    assert address == server.base + item["media_url"]
    assert get(server, address.removeprefix(server.base)).body == SAMPLE


def test_a_folders_playlist_has_what_is_directly_in_it_in_order(server: Server) -> None:
    addresses = [address for _, address in entries(get(server, TARGETS[2]))]
    items = [
        json.loads(get(server, f"/api/videos/{quote(name)}").body)["media_url"]
        for name in (NAME, f"{FOLDER}/ep 10.mp4", f"{FOLDER}/ep 2.mp4")
    ]
    assert sorted(addresses) == sorted(server.base + item for item in items)
    root = dict(entries(get(server, "/playlists/?sort=-size")))
    assert list(root) == ["8,Reelay sample", "-1,broken"]
    assert get(server, "/playlists/?folder=nowhere").status == 404
    assert get(server, "/playlists/?sort=colour").status == 400
    assert get(server, "/playlists/nothing.mp4.m3u").status == 404


def test_addresses_are_those_that_the_client_asked_for(server: Server) -> None:
    for host, proto, origin in (
        ("video.example.org", "https", "https://video.example.org"),
        ("video.example.org:8443", "javascript", "http://video.example.org:8443"),
        ("<script>", "https", ""),
    ):
        answer = get(server, TARGETS[0], Host=host, X_Forwarded_Proto=proto)
        ((_, address),) = entries(answer)
        assert address.partition("/media/")[0] == origin


@pytest.mark.parametrize("target", TARGETS)
def test_a_playlist_is_asked_for_as_anything_else_is(server: Server, target: str) -> None:
    answer = get(server, target)
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-cache"
    head = get(server, target, "HEAD")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Length"] == str(len(answer.body))
    known = get(server, target, If_None_Match=answer.headers["ETag"])
    assert (known.status, known.body) == (304, b"")
    assert get(server, target, If_Match='"another"').status == 412
    options = get(server, target, "OPTIONS")
    assert (options.status, options.headers["Allow"]) == (204, "GET, HEAD, OPTIONS")
    assert get(server, target, "POST").status == 405
