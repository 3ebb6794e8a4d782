"""Long films that a running service also sends as fragments, with an index of segments."""

import json
import os
import random
import struct
from collections.abc import Iterator
from email.utils import formatdate
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from support.ffmpeg_fixtures import AAC, H264, ffmpeg
from support.mp4_boxes import boxes
from support.range_cases import WHOLE, condition_cases, range_cases
from support.raw_http import Answer, ask
from support.remuxed_files import TOLERANCE, packets
from support.server import BLOCK, Server, serve, until, write

MODIFIED = 784111777  # RFC 9110 §5.6.7: Sun, 06 Nov 1994 08:49:37 GMT
DATES = [formatdate(MODIFIED + days * 86400, usegmt=True) for days in (0, -1, 1)]
LENGTH = 16  # seconds of a loop
LOOPS = 100  # half an hour, whose header has more than 1 MiB

# The shade of second t of each loop is 16 + 12 t of 255.
SHADES = ("-f", "lavfi", "-i", f"color=gray:size=160x90:rate=25:duration={LENGTH}")
SOUND = ("-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=48000:duration={LENGTH}")
CODECS = ("-vf", "format=gray,geq=lum='16+12*T',format=yuv420p",
          *H264, "-preset", "ultrafast", "-crf", "10", "-g", "25", "-bf", "2", *AAC)  # fmt: skip


def make_long_film(path: Path) -> Path:
    loop = ffmpeg(path.parent / "loop.mkv", *SHADES, *SOUND, *CODECS)
    ffmpeg(path, "-stream_loop", str(LOOPS - 1), "-i", loop, "-c", "copy")
    loop.unlink()
    os.utime(path, (MODIFIED, MODIFIED))
    return path


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fragments") / "media"
    folder.mkdir()
    film = make_long_film(folder / "long.mkv")
    ffmpeg(folder / "short.mkv", "-i", film, "-c", "copy", "-t", "60")
    ffmpeg(folder / "silent.mkv", "-i", film, "-c:v", "copy", "-c:a", "ac3", "-b:a", "32k")
    return folder


@pytest.fixture(scope="module")
def server(media: Path) -> Iterator[Server]:
    with serve(media, SOUND="off") as server:
        yield server


def get(server: Server, where: str, **headers: str) -> Answer:
    return ask(server.base, where, {name.replace("_", "-"): v for name, v in headers.items()})


def settled(server: Server, name: str) -> Any:
    """Return a video's JSON when it is known what players get."""

    def known() -> Any:
        item = json.loads(get(server, f"/api/videos/{quote(name)}").body)
        known = item.get("state") == "probed" and item["remux"]["state"] != "waiting"
        return item if known else None

    return until(known, f"{name} is examined")


class Segment(NamedTuple):
    start: int
    end: int
    time: float


def segments(head: bytes) -> list[Segment]:
    """Return the segments by the index at the end of the head (ISO/IEC 14496-12 §8.16.3)."""
    index = dict(boxes(head))[b"sidx"]
    timescale, earliest, offset = struct.unpack_from(">IQQ", index, 8)
    found, start, time = [], len(head) + offset, earliest
    for size, length, _ in struct.iter_unpack(">III", index[32:]):
        found.append(Segment(start, start + size, time / timescale))
        start, time = start + size, time + length
    return found


def test_each_segment_is_a_part_of_the_film_and_begins_with_a_key_frame(
    server: Server, media: Path
) -> None:
    made = settled(server, "long.mkv")["fragments"]
    head = get(server, made["url"], Range=f"bytes=0-{made['head'] - 1}").body
    assert [kind for kind, _ in boxes(head)] == [b"ftyp", b"moov", b"sidx"]
    data = get(server, made["url"]).body
    found = segments(head)
    # A key frame a second, and a segment has two of them.
    assert len(found) == pytest.approx(LENGTH * LOOPS / 2, abs=1)
    originals = [packets(str(media / "long.mkv"), index) for index in (0, 1)]
    for index, original in enumerate(originals):
        made_of_it = packets(BytesIO(data), index)
        assert [(p.digest, p.is_key) for p in made_of_it] == [
            (p.digest, p.is_key) for p in original
        ]
        assert (
            max(abs(a.time - b.time) for a, b in zip(made_of_it, original, strict=True))
            <= TOLERANCE
        )
    for segment in random.Random(2).sample(found, 20):  # noqa: S311 # no secrets
        part = data[segment.start : segment.end]
        assert {kind for kind, _ in boxes(part)} == {b"moof", b"mdat"}
        first = packets(BytesIO(head + part), 0)[0]
        assert first.is_key
        assert first.time == pytest.approx(segment.time, abs=TOLERANCE)
        assert first.digest in {packet.digest for packet in originals[0] if packet.is_key}
    rest = data[found[-1].end :]
    assert not rest or [kind for kind, _ in boxes(rest)] == [b"free"]


