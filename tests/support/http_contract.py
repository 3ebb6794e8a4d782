"""Tests that both the service alone and the whole stack must pass, with an `origin` fixture."""

import html
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from urllib.parse import quote

import pytest

from service.protocol.range_cases import (
    UNSATISFIABLE,
    WHOLE,
    CapCase,
    ConditionCase,
    RangeCase,
    cap_cases,
    condition_cases,
    range_cases,
)
from support.mp4_boxes import FTYP, box, moov, table, track
from support.raw_http import Answer, ask, connect, url_of
from support.server import BLOCK, SIZE, content, until, write

DATA = content()
MODIFIED = 784111777  # RFC 9110 §5.6.7: Sun, 06 Nov 1994 08:49:37 GMT
REVISION = f"{SIZE:x}-{MODIFIED * 10**9:x}"
TAG = f'"{REVISION}"'
DAY = 86400

# A film with its index (moov) at the end, and its fast-start layout: the chunk offsets grow by the
# size of the index.
_MEDIA = box(b"mdat", content(2 * BLOCK + 777, 60))
_OFFSETS = [len(FTYP) + 8, len(FTYP) + 1000, len(FTYP) + BLOCK]
_INDEX = moov(track(table(_OFFSETS)))
ORIGINAL = FTYP + _MEDIA + _INDEX
FAST_START = FTYP + moov(track(table([offset + len(_INDEX) for offset in _OFFSETS]))) + _MEDIA
FILM_REVISION = f"{len(ORIGINAL):x}-{MODIFIED * 10**9:x}"
CONDITIONS = condition_cases(
    TAG, formatdate(MODIFIED, usegmt=True),
    formatdate(MODIFIED - DAY, usegmt=True), formatdate(MODIFIED + DAY, usegmt=True),
)  # fmt: skip

TARGETS = ["/media/file.mp4", "/download/file.mp4", "/", "/api/videos"]

NAMES = [
    "with space.mp4",
    "ümläut äöü ß.mp4",
    "emoji 🎬 👨‍👩‍👧.mp4",
    "percent %41 100%.mp4",
    "hash #1.mp4",
    "question?.mp4",
    "a&b=c;d+e,f.mp4",
    'it\'s "quoted".mp4',
    "<script>alert(1)<.mp4",
    "日本語/キャプチャ 一.mp4",
    "dots..and...more.mp4",
    "~tilde[brackets]{braces}|pipe^caret`tick.mp4",
    "nfd-é nfc-é.mp4",
    "UPPER.MP4",
]

ESCAPES = [
    "../secret.mp4",
    "..%2fsecret.mp4",
    "%2e%2e/secret.mp4",
    "%2e%2e%2fsecret.mp4",
    "%252e%252e%252fsecret.mp4",
    "....//secret.mp4",
    "sub/../../secret.mp4",
    "sub/%2e%2e/%2e%2e/secret.mp4",
    "..%5csecret.mp4",
    "..\\secret.mp4",
    "sub%5c..%5c..%5csecret.mp4",
    "%00/../secret.mp4",
    "file.mp4%00",
    "file.mp4%00.mp4",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "//etc/passwd",
    "%c0%ae%c0%ae/secret.mp4",
    "link-out.mp4",
    "folder-out/secret.mp4",
    "circle.mp4",
    "not-media.txt",
    "fifo.mp4",
    "sub",
    "sub/",
    "",
    "file.mp4/",
    "file.mp4/x",
    "missing.mp4",
    "x" * 300 + ".mp4",
]


