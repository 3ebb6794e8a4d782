"""Damage films at random, and let a worker make everything of them that players get.

    .venv/bin/python benchmarks/fuzz.py [--seconds N] [--seed N] [--keep FOLDER]

Makes small films in Matroska, WebM, Flash video, MP4, transport and program streams and AVI. Then
it changes bytes, numbers and lengths, cuts, repeats and splices, and sends each result through the
real worker process with its limits of memory and time: probing, header, fragments, sound, copy and
captions. What is made must consist of spans of the file and of what is inserted. In the end the
last films are put into the library of a real service; their JSON, pages and spans are requested.

A failure is a worker that ends or exceeds its limits, an exception that no code expects, or a
response with a status of 500. Films that failed are kept. It exits with 1 if there are any. The
end says how many films were tried, what failed, the longest task and the largest worker.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tests")]

from support.ffmpeg_fixtures import ffmpeg  # noqa: E402
from support.raw_http import ask  # noqa: E402
from support.server import serve, until  # noqa: E402

from service.protocol.ranges import Span  # noqa: E402
from service.representations.interleaving import Interleaving, map_span  # noqa: E402
from service.storage.local.files import revision  # noqa: E402

CPU, WALL = 20, 60
"""Seconds that a task may take: a small film takes a tenth of one."""
ROOM = 64 * 1024**2
SERVED = 60
"""At most so many films of each kind are put into the library in the end."""

_PICTURE = ("-f", "lavfi", "-i", "testsrc2=size=64x36:rate=25:duration=3")
_SOUND = ("-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=3")
_X264 = ("-c:v", "libx264", "-preset", "veryfast", "-g", "25", "-pix_fmt", "yuv420p")
_OPEN = ("-x264-params", "open-gop=1:bframes=3:ref=3:keyint=25:scenecut=0")
_GAP = ("-bsf:a", r"noise=drop=between(n\,40\,80)")
FILMS = {
    "aac.mkv": (*_X264, "-c:a", "aac"),
    "open.mkv": (*_X264, *_OPEN, "-c:a", "libopus"),
    "ac3.mkv": (*_X264, "-c:a", "ac3"),
    "vp9.webm": ("-c:v", "libvpx-vp9", "-cpu-used", "8", "-b:v", "100k", "-c:a", "libopus"),
    "aac.flv": (*_X264, "-c:a", "aac", "-ar", "44100"),
    "front.mp4": (*_X264, "-c:a", "aac", "-movflags", "+faststart"),
    "open.mp4": (*_X264, *_OPEN, "-c:a", "aac"),
    "end.mp4": (*_X264, *_OPEN, "-c:a", "ac3"),
    "fragments.mp4": (*_X264, "-c:a", "aac", "-movflags", "frag_keyframe+empty_moov"),
    "hevc.mp4": ("-c:v", "libx265", "-x265-params", "log-level=none", "-c:a", "libmp3lame"),
    "mp2.ts": (*_X264, "-c:a", "mp2"),
    "aac.m2ts": (*_X264, *_OPEN, "-c:a", "aac", "-mpegts_m2ts_mode", "1"),
    "mp2.mpg": (*_X264, "-c:a", "mp2", "-f", "mpeg"),
    "mp3.avi": (*_X264, "-c:a", "libmp3lame"),
}


def make_films(folder: Path) -> dict[str, bytes]:
    """Return the films, also two with gaps in their sound."""
    for name, codecs in FILMS.items():
        ffmpeg(folder / name, *_PICTURE, *_SOUND, *codecs)
    for name in ("aac.mkv", "aac.flv"):
        ffmpeg(folder / f"gap {name}", "-i", folder / name, "-c", "copy", *_GAP)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


_EDGES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_LENGTHS = (1, 2, 4, 8, 64, 4096)


def damage(data: bytes, other: bytes, chance: random.Random) -> bytes:
    """Return a film with one to eight changes, most of them where its headers are."""
    made = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 8))):
        near = min(len(made), chance.choice((64, 1024, 8192, len(made))))
        at = chance.randrange(near)
        if chance.randrange(5) == 0:  # at the end
            at = len(made) - 1 - at
        made = _change(made, at, other, chance) or bytearray(data[:16])
    return bytes(made)


def _change(data: bytearray, at: int, other: bytes, chance: random.Random) -> bytearray:
    length = chance.choice(_LENGTHS)
    part = data[at : at + length]
    source = chance.randrange(len(other))
    width = chance.choice((1, 4, 8))
    edge = chance.choice(_EDGES) & (1 << 8 * width) - 1
    changes = (
        bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 : at + length],
        chance.randbytes(length),
        edge.to_bytes(width, "big") + data[at + width : at + length],
        b"",
        part * chance.choice((2, 3, 50)),
        other[source : source + length],
    )
    if chance.randrange(8) == 0:
        return data[: max(16, at)]
    return data[:at] + chance.choice(changes) + data[at + length :]


_WORKER = """
import service.fragments.form
from service.worker.tasks import main
service.fragments.form.LONG_INDEX_BYTES = 0
main()
"""


class Worker:
    """A worker process, as the service starts it, but for which no film is too short for
    fragments.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self.memory = 0
        """The most physical memory that a worker has had, in KiB."""

    def run(self, request: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
        """Return the response to a request. Raises EOFError if the worker has ended."""
        if self._process is None:
            with self._log.open("wb") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-c", _WORKER],
                    cwd=HERE.parent, stdin=-1, stdout=-1, stderr=log,
                )  # fmt: skip
        process = self._process
        to, back = process.stdin, process.stdout
        if to is None or back is None:
            raise EOFError("no pipes")
        to.write(json.dumps({**request, "cpu": CPU, "wall": WALL}).encode() + b"\n")
        to.flush()
        line = back.readline()
        if not line:
            code, self._process = process.wait(), None
            raise EOFError(f"the worker ended with {code}")
        answer = json.loads(line)
        blobs = [back.read(length) for length in answer.get("bytes", ())]
        self.memory = max(self.memory, self._status("VmHWM"))
        return answer, blobs

    def processor_time(self) -> float:
        """Return the processor time of the worker, in seconds."""
        if self._process is None:
            return 0
        # proc_pid_stat(5): after the name in parentheses, utime and stime are fields 12 and 13
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _status(self, name: str) -> int:
        pid = 0 if self._process is None else self._process.pid
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1])
        return 0

    def log(self) -> str:
        """Return what the worker has written last."""
        return self._log.read_text(errors="replace")[-2000:]

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.communicate(timeout=WALL)


