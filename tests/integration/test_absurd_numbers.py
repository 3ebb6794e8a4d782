"""Films with times and sizes that no film has: they are declined, or become an MP4."""

import resource
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.ffmpeg_fixtures import AAC, H264, PICTURE, SOUND, ffmpeg
from support.matroska_elements import element
from support.matroska_writer import cluster, group, matroska, simple, track, uint

from service.storage.local.files import revision
from service.worker import tasks
from service.workers.process import MAX_MEMORY_BYTES

AC3 = ("-c:a", "ac3", "-ac", "2")
TASKS = ("remux", "fragments", "sound", "copied")
ROOM = 1 << 26

EXAMPLES = settings(
    deadline=None, max_examples=25, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
# Around the ends of the fields of both formats, and what overflows with a factor
BOUNDS = [
    number
    for bits in (7, 8, 15, 16, 31, 32, 47, 62, 63, 64)
    for number in ((1 << bits) - 1, 1 << bits)
    if number < 1 << 64
]
NUMBERS = st.one_of(st.sampled_from([0, 1, *BOUNDS]), st.integers(0, 2**64 - 1))
FLOATS = st.one_of(
    st.sampled_from([0.0, -1.0, 1e-300, 1e18, 1e300, float("inf"), float("nan")]), st.floats()
)


@pytest.fixture(scope="module", autouse=True)
def limited_memory() -> Iterator[None]:
    """Take no more memory than a worker may."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = pages * resource.getpagesize() + MAX_MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def run(path: Path, task: str) -> None:
    """Have a worker examine a file; assert that it makes something of it or says why not."""
    request: dict[str, Any] = {
        "task": task, "cpu": 60, "root": str(path.parent), "path": path.name,
        "revision": revision(path.stat()),
    }  # fmt: skip
    if task in {"sound", "copied"}:
        output = path.with_name("output")
        output.touch()
        request |= {"output": str(output), "room": ROOM}
    if task == "sound":
        request["made_of"] = 0, None
    response, _ = tasks.handle_request(request)
    assert "see the server's log" not in response.get("problem", ""), response


class Film:
    """The packets of a film, of which Matroska files are written."""

    def __init__(self, path: Path) -> None:
        container: Any
        with av.open(str(path)) as container:
            self._streams = [
                (stream.type, bytes(stream.codec_context.extradata or b""))
                for stream in container.streams
            ]
            self.packets = [
                (packet.stream_index, round(packet.pts * packet.time_base * 1000), bytes(packet),
                 packet.is_keyframe)
                for packet in container.demux() if packet.size
            ]  # fmt: skip

    def matroska(  # noqa: PLR0913, PLR0917 # the fields
        self, sound: str, tick: int, times: Sequence[int], lengths: Sequence[int], rate: float,
        width: int,
    ) -> bytes:  # fmt: skip
        """Return a file with these numbers. `times` are those of the clusters."""
        (_, private), (_, configuration) = self._streams
        video = element(0xE0, uint(0xB0, 320), uint(0xBA, 240), uint(0x54B0, width))
        audio = element(0xE1, element(0xB5, struct.pack(">d", rate)), uint(0x9F, 2))
        tracks = [
            track(1, 1, "V_MPEG4/ISO/AVC", private, video, uint(0x23E383, lengths[0])),
            track(2, 2, sound, configuration, audio, uint(0x56AA, lengths[1])),
        ]
        content = []
        size = -(-len(self.packets) // len(times))
        for number, time in enumerate(times):
            packets = self.packets[number * size : (number + 1) * size]
            if not packets:
                break
            first = packets[0][1]
            blocks = [
                simple(stream + 1, at - first, data, key=key)
                for stream, at, data, key in packets[:-1]
            ]
            stream, at, data, key = packets[-1]
            after = uint(0x9B, lengths[2]) + element(0x75A2, struct.pack(">Q", lengths[3]))
            blocks.append(group(stream + 1, at - first, data, key=key, after=after))
            content.append(cluster(time, *blocks))
        return matroska(*content, tracks=tracks, tick=tick)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Film]:
    folder = tmp_path_factory.mktemp("films")
    made: dict[str, Film] = {}

    def get(sound: str) -> Film:
        if sound not in made:
            codec = AAC if sound == "A_AAC" else AC3
            path = folder / f"{sound}.mkv"
            made[sound] = Film(ffmpeg(path, *PICTURE, *SOUND, *H264, "-g", "5", *codec))
        return made[sound]

    return get


@EXAMPLES
@example("A_AAC", 1_000_000, [0, 1 << 62], [0] * 4, 44_100.0, 320)
@example("A_AC3", 1, [1 << 40, 1 << 61], [0] * 4, 44_100.0, 320)
@example("A_AAC", 1_000_000, [0, 200], [0, 2**64 - 1, 0, 0], 44_100.0, 320)
@example("A_AAC", 1_000_000, [0, 200], [0] * 4, float("inf"), 320)
@given(
    st.sampled_from(["A_AAC", "A_AC3"]),
    st.one_of(st.just(1_000_000), NUMBERS),
    st.lists(NUMBERS, min_size=1, max_size=4),
    st.lists(NUMBERS, min_size=4, max_size=4),
    st.one_of(st.just(44_100.0), FLOATS),
    NUMBERS,
)
def test_matroska(  # noqa: PLR0913, PLR0917 # the fields
    film: Callable[[str], Film], tmp_path: Path, sound: str, tick: int, times: list[int],
    lengths: list[int], rate: float, width: int,
) -> None:  # fmt: skip
    path = tmp_path / "film.mkv"
    path.write_bytes(film(sound).matroska(sound, tick, times, lengths, rate, width))
    for task in TASKS:
        run(path, task)


# Boxes with times and sizes, and the bytes of their tables that are overwritten
BOXES = (b"mvhd", b"tkhd", b"mdhd", b"elst", b"stts", b"ctts", b"stsz", b"stsc", b"stco", b"stss")


@EXAMPLES
@given(
    st.sampled_from(["aac", "ac3"]),
    st.lists(
        st.tuples(st.sampled_from(BOXES), st.integers(0, 1), st.integers(1, 9), NUMBERS),
        min_size=1, max_size=4,
    ),
)  # fmt: skip
def test_mp4(tmp_path: Path, sound: str, changes: list[tuple[bytes, int, int, int]]) -> None:
    path = tmp_path / "film.mp4"
    path.unlink(missing_ok=True)
    ffmpeg(path, *PICTURE, *SOUND, *H264, "-g", "5", "-bf", "2",
           *(AAC if sound == "aac" else AC3))  # fmt: skip
    data = bytearray(path.read_bytes())
    for type_, which, field, number in changes:
        at = -1
        for _ in range(which + 1):
            at = data.find(type_, at + 1)
        if at >= 0:
            struct.pack_into(">I", data, at + 4 + 4 * field, number & 0xFFFFFFFF)
    path.write_bytes(data)
    for task in TASKS:
        run(path, task)
