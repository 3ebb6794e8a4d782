"""Listings of a running service: folders, titles, search, and conditional requests."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from support.ffmpeg_fixtures import ffmpeg
from support.raw_http import Answer, ask
from support.server import Server, serve, until, write

KINDS = ("poster", "captions", "storyboard", "remux", "sound", "copied")
FILES = [
    "The.Big.Film.2019.mp4",
    "series/s1/ep 1.mp4",
    "series/s1/ep 2.mp4",
    "series/s1/ep 10.mp4",
    "series/s2/ep 1.mp4",
    "series/extra_material.mp4",
    "Köln/a & b/50% + 1#.mp4",
]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Make a real film with tags that its name does not contain."""
    return ffmpeg(
        tmp_path_factory.mktemp("clip") / "clip.mp4",
        *("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=10:duration=1", "-c:v", "mpeg4"),
        *("-metadata", "title=東京物語", "-metadata", "artist=Ozu Yasujirō"),
    ).read_bytes()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, clip: bytes) -> Iterator[Server]:
    media: Path = tmp_path_factory.mktemp("library") / "media"
    for name in FILES:
        write(media, name, b"no video")
    write(media, "films/x1.mp4", clip)
    write(media, "films/x2.mp4", clip.replace("東京物語".encode(), b"C:\\video.avi"))
    with serve(media, RESCAN_INTERVAL="86400") as running:

        def all_settled() -> Any:
            videos = listing(running)["videos"]
            states = [video["state"] for video in videos]
            states += [video[kind]["state"] for video in videos for kind in KINDS]
            return not {"pending", "waiting"} & set(states) or None

        until(all_settled, "all videos and artefacts are settled")
        yield running


def listing(server: Server, **query: object) -> Any:
    answer = ask(server.base, f"/api/videos?{urlencode(query)}")
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def paths(page: Any) -> list[str]:
    return [video["path"] for video in page["videos"]]


# Folders


def test_a_folder_lists_only_its_own_videos(server: Server) -> None:
    page = listing(server, folder="series/s1")
    assert paths(page) == ["series/s1/ep 1.mp4", "series/s1/ep 2.mp4", "series/s1/ep 10.mp4"]
    assert (page["folders"], page["total"]) == ([], 3)


def test_the_root_lists_its_own_videos_and_the_folders_with_their_counts(server: Server) -> None:
    page = listing(server, folder="")
    assert paths(page) == ["The.Big.Film.2019.mp4"]
    assert [(inner["path"], inner["title"], inner["count"]) for inner in page["folders"]] == [
        ("films", "films", 2),
        ("Köln", "Köln", 1),
        ("series", "series", 5),
    ]


def test_without_a_folder_all_videos_and_no_folders_are_listed(server: Server) -> None:
    page = listing(server)
    assert sorted(paths(page)) == sorted([*FILES, "films/x1.mp4", "films/x2.mp4"])
    assert page["folders"] == []


def test_a_search_in_a_folder_includes_subfolders(server: Server) -> None:
    page = listing(server, folder="series", q="ep 1.mp4", sort="-name")
    assert paths(page) == ["series/s2/ep 1.mp4", "series/s1/ep 1.mp4"]
    assert page["folders"] == []
    assert paths(listing(server, folder="Köln", q="ep")) == []


@pytest.mark.parametrize("folder", ["series/s3", "serie", "series/", "/", "..", "SERIES"])
def test_an_unknown_folder_gets_404_with_its_name(server: Server, folder: str) -> None:
    answer = ask(server.base, f"/api/videos?folder={quote(folder, safe='')}")
    assert answer.status == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert f'"{folder}"' in json.loads(answer.body)["detail"]
    page = ask(server.base, f"/?folder={quote(folder, safe='')}", {"Accept": "text/html"})
    assert page.status == 404


def test_folder_links_lead_to_their_pages_and_subfolders(server: Server) -> None:
    top = listing(server, folder="")["folders"][1]
    page = ask(server.base, top["url"], {"Accept": "text/html"})
    assert page.status == 200
    inner = listing(server, folder=top["path"])["folders"][0]
    assert inner["path"] == "Köln/a & b"
    assert f'href="{inner["url"]}"' in page.body.decode()
    deeper = ask(server.base, inner["url"]).body.decode()
    assert f'href="/watch/{quote("Köln/a & b/50% + 1#.mp4")}"' in deeper
    assert f'href="{top["url"]}"' in deeper  # the link to the parent folder


def test_pages_of_a_folder_list_its_folders_and_then_its_videos(server: Server) -> None:
    target, listed = "/api/videos?folder=series&limit=1", []
    while target:
        page = json.loads(ask(server.base, target).body)
        listed += [inner["path"] for inner in page["folders"]] + paths(page)
        target = page["next_url"]
    assert listed == ["series/s1", "series/s2", "series/extra_material.mp4"]


# Titles and search


@pytest.mark.parametrize(
    ("path", "title"),
    [
        ("The.Big.Film.2019.mp4", "The Big Film 2019"),
        ("series/extra_material.mp4", "extra material"),
        ("films/x1.mp4", "東京物語"),
        ("films/x2.mp4", "x2"),
    ],
)
def test_titles_are_readable(server: Server, path: str, title: str) -> None:
    assert json.loads(ask(server.base, f"/api/videos/{path}").body)["title"] == title


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("BIG film", ["The.Big.Film.2019.mp4"]),
        ("koln", ["Köln/a & b/50% + 1#.mp4"]),
        ("東京", ["films/x1.mp4"]),
        ("X1 films 物語", ["films/x1.mp4"]),
        ("video.avi", ["films/x2.mp4"]),  # the tag, although it is not used as the title
    ],
)
def test_a_search_covers_titles_folders_and_tags(
    server: Server, query: str, expected: list[str]
) -> None:
    assert paths(listing(server, q=query)) == expected


