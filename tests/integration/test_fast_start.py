"""Films with their moov at the end, played and downloaded from a running service."""

import json
import os
import random
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from email.utils import formatdate
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route
from support.mp4_boxes import FTYP, box, boxes, dref, index_of, moov, table
from support.raw_http import Answer, ask
from support.server import BLOCK, Server, serve, until, write

from service.protocol.range_cases import ConditionCase, condition_cases

MODIFIED = 784111777  # RFC 9110 §5.6.7: Sun, 06 Nov 1994 08:49:37 GMT
DATES = [formatdate(MODIFIED + days * 86400, usegmt=True) for days in (0, -1, 1)]

# At a constant rate of bits, a small picture takes as many bytes, and less time to decode.
PICTURE = ("-f", "lavfi", "-i", "testsrc2=size=160x90:rate=25:duration=12")
SOUND = ("-f", "lavfi", "-i", "sine=frequency=440:duration=12")
CODECS = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "25",
          "-b:v", "4M", "-minrate", "4M", "-maxrate", "4M", "-bufsize", "2M",
          "-x264-params", "nal-hrd=cbr", "-c:a", "aac")  # fmt: skip


def ffmpeg(path: Path, *arguments: str | Path) -> Path:
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not on PATH, and the films of these tests are made with it")
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", *arguments, path], check=True)
    os.utime(path, (MODIFIED, MODIFIED))
    return path


def with_offsets(moov: bytes, new_offsets: dict[int, int]) -> bytes:
    """Return a moov with other chunk offsets of the same width."""
    for width, offsets in index_of(moov).tables:
        code = f">{len(offsets)}{'I' if width == 4 else 'Q'}"
        old = struct.pack(code, *offsets)
        assert moov.count(old) == 1
        moov = moov.replace(old, struct.pack(code, *(new_offsets[offset] for offset in offsets)))
    return moov


def split_film(film: bytes) -> tuple[bytes, int, bytes]:
    """Return a film's moov, the offset of its first chunk, and all chunks."""
    payloads = dict(boxes(film))
    moov = box(b"moov", payloads[b"moov"])
    assert film.endswith(moov)
    start = min(offset for _, offsets in index_of(moov).tables for offset in offsets)
    return moov, start, film[start : -len(moov)]


def in_two_mdats(film: bytes) -> bytes:
    """Move every second chunk into an mdat after the moov."""
    moov, start, data = split_film(film)
    chunks = sorted({offset for _, offsets in index_of(moov).tables for offset in offsets})
    ends = dict(zip(chunks, [*chunks[1:], start + len(data)], strict=True))
    first, second = chunks[::2], chunks[1::2]
    new_offsets, position = {}, len(FTYP) + 8
    for offset in first:
        new_offsets[offset] = position
        position += ends[offset] - offset
    position += len(moov) + 8
    for offset in second:
        new_offsets[offset] = position
        position += ends[offset] - offset
    mdats = [box(b"mdat", *(film[o : ends[o]] for o in part)) for part in (first, second)]
    return FTYP + mdats[0] + with_offsets(moov, new_offsets) + mdats[1]


def write_far(file: Path, film: bytes) -> None:
    """Write a film with a gap in its mdat, so that the last chunk begins at 2**32 - 1."""
    moov, start, data = split_film(film)
    offsets = {offset for _, offsets in index_of(moov).tables for offset in offsets}
    shift = 2**32 - 1 - max(offsets)
    new_offsets = {offset: offset + shift for offset in offsets}
    with file.open("wb") as sparse:
        sparse.write(FTYP + struct.pack(">I4sQ", 1, b"mdat", start + shift + len(data) - len(FTYP)))
        sparse.seek(start + shift)
        sparse.write(data + with_offsets(moov, new_offsets))
    os.utime(file, (MODIFIED, MODIFIED))