@dataclass(frozen=True)
class Origin:
    """A base URL and the folder that it serves."""

    base: str
    media: Path
    revisions: Mapping[str, str] = field(default_factory=dict)
    """The served revision for each revision in the folder, where they differ."""

    def own(self, text: str) -> str:
        """Return a text with the revisions of this origin filled in."""
        for original, served in self.revisions.items():
            text = text.replace(original, served)
        return text

    def replace(self, name: str, data: bytes, age: float = 3600) -> None:
        """Replace a file atomically, and return when the origin shows the new one."""
        write(self.media, "new-one", data, age=age).rename(self.media / name)

    def get(self, target: str, method: str = "GET", **headers: str) -> Answer:
        """Send a GET; underscores in the names of header fields become hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask(target, named, method)

    def ask(self, target: str, headers: Mapping[str, str], method: str = "GET") -> Answer:
        """Send a GET with these header fields."""
        return ask(self.base, target, headers, method)


def fill(media: Path) -> None:
    """Write the files that these tests request."""
    media.mkdir(parents=True, exist_ok=True)
    media.chmod(0o755)
    write(media, "file.mp4", DATA)
    os.utime(media / "file.mp4", (MODIFIED, MODIFIED))
    os.utime(write(media, "film.mov", ORIGINAL), (MODIFIED, MODIFIED))
    for seed, name in enumerate(NAMES, start=10):
        write(media, name, content(2000, seed))
    write(media, "empty.mp4", b"")
    write(media, "sub/inside.mp4", content(3000, 2))
    write(media, "not-media.txt", b"text")
    write(media, ".hidden.mp4", content(1000, 3))
    write(media.parent, "secret.mp4", b"secret")
    (media / "link-in.mp4").symlink_to("sub/inside.mp4")
    (media / "folder-in").symlink_to("sub")
    (media / "link-out.mp4").symlink_to("../secret.mp4")
    (media / "folder-out").symlink_to("..")
    (media / "circle.mp4").symlink_to("circle.mp4")
    os.mkfifo(media / "fifo.mp4")


def check_partial(answer: Answer, expected: list[tuple[int, int]], origin: Origin) -> None:
    """Check that a 206 has the expected spans."""
    assert answer.status == 206
    assert answer.headers["Content-Length"] == str(len(answer.body))
    check_validators(answer, origin)
    if len(expected) == 1:
        assert answer.headers["Content-Type"] == "video/mp4"
        assert answer.span() == expected[0]
        assert answer.headers["Content-Range"].endswith(f"/{SIZE}")
        assert answer.body == DATA[expected[0][0] : expected[0][1] + 1]
    else:
        assert answer.headers["Content-Type"].startswith("multipart/byteranges; boundary=")
        assert "Content-Range" not in answer.headers
        parts = answer.parts()
        assert [span for span, _ in parts] == expected
        assert all(data == DATA[first : last + 1] for (first, last), data in parts)


def check_validators(answer: Answer, origin: Origin) -> None:
    """Check that an answer (200, 206 or 304) has each validator of the file once."""
    expected = {
        "ETag": origin.own(TAG),
        "Last-Modified": "Sun, 06 Nov 1994 08:49:37 GMT",
        "Accept-Ranges": "bytes",
        "X-Content-Type-Options": "nosniff",
    }
    for name, value in expected.items():
        assert answer.headers.get_all(name) == [value], name
    assert len(answer.headers.get_all("Cache-Control") or []) == 1


class Contract:
    """Tests of ranges, preconditions and file names that compare every byte."""

    @pytest.mark.parametrize("case", range_cases(SIZE), ids=lambda case: case.name)
    def test_download_ranges_follow_rfc_9110(self, origin: Origin, case: RangeCase) -> None:
        answer = origin.get("/download/file.mp4", Range=case.header)
        if case.expected == WHOLE:
            assert answer.status == 200
            assert answer.body == DATA
            check_validators(answer, origin)
        elif case.expected == UNSATISFIABLE:
            assert answer.status == 416
            assert answer.headers["Content-Range"] == f"bytes */{SIZE}"
            assert answer.headers["Content-Type"] == "application/problem+json"
        else:
            assert isinstance(case.expected, list)
            check_partial(answer, case.expected, origin)

    @pytest.mark.parametrize("case", cap_cases(SIZE, BLOCK), ids=lambda case: case.name)
    def test_media_ranges_are_capped_at_the_block(self, origin: Origin, case: CapCase) -> None:
        check_partial(origin.get("/media/file.mp4", Range=case.header), case.expected, origin)

    @pytest.mark.parametrize("case", CONDITIONS, ids=lambda case: case.name)
    @pytest.mark.parametrize("query", ["", f"?v={REVISION}"], ids=["unpinned", "pinned"])
    def test_preconditions_are_evaluated_in_rfc_order(
        self, origin: Origin, case: ConditionCase, query: str
    ) -> None:
        headers = {"Range": "bytes=0-9", **case.headers}
        headers = {name: origin.own(value) for name, value in headers.items()}
        answer = origin.ask(f"/media/file.mp4{origin.own(query)}", headers)
        assert answer.status == case.status
        if case.status == 206:
            check_partial(answer, [(0, 9)], origin)
        elif case.status == 200:
            assert answer.body == DATA
            check_validators(answer, origin)
        elif case.status == 304:
            assert answer.body == b""
            check_validators(answer, origin)
        else:
            assert answer.headers["Content-Type"] == "application/problem+json"

    def test_a_duplicate_range_field_is_ignored_or_refused(self, origin: Origin) -> None:
        connection = connect(origin.base)
        connection.putrequest("GET", "/media/sub/inside.mp4")
        connection.putheader("Range", "bytes=0-1")
        connection.putheader("Range", "bytes=3-4")
        connection.endheaders()
        response = connection.getresponse()
        body = response.read()
        connection.close()
        assert response.status in {200, 400}  # ignored (RFC 9110 §14.2), or refused by nginx
        assert response.status == 400 or body == content(3000, 2)

    @pytest.mark.parametrize("route", ["media", "download"])
    @pytest.mark.parametrize("query", ["", f"?v={REVISION}"], ids=["unpinned", "pinned"])
    def test_without_range_the_whole_file_is_sent(
        self, origin: Origin, route: str, query: str
    ) -> None:
        answer = origin.get(f"/{route}/file.mp4{origin.own(query)}")
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "video/mp4"
        assert answer.headers["Content-Length"] == str(SIZE)
        assert answer.body == DATA
        check_validators(answer, origin)

    @pytest.mark.parametrize("route", ["media", "download"])
    def test_head_is_get_without_range_and_without_body(self, origin: Origin, route: str) -> None:
        whole = origin.get(f"/{route}/file.mp4")
        head = origin.get(f"/{route}/file.mp4", "HEAD", Range="bytes=0-9")
        assert head.status == 200
        assert head.body == b""
        varying = {"date", "x-request-id", "x-cache"}
        assert {n.lower(): v for n, v in head.headers.items() if n.lower() not in varying} == {
            n.lower(): v for n, v in whole.headers.items() if n.lower() not in varying
        }

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
    @pytest.mark.parametrize("target", TARGETS)
    def test_other_methods_are_405(self, origin: Origin, method: str, target: str) -> None:
        answer = origin.get(target, method)
        assert answer.status == 405
        assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"

    @pytest.mark.parametrize("method", ["BREW", "PROPFIND"])
    @pytest.mark.parametrize("target", [*TARGETS, "/nothing"])
    def test_unknown_methods_are_501(self, origin: Origin, method: str, target: str) -> None:
        assert origin.get(target, method).status == 501  # RFC 9110 §9.1

    @pytest.mark.parametrize("target", TARGETS)
    def test_options_lists_the_methods(self, origin: Origin, target: str) -> None:
        answer = origin.get(target, "OPTIONS")
        assert (answer.status, answer.body) == (204, b"")
        assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"

    def test_consecutive_ranges_read_every_byte_once(self, origin: Origin) -> None:
        position, bodies = 0, []
        while position < SIZE:
            answer = origin.get("/media/file.mp4", Range=f"bytes={position}-")
            first, last = answer.span()
            assert first == position
            assert len(answer.body) == last - first + 1
            bodies.append(answer.body)
            position = last + 1
        assert b"".join(bodies) == DATA
        assert len(bodies) == 4

    def test_pinned_answers_are_immutable_and_unpinned_ones_revalidated(
        self, origin: Origin
    ) -> None:
        for target in ("/media/file.mp4", "/download/file.mp4"):
            for value in ("bytes=0-", "bytes=5-9", "bytes=-5", "bytes=0-1,5-6"):
                pinned = origin.get(origin.own(f"{target}?v={REVISION}"), Range=value)
                assert pinned.status == 206
                assert pinned.headers["Cache-Control"] == "public, max-age=31536000, immutable"
                unpinned = origin.get(target, Range=value)
                assert unpinned.headers["Cache-Control"] == "no-cache"

    @pytest.mark.parametrize(
        "pin",
        ["1-1", "x", "", "%22", f"{REVISION}0", f"{REVISION}-f3", f"{REVISION}&v=1"],
    )
    @pytest.mark.parametrize("headers", [{}, {"Range": "bytes=0-9"}, {"If-Match": '"x"'}])
    def test_a_different_revision_is_410(
        self, origin: Origin, pin: str, headers: dict[str, str]
    ) -> None:
        answer = origin.ask(f"/media/file.mp4?v={origin.own(pin)}", headers)
        if pin.endswith("&v=1"):  # the first one counts
            assert answer.status in {200, 206, 412}
            return
        assert answer.status == 410
        assert answer.headers["Cache-Control"] == "no-store"
        assert len(answer.body) < 1000

    @pytest.mark.parametrize(
        ("target", "tag", "data"),
        [
            ("/media/film.mov", f"{FILM_REVISION}-f3", FAST_START),
            (f"/media/film.mov?v={FILM_REVISION}-f3", f"{FILM_REVISION}-f3", FAST_START),
            (f"/media/film.mov?v={FILM_REVISION}", FILM_REVISION, ORIGINAL),
            ("/download/film.mov", FILM_REVISION, ORIGINAL),
            (f"/download/film.mov?v={FILM_REVISION}", FILM_REVISION, ORIGINAL),
        ],
    )
    def test_media_has_moov_in_front_and_download_is_the_original(
        self, origin: Origin, target: str, tag: str, data: bytes
    ) -> None:
        target, tag = origin.own(target), origin.own(tag)
        size, index = len(data), data.index(b"moov")
        spans = [(0, size), (5, 10), (BLOCK, 2 * BLOCK), (index - 9, index + 99), (BLOCK + 5, size)]
        for start, end in [*spans, *spans]:  # the second time they are cached
            range_value = f"bytes={start}-{end - 1}"
            for headers in ({"Range": range_value}, {"Range": range_value, "If-Range": f'"{tag}"'}):
                answer = origin.ask(target, headers)
                assert answer.status == 206
                last = end
                if target.startswith("/media/"):
                    last = min(end, start // BLOCK * BLOCK + BLOCK)
                assert answer.headers["Content-Range"] == f"bytes {start}-{last - 1}/{size}"
                assert answer.body == data[start:last]
                assert answer.headers["ETag"] == f'"{tag}"'
        assert origin.get(target).body == data
        assert origin.get(target, If_None_Match=f'"{tag}"').status == 304
        # The two layouts have different bytes and the same date.
        date = formatdate(MODIFIED, usegmt=True)
        by_date = origin.get(target, Range="bytes=5-9", If_Range=date)
        assert by_date.status == (200 if data is FAST_START else 206)

    def test_the_fast_start_layout_cannot_be_downloaded(self, origin: Origin) -> None:
        for pin in (f"{FILM_REVISION}-f3", f"{FILM_REVISION}-f1"):
            for headers in ({}, {"Range": "bytes=0-"}, {"Range": "bytes=5-9"}):
                target = origin.own(f"/download/film.mov?v={pin}")
                assert origin.ask(target, headers).status == 410

    @pytest.mark.parametrize("path", NAMES)
    def test_every_file_name_works_on_all_routes(self, origin: Origin, path: str) -> None:
        data = (origin.media / path).read_bytes()
        assert origin.get(url_of("media", path)).body == data
        assert origin.get(url_of("media", path), Range="bytes=3-9").body == data[3:10]
        download = origin.get(url_of("download", path), Range="bytes=7-")
        assert download.body == data[7:]
        disposition = download.headers["Content-Disposition"]
        assert disposition.startswith("attachment; ")
        name = path.rpartition("/")[2]
        # RFC 8187 §3.2.1: everything but attr-char is escaped.
        assert disposition.endswith(f"filename*=UTF-8''{quote(name, safe='!#$&+-.^_`|~')}")
        video = json.loads(origin.get(url_of("api/videos", path)).body)
        assert video["path"] == path
        assert origin.get(video["media_url"]).body == data
        assert origin.get(video["download_url"]).body == data
        page = origin.get(video["watch_url"])
        assert page.status == 200
        assert f'src="{html.escape(video["media_url"])}"' in page.body.decode()
        assert "<script>alert" not in page.body.decode()

    @pytest.mark.parametrize("target", ESCAPES)
    @pytest.mark.parametrize("route", ["media", "download", "watch", "embed", "api/videos"])
    def test_nothing_outside_the_root_is_served(
        self, origin: Origin, route: str, target: str
    ) -> None:
        answer = origin.get(f"/{route}/{target}")
        assert answer.status in self.refusals
        assert b"secret" not in answer.body.replace(b"secret.mp4", b"")
        assert b"root:" not in answer.body

    refusals = frozenset({404})

    @pytest.mark.parametrize("target", ["//media/file.mp4", "//", "///api/videos", "//metrics"])
    def test_a_path_with_two_leading_slashes_is_404(self, origin: Origin, target: str) -> None:
        assert origin.get(target).status == 404

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    @pytest.mark.parametrize("value", ["bytes=0-9", "bytes=-9", "bytes=0-1,5-6"])
    def test_an_unescaped_file_name_gets_the_expected_status(
        self, origin: Origin, method: str, value: str
    ) -> None:
        # RFC 3986 requires escaping; curl and old players send it unescaped.
        connection = connect(origin.base)
        target = b"/media/" + "ümläut äöü ß.mp4".replace(" ", "%20").encode()
        request = f"{method} ".encode() + target + b" HTTP/1.1\r\nHost: x\r\nRange: "
        connection.connect()
        assert connection.sock
        connection.sock.sendall(request + value.encode() + b"\r\nConnection: close\r\n\r\n")
        status = int(connection.sock.recv(12).split()[1])
        connection.close()
        assert status in self.unescaped[method]

    unescaped = {"GET": {400}, "HEAD": {400}}  # noqa: RUF012 # h11 refuses it

    def test_symlinks_within_the_root_are_followed(self, origin: Origin) -> None:
        for target in ("/media/link-in.mp4", "/media/folder-in/inside.mp4"):
            assert origin.get(target).body == content(3000, 2)

    def test_hidden_files_are_left_out(self, origin: Origin) -> None:
        for route in ("media", "download"):
            assert origin.get(f"/{route}/.hidden.mp4").status == 404

    def test_empty_files_are_served_but_not_listed(self, origin: Origin) -> None:
        empty = origin.get("/media/empty.mp4")
        assert (empty.status, empty.body, empty.headers["Content-Length"]) == (200, b"", "0")
        assert origin.get("/media/empty.mp4", Range="bytes=0-").status == 416
        revision = empty.headers["ETag"].strip('"')
        assert origin.get(f"/media/empty.mp4?v={revision}").status == 200
        assert origin.get(f"/download/empty.mp4?v={revision}").status == 200
        listing = json.loads(origin.get("/api/videos?limit=200").body)
        paths = {video["path"] for video in listing["videos"]}
        assert paths >= {"file.mp4", "sub/inside.mp4", *NAMES}
        assert not paths & {".hidden.mp4", "empty.mp4", "not-media.txt", "link-out.mp4"}

    def test_errors_are_problem_json_or_html_pages(self, origin: Origin) -> None:
        problem = origin.get("/media/missing.mp4")
        assert problem.status == 404
        assert problem.headers["Content-Type"] == "application/problem+json"
        assert json.loads(problem.body)["status"] == 404
        accept = "text/html,application/xhtml+xml,*/*;q=0.8"
        page = origin.get("/watch/missing.mp4", Accept=accept)
        assert page.status == 404
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        assert b"<h1" in page.body

    def test_a_replaced_file_is_served_at_once_and_never_mixed(self, origin: Origin) -> None:
        old, new = content(2 * BLOCK, 40), content(2 * BLOCK, 41)
        origin.replace("replaced.mp4", old)
        first = origin.get("/media/replaced.mp4", Range="bytes=0-")
        assert first.body == old[:BLOCK]
        origin.replace("replaced.mp4", new, age=1800)
        second = origin.get("/media/replaced.mp4", Range=f"bytes={BLOCK}-")
        assert second.body == new[BLOCK:]
        assert second.headers["ETag"] != first.headers["ETag"]
        # RFC 9110 §13.1.5: the old file is gone, so the whole new one is sent.
        third = origin.get(
            "/media/replaced.mp4", Range=f"bytes={BLOCK}-", If_Range=first.headers["ETag"]
        )
        assert (third.status, third.body) == (200, new)
        old_revision = first.headers["ETag"].strip('"')
        gone = origin.get(f"/media/replaced.mp4?v={old_revision}", Range=f"bytes={BLOCK + 1}-")
        assert gone.status == 410

    def test_a_file_just_written_is_served_but_not_cached(self, origin: Origin) -> None:
        for seed in (50, 51, 52):
            data = content(5000, seed)
            origin.replace("fresh.mp4", data, age=0)
            answer = origin.get("/media/fresh.mp4", Range="bytes=100-")
            assert answer.body == data[100:]
            pinned = f"/media/fresh.mp4?v={answer.headers['ETag'].strip(chr(34))}"
            assert origin.get(pinned, Range="bytes=0-").body == data
            time.sleep(0.01)

    def test_the_library_page_lists_and_searches(self, origin: Origin) -> None:
        def find_page() -> str | None:
            page = origin.get("/?q=inside").body.decode()
            return page if "sub" in page and "inside" in page else None

        page = until(find_page, "the file is listed")
        assert 'href="/watch/sub/inside.mp4"' in page
        assert "/watch/file.mp4" not in page
        assert origin.get("/?q=nothing+at+all").status == 200

    @pytest.mark.parametrize(
        "query",
        ["limit=0", "limit=x", "limit=201", "sort=colour", "cursor=x", "cursor=e30=", "a=b"],
    )
    def test_an_invalid_query_parameter_is_named(self, origin: Origin, query: str) -> None:
        answer = origin.get(f"/api/videos?{query}")
        assert answer.status == 400
        detail = json.loads(answer.body)["detail"]
        assert query.partition("=")[0] in detail

    def test_paging_lists_every_video_once_in_order(self, origin: Origin) -> None:
        target, seen = "/api/videos?limit=3&sort=size", []
        while target:
            page = json.loads(origin.get(target).body)
            assert len(page["videos"]) <= 3
            seen += [(video["size"], video["path"]) for video in page["videos"]]
            target = page["next_url"]
        assert seen == sorted(seen)
        assert len(seen) == page["total"]

    def test_pages_have_a_strict_policy(self, origin: Origin) -> None:
        for target in ("/", "/watch/file.mp4", "/watch/missing.mp4"):
            answer = origin.get(target, Accept="text/html")
            policy = answer.headers.get_all("Content-Security-Policy")
            assert policy
            assert len(policy) == 1
            assert policy[0].startswith("default-src 'none'; ")
            assert "unsafe" not in policy[0]
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