def test_the_table_of_ranges_holds_up_to_the_end_of_a_block(server: Server) -> None:
    url = settled(server, "long.mkv")["fragments"]["url"]
    data = get(server, url).body
    for case in range_cases(len(data)):
        answer = get(server, url, Range=case.header)
        if isinstance(case.expected, list):
            assert answer.status == 206, case.name
            if len(case.expected) == 1:
                ((first, last),) = case.expected
                end = min(last + 1, first // BLOCK * BLOCK + BLOCK)
                assert answer.headers["Content-Range"] == f"bytes {first}-{end - 1}/{len(data)}"
                assert answer.body == data[first:end], case.name
            else:
                parts = [((a, b), data[a : b + 1]) for a, b in case.expected]
                assert answer.parts() == parts, case.name
        else:
            assert answer.status == (200 if case.expected == WHOLE else 416), case.name


def test_every_range_is_a_slice_of_one_resource(server: Server) -> None:
    made = settled(server, "long.mkv")["fragments"]
    data, chance = get(server, made["url"]).body, random.Random(3)  # noqa: S311 # no secrets
    size = len(data)
    edges = [0, made["head"], BLOCK, size - 1]
    for segment in chance.sample(segments(data[: made["head"]]), 10):
        edges += [segment.start, segment.start + data[segment.start :].index(b"mdat") + 4]
    starts = [max(0, min(size - 1, edge + shift)) for edge in edges for shift in (-3, -1, 0, 1)]
    for start in [*starts, *(chance.randrange(size) for _ in range(60))]:
        last = chance.choice([start, start + 9, start + chance.randrange(size), size * 2])
        end = min(last + 1, size, start // BLOCK * BLOCK + BLOCK)
        answer = get(server, made["url"], Range=f"bytes={start}-{last}")
        assert answer.status == 206
        assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{size}"
        assert answer.body == data[start:end]


def test_conditions_apply_as_for_any_representation(server: Server) -> None:
    url = settled(server, "long.mkv")["fragments"]["url"]
    data, pin = get(server, url).body, url.partition("?v=")[2]
    for case in condition_cases(f'"{pin}"', *DATES, dated=False):
        answer = ask(server.base, url, {"Range": "bytes=0-9", **case.headers})
        assert answer.status == case.status, case.name
        expected = {206: data[:10], 200: data, 304: b""}.get(case.status)
        assert expected is None or answer.body == expected, case.name


def test_a_revision_is_bound_to_its_headers_and_route(server: Server) -> None:
    item = settled(server, "long.mkv")
    made = item["fragments"]
    file, digest = made["url"].partition("?v=")[2].split("-h")
    assert file == item["revision"]
    assert made["url"] == f"/media/long.mkv?v={file}-h{digest}"
    assert made["type"] == f'video/mp4; codecs="{", ".join(item["remux"]["codecs"])}"'
    answer = get(server, made["url"], Range="bytes=0-0")
    assert answer.headers["ETag"] == f'"{file}-h{digest}"'
    assert answer.headers["Content-Type"] == "video/mp4"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    mp4 = item["media_url"].partition("-m")[2]
    other = f"{int(digest, 16) ^ 1:016x}"
    for invalid in (f"{file}-h{other}", f"{file}-h", f"0{file}-h{digest}", f"{file}-h{mp4}"):
        assert get(server, f"/media/long.mkv?v={invalid}").status == 410, invalid
    assert get(server, f"/download/long.mkv?v={file}-h{digest}").status == 410
    # Players that name no revision get one MP4 with one index.
    assert get(server, "/_revision?path=/media/long.mkv").headers["X-Revision"].endswith(f"-m{mp4}")


@pytest.mark.parametrize("name", ["short.mkv", "silent.mkv"])
def test_films_that_play_as_well_as_mp4_have_no_fragments(server: Server, name: str) -> None:
    item = settled(server, name)
    assert item["representation"] == "remuxed"
    assert item["fragments"] is None


def test_fragments_outlive_a_restart_and_are_made_again_if_they_are_lost(
    tmp_path: Path, media: Path
) -> None:
    folder = tmp_path / "media"
    write(folder, "a.mkv", (media / "long.mkv").read_bytes())
    with serve(folder) as server:
        made = settled(server, "a.mkv")["fragments"]
        data = get(server, made["url"]).body
    (stored,) = [path for path in (tmp_path / "derived" / "remux").rglob("*") if path.is_file()]
    with serve(folder) as server:
        # Also before the library has looked at anything: a pin is enough.
        assert get(server, made["url"]).body == data
    with serve(folder) as server:
        assert settled(server, "a.mkv")["fragments"] == made
        stored.unlink()
        assert get(server, made["url"]).status == 410  # and they are made again
        assert settled(server, "a.mkv")["fragments"] == made
        assert get(server, made["url"]).body == data