# Entity tags

TARGETS = ["/api/videos", "/api/videos?folder=series", "/api/videos?q=ep&limit=2"]
TARGETS += ["/api/videos/films/x1.mp4"]


def entity_tag(answer: Answer) -> str:
    tag: str = answer.headers["ETag"]
    return tag


@pytest.mark.parametrize("target", TARGETS)
def test_a_matching_entity_tag_gets_304(server: Server, target: str) -> None:
    first = ask(server.base, target)
    tag = entity_tag(first)
    # RFC 9110 §8.8.3: a strong tag has no W/ prefix. It is computed from the bytes.
    assert tag == f'"{hashlib.sha256(first.body).hexdigest()[:32]}"'
    for condition in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        for method in ("GET", "HEAD"):
            again = ask(server.base, target, {"If-None-Match": condition}, method)
            assert (again.status, again.body) == (304, b"")
            assert entity_tag(again) == tag
            assert again.headers["Cache-Control"] == "no-cache"
            # RFC 9110 §8.6: a length here would describe the 200 response, so it is omitted.
            assert again.headers["Content-Length"] is None


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"If-None-Match": '"other"'}, 200),
        ({"If-None-Match": ""}, 200),
        ({"If-Match": "*"}, 200),
        ({"If-Match": '"other"'}, 412),
        # RFC 9110 §13.2.2: If-Match comes first.
        ({"If-Match": '"other"', "If-None-Match": "*"}, 412),
        # RFC 9110 §13.1.3 and §13.1.4: without Last-Modified these fields are ignored.
        ({"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}, 200),
        ({"If-Unmodified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"}, 200),
        ({"Range": "bytes=0-0"}, 200),
    ],
)
def test_preconditions_are_evaluated(
    server: Server, target: str, headers: dict[str, str], status: int
) -> None:
    plain = ask(server.base, target)
    answer = ask(server.base, target, headers)
    assert answer.status == status
    if status == 200:
        assert answer.body == plain.body
        head = ask(server.base, target, headers, "HEAD")
        assert (head.status, head.body) == (200, b"")
        for name in ("ETag", "Content-Length", "Content-Type", "Cache-Control"):
            assert head.headers[name] == answer.headers[name] == plain.headers[name]
    else:
        assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("condition", [{}, {"If-None-Match": "*"}, {"If-Match": '"other"'}])
def test_a_video_is_described_in_the_same_way_with_a_query(
    server: Server, condition: dict[str, str]
) -> None:
    """Quart answers what has a query, and a middleware what has none."""

    def described(target: str) -> tuple[int, bytes, list[tuple[str, str]], Any]:
        answer = ask(server.base, target, condition)
        line = server.wait_for_log(request_id=answer.headers["X-Request-ID"])
        logged = [line[name] for name in ("method", "route", "path", "status", "bytes", "outcome")]
        headers = [
            (name, value)
            for name, value in answer.headers.items()
            if name.lower() not in {"date", "x-request-id"}
        ]
        return answer.status, answer.body, headers, logged

    series = 'reelay_requests_total{method="GET",route="api_video",status="%d"}'
    target = "/api/videos/films/x1.mp4"
    plain = described(target)
    before = server.metric(series % plain[0])
    assert described(f"{target}?unknown=1") == plain
    assert described(target) == plain
    assert server.metric(series % plain[0]) == before + 2


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/api/videos?limit=0", 400),
        ("/api/videos?cursor=x", 400),
        ("/api/videos?folder=nowhere", 404),
        ("/api/videos/nothing.mp4", 404),
    ],
)
def test_errors_have_no_entity_tag_and_come_before_conditions(
    server: Server, target: str, status: int
) -> None:
    answer = ask(server.base, target, {"If-None-Match": "*"})
    assert answer.status == status
    assert answer.headers["ETag"] is None
    assert answer.headers["Cache-Control"] == "no-store"


def test_equal_libraries_have_equal_entity_tags_and_a_change_alters_them(
    tmp_path: Path,
) -> None:
    media = tmp_path / "media"
    write(media, "a/one.mp4", b"no video")
    write(media, "two.mp4", b"no video")
    targets = ["/api/videos", "/api/videos?folder=", "/api/videos/two.mp4"]

    def tags(server: Server) -> list[str]:
        return [entity_tag(ask(server.base, target)) for target in targets]

    def settled(server: Server) -> Any:
        return all(video["state"] != "pending" for video in listing(server)["videos"]) or None

    with serve(media) as first:
        with serve(media, DERIVED=str(tmp_path / "other")) as second:
            for server in (first, second):
                until(lambda server=server: settled(server), "all are probed")
            assert tags(first) == tags(second)
            before = tags(first)
            assert len(set(before)) == len(before)
        write(media, "new", b"no video at all", age=1800).rename(media / "two.mp4")

        def changed() -> Any:
            return tags(first)[0] != before[0] or None

        until(changed, "the change is listed")
        headers = {"If-None-Match": before[0]}
        assert ask(first.base, targets[0], headers).status == 200