FAST_START = ["end.mp4", "end.mov", "sound.m4a", "long length.mp4", "in two.mp4", "far.mp4"]
UNCHANGED = ["front.mp4", "fragments.mp4", "other.mkv", "cut off.mp4"]


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fast") / "media"
    folder.mkdir()
    end = ffmpeg(folder / "end.mp4", *PICTURE, *SOUND, *CODECS)
    copy = ("-i", end, "-c", "copy")
    ffmpeg(folder / "end.mov", *copy)
    ffmpeg(folder / "sound.m4a", *copy, "-vn")
    ffmpeg(folder / "front.mp4", *copy, "-movflags", "+faststart")
    ffmpeg(folder / "fragments.mp4", *copy, "-movflags", "+frag_keyframe+empty_moov")
    ffmpeg(folder / "other.mkv", *copy, "-c:a", "libvorbis")  # not made an MP4
    film = end.read_bytes()
    short = box(b"free") + struct.pack(">I4s", dict(box_lengths(film))[b"mdat"], b"mdat")
    assert film.count(short) == 1
    long = struct.pack(">I4sQ", 1, b"mdat", dict(box_lengths(film))[b"mdat"] + 8)
    for name, data in {
        "long length.mp4": film.replace(short, long),
        "in two.mp4": in_two_mdats(film),
        "cut off.mp4": film[:-100],
    }.items():
        os.utime(write(folder, name, data), (MODIFIED, MODIFIED))
    write_far(folder / "far.mp4", film)
    return folder


def box_lengths(film: bytes) -> Iterator[tuple[bytes, int]]:
    for kind, content in boxes(film):
        yield kind, 8 + len(content)


@pytest.fixture(scope="module")
def server(media: Path) -> Iterator[Server]:
    with serve(media) as server:
        yield server


def revision_of(media: Path, name: str) -> str:
    """Return the plain revision of a file: size and modification time in nanoseconds."""
    return f"{(media / name).stat().st_size:x}-{MODIFIED * 10**9:x}"


def url_for(route: str, name: str, pin: str = "") -> str:
    return f"/{route}/{name.replace(' ', '%20')}" + (f"?v={pin}" if pin else "")


def get(server: Server, where: str, **headers: str) -> Answer:
    return ask(server.base, where, {name.replace("_", "-"): v for name, v in headers.items()})


def frames(source: str | Path) -> str:
    """Return FFmpeg's hash of every decoded video and audio frame."""
    # FFmpeg reconnects because the block size limit makes answers shorter than it requested.
    options = ["-reconnect", "1"] if str(source).startswith("http") else []
    command = ["ffmpeg", "-nostdin", "-loglevel", "fatal", *options, "-i", source]
    done = subprocess.run(
        [*command, "-f", "framemd5", "-"], check=True, capture_output=True, text=True
    )
    assert len(done.stdout.splitlines()) > 300
    return done.stdout


@pytest.mark.parametrize("name", FAST_START)
def test_every_decoded_frame_equals_that_of_the_file(
    server: Server, media: Path, name: str
) -> None:
    plain = revision_of(media, name)
    head = ask(server.base, url_for("media", name), method="HEAD")
    assert head.headers["ETag"] == f'"{plain}-f3"'
    assert frames(server.base + url_for("media", name)) == frames(media / name)


def test_offsets_beyond_32_bits_are_rewritten_with_64_bits(server: Server, media: Path) -> None:
    """Moving the moov to the front pushes the offsets of far.mp4 beyond 32 bits."""
    answer = get(server, url_for("media", "far.mp4"), Range=f"bytes={len(FTYP)}-{BLOCK - 1}")
    kind, content = next(boxes(answer.body[: struct.unpack_from(">I", answer.body)[0]]))
    assert kind == b"moov"
    tables = index_of(box(kind, content)).tables
    assert 8 in {width for width, _ in tables}
    assert max(offset for _, offsets in tables for offset in offsets) > 2**32


@pytest.mark.parametrize("name", ["end.mp4", "end.mov", "sound.m4a", "long length.mp4"])
def test_the_moov_equals_that_of_qt_faststart(
    server: Server, media: Path, tmp_path: Path, name: str
) -> None:
    """FFmpeg's tool places the moov at a slightly different offset."""
    if shutil.which("qt-faststart") is None:
        pytest.skip("qt-faststart is not on PATH")
    subprocess.run(
        ["qt-faststart", media / name, tmp_path / "out"], check=True, capture_output=True
    )
    data = get(server, url_for("media", name)).body
    assert dict(boxes(data)) == dict(boxes((tmp_path / "out").read_bytes()))
    kinds = [kind for kind, _ in boxes(data)]
    assert kinds.index(b"moov") < kinds.index(b"mdat")