def requests(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the requests for all that is made of a film."""
    of_file = {"root": str(path.parent), "path": path.name, "revision": revision(path.stat())}
    output = {"output": str(path.with_name("output")), "room": ROOM}
    yield {"task": "probe", **of_file}
    yield {"task": "remux", **of_file}
    yield {"task": "fragments", **of_file}
    yield {"task": "sound", **of_file, **output, "made_of": [0, None]}
    yield {"task": "sound", **of_file, **output, "made_of": [1, 1]}
    yield {"task": "copied", **of_file, **output}
    yield {"task": "captions", **of_file, "texts": []}


def layout_problem(size: int, task: str, blobs: list[bytes], chance: random.Random) -> str:
    """Return why what a task has made does not consist of spans that exist; empty if it does."""
    if task not in {"remux", "sound"} or len(blobs) < 2:  # noqa: PLR2004 # an interleaving
        return ""
    header = blobs[0]
    try:
        layout = Interleaving.from_bytes(blobs[1])
    except ValueError:  # other blobs
        return ""
    if list(layout.cuts) != sorted(set(layout.cuts)) or any(cut > size for cut in layout.cuts):
        return "positions that are not in order, or not in the file"
    whole = len(header) + size + layout.inserted
    for _ in range(20):
        start = chance.randrange(whole)
        span = Span(start, chance.randrange(whole - start) + 1)
        parts = map_span(layout, len(header), size, span)
        if sum(part.length for _, part in parts) != span.length:
            return f"{span} is not whole"
    return ""


class Results:
    """What is counted, and what failed."""

    def __init__(self, keep: Path) -> None:
        self._keep = keep
        self.counts = Counter[str]()
        self.failures = Counter[str]()
        self.longest: dict[str, tuple[float, float, str]] = {}
        """Of each task: the most processor time, the time in all, and the film."""

    def fail(self, path: Path, kind: str, reason: str) -> None:
        """Keep a film that failed."""
        self.failures[kind] += 1
        self._keep.mkdir(parents=True, exist_ok=True)
        kept = self._keep / f"{self.failures.total()} {path.name}"
        kept.write_bytes(path.read_bytes())
        print(f"{kept}: {kind}: {reason}", flush=True)

    def end(self, memory: int) -> None:
        """Print them all."""
        for name, count in sorted(self.counts.items()):
            print(f"{count:6} {name}")
        for task, (used, wall, name) in self.longest.items():
            print(f"{task}: at most {used:.2f} s of processor time ({wall:.2f} s in all, {name})")
        print(f"memory of a worker: at most {memory / 1024:.0f} MiB")
        print(f"films: {self.counts['films']}, failures: {dict(self.failures) or 'none'}")


def try_film(path: Path, worker: Worker, results: Results, chance: random.Random) -> None:
    """Make every artefact of a film in a worker."""
    results.counts["films"] += 1
    for request in requests(path):
        path.with_name("output").write_bytes(b"")
        task = request["task"]
        start, before = time.monotonic(), worker.processor_time()
        try:
            answer, blobs = worker.run(request)
        except EOFError as error:
            results.fail(path, f"{task}: the worker ended", f"{error}\n{worker.log()}")
            continue
        used = (worker.processor_time() - before, time.monotonic() - start, path.name)
        results.longest[task] = max(results.longest.get(task, used), used)
        if wrong := layout_problem(path.stat().st_size, task, blobs, chance):
            results.fail(path, f"{task}: a wrong layout", wrong)
        problem = answer.get("problem", "")
        if "see the server's log" in problem:
            results.fail(path, f"{task}: an exception", worker.log())
        results.counts[f"{task}: {'made' if blobs else problem or 'nothing'}"] += 1


def main() -> int:
    """Run for a while, and print what failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--keep", type=Path, default=Path("build/fuzz"))
    arguments = parser.parse_args()
    chance, results = random.Random(arguments.seed), Results(arguments.keep)  # noqa: S311
    print(f"seed {arguments.seed}", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in ("films", "media", "library"):
            (folder / name).mkdir()
        films = make_films(folder / "films")
        worker = Worker(folder / "log")
        end = time.monotonic() + arguments.seconds
        while time.monotonic() < end:
            name = chance.choice(list(films))
            path = folder / "media" / name
            path.write_bytes(damage(films[name], films[chance.choice(list(films))], chance))
            try_film(path, worker, results, chance)
            number = results.counts["films"] % SERVED
            (folder / "library" / f"{number} {name}").write_bytes(path.read_bytes())
        worker.close()
        for where, status in served(folder / "library", chance):
            results.counts[f"HTTP {status}"] += 1
            if status >= 500:  # noqa: PLR2004 # §15.6: an error of the server
                results.fail(folder / "library" / where, f"HTTP {status}", "see its log")
    results.end(worker.memory)
    return 1 if results.failures else 0


def served(library: Path, chance: random.Random) -> Iterator[tuple[str, int]]:
    """Yield the names of films in a library and the statuses of responses about them."""
    with serve(library) as server:
        for name in sorted(path.name for path in library.iterdir()):
            place = quote(name)

            def item(place: str = place) -> Any:
                answer = ask(server.base, f"/api/videos/{place}")
                found = json.loads(answer.body)
                is_due = found.get("state") == "pending" or any(
                    found.get(kind, {}).get("state") == "waiting" for kind in ("remux", "copied")
                )
                return None if is_due else (answer.status, found)

            # The worker copies one film after the other, at idle priority: 900 films took 170 s.
            status, found = until(item, name, timeout=600)
            yield name, status
            url = found.get("media_url")
            for where in (f"/watch/{place}", *([url] * 8 if url else [])):
                start = chance.randrange((library / name).stat().st_size)
                last = start + chance.randrange(100_000)
                yield name, ask(server.base, where, {"Range": f"bytes={start}-{last}"}).status


if __name__ == "__main__":
    sys.exit(main())