@pytest.mark.parametrize("name", UNCHANGED)
def test_other_files_are_served_unchanged(server: Server, media: Path, name: str) -> None:
    plain = revision_of(media, name)
    os.utime(media / name, (MODIFIED, MODIFIED))
    for route in ("media", "download"):
        answer = get(server, url_for(route, name))
        assert answer.body == (media / name).read_bytes()
        assert answer.headers["ETag"] == f'"{plain}"'
    assert get(server, url_for("media", name, f"{plain}-f3")).status == 410


def test_downloads_and_plain_revisions_are_the_original_file(server: Server, media: Path) -> None:
    data, plain = (media / "end.mp4").read_bytes(), revision_of(media, "end.mp4")
    for where in (
        url_for("download", "end.mp4"),
        url_for("download", "end.mp4", plain),
        url_for("media", "end.mp4", plain),
    ):
        answer = get(server, where)
        assert answer.body == data
        assert answer.headers["ETag"] == f'"{plain}"'
    assert (media / "end.mp4").stat().st_mtime == MODIFIED


def test_a_revision_is_bound_to_its_layout_and_route(server: Server, media: Path) -> None:
    plain = revision_of(media, "end.mp4")
    fast_start = get(server, url_for("media", "end.mp4"))
    pinned = get(server, url_for("media", "end.mp4", f"{plain}-f3"))
    assert pinned.body == fast_start.body != (media / "end.mp4").read_bytes()
    assert pinned.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert fast_start.headers["Cache-Control"] == "no-cache"
    assert get(server, url_for("download", "end.mp4", f"{plain}-f3")).status == 410
    for invalid in (f"{plain}-f2", f"{plain}-f", f"{plain}-f3-f3", f"0{plain}-f3", "-f3"):
        assert get(server, url_for("media", "end.mp4", invalid)).status == 410


def test_the_edge_gets_the_revision_for_either_route(server: Server, media: Path) -> None:
    def revision_for_edge(path: str) -> str | None:
        answer = get(server, f"/_revision?path={path}")
        assert answer.status == 204
        return answer.headers["X-Revision"]

    plain = revision_of(media, "end.mp4")
    assert revision_for_edge("/media/end.mp4") == f"{plain}-f3"
    assert revision_for_edge("/download/end.mp4") == plain
    assert (
        revision_for_edge("/media/front.mp4")
        == revision_for_edge("/download/front.mp4")
        == revision_of(media, "front.mp4")
    )
    for unknown in ("/end.mp4", "/watch/end.mp4", "/media/", "/media", "", "/media/missing.mp4"):
        assert revision_for_edge(unknown) is None


@pytest.mark.parametrize("name", ["end.mp4", "in two.mp4"])
def test_every_range_is_a_slice_of_the_rearranged_file(server: Server, name: str) -> None:
    data = get(server, url_for("media", name)).body
    size, chance = len(data), random.Random(5)  # noqa: S311 # spans, no secrets
    moov = data.index(b"moov") - 4
    edges = [0, moov, moov + struct.unpack_from(">I", data, moov)[0], BLOCK, size - 1]
    starts = [max(0, edge + shift) for edge in edges for shift in (-5, -1, 0)]
    starts += [chance.randrange(size) for _ in range(60)]
    for start in starts:
        last = chance.choice([start, start + 9, start + chance.randrange(size), size * 2])
        end = min(last + 1, size, start // BLOCK * BLOCK + BLOCK)  # at most to the end of the block
        answer = get(server, url_for("media", name), Range=f"bytes={start}-{last}")
        assert answer.status == 206
        assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{size}"
        assert answer.body == data[start:end]
    assert get(server, url_for("media", name), Range="bytes=-7").body == data[-7:]
    several = get(server, url_for("media", name), Range=f"bytes=-5,{moov - 3}-{moov + 20}").parts()
    assert several == [
        ((size - 5, size - 1), data[-5:]),
        ((moov - 3, moov + 20), data[moov - 3 : moov + 21]),
    ]
    beyond = get(server, url_for("media", name), Range=f"bytes={size}-")
    assert (beyond.status, beyond.headers["Content-Range"]) == (416, f"bytes */{size}")


def cases(tag: str, *, dated: bool) -> list[ConditionCase]:
    return condition_cases(tag, *DATES, dated=dated)


@pytest.mark.parametrize("pinned", [False, True], ids=["unpinned", "pinned"])
@pytest.mark.parametrize("fast_start", [False, True], ids=["original", "fast start"])
def test_conditions_apply_as_for_any_representation(
    server: Server,
    media: Path,
    pinned: bool,  # noqa: FBT001 # as in the table
    fast_start: bool,  # noqa: FBT001
) -> None:
    """Except that a date does not validate a rearranged file."""
    tag = revision_of(media, "end.mp4") + ("-f3" if fast_start else "")
    url = url_for("media" if fast_start else "download", "end.mp4", tag if pinned else "")
    data = get(server, url).body
    for case in cases(f'"{tag}"', dated=not fast_start):
        answer = ask(server.base, url, {"Range": "bytes=0-9", **case.headers})
        assert answer.status == case.status, case.name
        if case.status in {200, 206, 304}:
            assert answer.headers["ETag"] == f'"{tag}"', case.name
            assert answer.headers["Last-Modified"] == DATES[0]
        expected = {206: data[:10], 200: data, 304: b""}.get(case.status)
        assert expected is None or answer.body == expected, case.name


def test_a_replaced_film_is_noticed_at_once_and_never_mixed(server: Server, media: Path) -> None:
    film = (media / "end.mp4").read_bytes()
    file = write(media, "replaced.mp4", film)
    first = get(server, "/media/replaced.mp4", Range="bytes=0-")
    tag = first.headers["ETag"]
    assert tag.endswith('-f3"')
    write(media, "new-one", (media / "in two.mp4").read_bytes(), age=1800).rename(file)
    second = get(server, "/media/replaced.mp4", Range=f"bytes={BLOCK}-", If_Range=tag)
    assert second.status == 200
    assert second.body == get(server, url_for("media", "in two.mp4")).body
    for pin in (tag.strip('"'), tag.strip('"').removesuffix("-f3")):
        assert get(server, f"/media/replaced.mp4?v={pin}", Range="bytes=0-").status == 410
    write(media, "new-one", (media / "front.mp4").read_bytes(), age=900).rename(file)
    assert get(server, "/media/replaced.mp4").body == (media / "front.mp4").read_bytes()
    file.unlink()
    assert get(server, "/media/replaced.mp4").status == 404


def test_pages_and_json_link_to_the_fast_start_revision(server: Server, media: Path) -> None:
    def probed(name: str) -> dict[str, str] | None:
        video = json.loads(get(server, url_for("api/videos", name)).body)
        assert video.get("state") != "failed"
        return video if video.get("state") == "probed" else None

    for name in ("end.mp4", "front.mp4", "fragments.mp4", "other.mkv"):
        plain = revision_of(media, name)
        video = until(lambda: probed(name), f"{name} is probed")  # noqa: B023 # called at once
        rearranged = name == "end.mp4"
        assert video["metadata"]["fast_start"] is rearranged
        assert video["revision"] == plain
        assert video["media_url"] == url_for("media", name, f"{plain}-f3" if rearranged else plain)
        assert video["download_url"] == url_for("download", name, plain)
        assert get(server, video["media_url"], Range="bytes=0-9").status == 206
        assert f'src="{video["media_url"]}"' in get(server, video["watch_url"]).body.decode()


# Many films with long moovs: 90 MiB together, mostly tables of sample sizes.

LONG_FILMS = 30


def bytes_read(server: Server) -> int:
    lines = Path(f"/proc/{server.process.pid}/io").read_text(encoding="ascii").splitlines()
    return int(dict(line.split(": ") for line in lines)["rchar"])


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_layouts_of_many_films_with_long_moovs_are_cached(
    tmp_path: Path,
) -> None:
    sizes = box(b"stsz", bytes(3 * 1024**2))
    chunk = len(FTYP) + 8

    def moov_at(offset: int) -> bytes:
        tables = box(b"stbl", box(b"stsd", bytes(8)), sizes, table([offset] * 1000))
        return moov(box(b"trak", box(b"mdia", box(b"minf", box(b"dinf", dref()), tables))))

    film = FTYP + box(b"mdat", b"media data") + moov_at(chunk)
    rearranged = FTYP + moov_at(chunk + len(moov_at(0))) + box(b"mdat", b"media data")
    media = tmp_path / "media"
    for number in range(LONG_FILMS):
        write(media, f"{number}.mp4", film, age=100 + number)

    def open_all(server: Server) -> int:
        before = bytes_read(server)
        for number in range(LONG_FILMS):
            answer = ask(server.base, f"/media/{number}.mp4", {"Range": "bytes=-10"})
            assert answer.status == 206
            assert answer.headers["ETag"].endswith('-f3"')
            assert answer.body == b"media data"
        return bytes_read(server) - before

    with serve(media, SETTLE_TIME="3600", LOG_LEVEL="warning") as server:  # no file is probed
        assert open_all(server) > LONG_FILMS * len(sizes)
        before = server.resident()
        assert open_all(server) < LONG_FILMS * 64 * 1024
        assert server.resident() - before < 16 * 1024**2
        assert get(server, "/media/7.mp4").body == rearranged
        until(
            lambda: (
                len(list((tmp_path / "derived" / "layout").rglob("?" * 32))) == LONG_FILMS or None
            ),
            "all layouts are stored",
        )
    with serve(media, SETTLE_TIME="3600", LOG_LEVEL="warning") as server:
        assert open_all(server) < LONG_FILMS * 64 * 1024
        assert get(server, "/media/8.mp4").body == rearranged


# Requests that a player needs for the first frame


def requests_for(server: Server, where: str, *, command: Sequence[str]) -> int:
    before = server.metric("reelay_ranges_total")
    done = subprocess.run(
        [*command, server.base + where], check=True, capture_output=True, text=True
    )
    assert "pict_type" in done.stdout
    return int(server.metric("reelay_ranges_total") - before)


@pytest.mark.parametrize("name", ["end.mp4", "end.mov"])
def test_ffprobe_decodes_the_first_frame_after_one_request(
    server: Server, media: Path, name: str
) -> None:
    """The original takes three requests: for the start, the end, and the start again."""
    command = ["ffprobe", "-v", "fatal", "-reconnect", "1", "-select_streams", "v",
          "-show_entries", "frame=pict_type", "-read_intervals", "%+#1"]  # fmt: skip
    assert requests_for(server, url_for("media", name), command=command) == 1
    assert (
        requests_for(server, url_for("media", name, revision_of(media, name)), command=command) == 3
    )


FIRST_FRAME = """async () => {
    const video = document.querySelector("video");
    await new Promise((resolve, reject) => {
        setTimeout(() => reject("no frame within a minute"), 60000);
        const look = () => {
            if (video.error) reject(video.error.message);
            else if (video.readyState >= 2) resolve();
            else setTimeout(look, 5);
        };
        look();
    });
    return [video.videoWidth, video.videoHeight, Math.round(video.duration)];
}"""


class Gate:
    """Lets Chromium's first requests for a film pass, up to a limit, and holds the others."""

    def __init__(self, page: Page, limit: int) -> None:
        self.ranges: list[str] = []
        self._limit = limit
        self._held: list[Route] = []
        page.route("**/media/**", self._on_request)

    def _on_request(self, route: Route) -> None:
        self.ranges.append(route.request.headers.get("range", ""))
        if len(self.ranges) > self._limit:
            self._held.append(route)
        else:
            route.continue_()

    def open(self) -> None:
        self._limit = 1000
        for route in self._held:
            route.continue_()


def start_of(range_header: str) -> int:
    return int(range_header.removeprefix("bytes=").partition("-")[0] or 0)


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    yield context.new_page()
    context.close()


def test_chromium_shows_the_first_frame_after_its_first_request(
    server: Server, media: Path, page: Page
) -> None:
    """Chromium sends `bytes=0-` in a second request, once it knows that this is a film."""
    gate = Gate(page, limit=2)
    page.goto(f"{server.base}/media/end.mp4?v={revision_of(media, 'end.mp4')}-f3")
    assert page.evaluate(FIRST_FRAME) == [160, 90, 12]
    assert gate.ranges[:2] == ["", "bytes=0-"]


def test_chromium_needs_more_requests_for_the_original(
    server: Server, media: Path, page: Page
) -> None:
    gate = Gate(page, limit=2)
    page.goto(f"{server.base}/media/end.mp4?v={revision_of(media, 'end.mp4')}")

    def requests_the_moov() -> bool | None:
        page.wait_for_timeout(20)  # lets Playwright's loop run, which calls the gate
        return any(start_of(range_header) > 5 * BLOCK for range_header in gate.ranges[2:]) or None

    until(requests_the_moov, "the moov at the end is requested")
    assert page.evaluate("document.querySelector('video').readyState") == 0
    gate.open()
    assert page.evaluate(FIRST_FRAME) == [160, 90, 12]
