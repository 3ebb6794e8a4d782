"""Measure how fast a long film begins in browsers, over a slow connection.

    .venv/bin/python benchmarks/starting.py [--hours 2] [--rounds 5] [--megabits 20] [--delay 50]
                                            [--browser chromium|firefox]
                                            [--container mkv|mp4] [--kilobits 4000]

Starts the service without an edge, and a proxy that limits all connections together to --megabits a
second and delays them by --delay ms for a round trip. Each form of the film is loaded in turn, in a
new page: in segments as the page loads them, as MP4 (with the index of the whole film in front),
and as the file that it is: Matroska, or an MP4 with its index at the end. Prints the medians of the
times from setting the source to `loadedmetadata`, to the first frame shown, and from a seek to the
frame shown there, of all rounds and the longest; "-" for none within half a minute. The film is 16
seconds that repeat, with real numbers of frames; its picture has --kilobits a second.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from support import chromium, firefox
from support.raw_http import ask
from support.server import Server, serve, until

LOOP = 16  # seconds
FRAMES = ("-f", "lavfi", "-i", f"testsrc2=size=480x270:rate=25:duration={LOOP}")
SOUND = ("-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=48000:duration={LOOP}")
CODECS = (
    "-vf", "noise=alls=20:allf=t", "-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p",
    "-g", "50", "-c:a", "aac", "-b:a", "128k",
)  # fmt: skip
SEEKS = (0.5, 0.9, 0.2)  # parts of the film
CHUNK = 16 * 1024

PLAY = """async (url, fragments, seconds) => {
    const video = document.createElement("video");
    video.muted = true;
    document.body.append(video);
    const { SegmentStream } = await import("/static/stream.js");
    const begun = performance.now();
    const times = [];
    const limit = new Promise((resolve) => setTimeout(resolve, 30000));
    const mark = (from) => times.push(performance.now() - from);
    const shown = () => new Promise((resolve) => video.requestVideoFrameCallback(resolve));
    const wait = (name) => new Promise((resolve) =>
        video.addEventListener(name, resolve, { once: true }));
    const metadata = wait("loadedmetadata").then(() => mark(begun));
    const first = shown().then(() => mark(begun));
    video.src = fragments ? new SegmentStream(video, fragments).url : url;
    video.play().catch(() => {});
    await Promise.race([Promise.all([metadata, first]), limit]);
    for (const second of times.length === 2 ? seconds : []) {
        const from = performance.now();
        const seeked = wait("seeked");
        video.currentTime = second;
        const there = seeked.then(shown).then(() => mark(from));
        await Promise.race([there, new Promise((resolve) => setTimeout(resolve, 30000))]);
        await new Promise((resolve) => setTimeout(resolve, 2000)); // it plays
    }
    video.removeAttribute("src");
    video.replaceChildren();
    video.load();
    return times;
}"""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--hours", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabits", type=float, default=20)
    parser.add_argument("--delay", type=float, default=50, help="ms of a round trip")
    parser.add_argument("--browser", choices=("chromium", "firefox"))
    parser.add_argument("--container", choices=("mkv", "mp4"), default="mkv")
    parser.add_argument("--kilobits", type=int, default=4000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        media = Path(folder) / "media"
        media.mkdir()
        film = media / f"film.{options.container}"
        make_film(film, options.hours, f"{options.kilobits}k")
        block = str(4 * 1024**2)
        server = stack.enter_context(serve(media, log=subprocess.DEVNULL, MAX_PARTIAL_SIZE=block))
        item = until(lambda: settled(server, film.name), "the film is examined", 1800)
        base = stack.enter_context(slow_connection(server.base, options))
        for browser in [options.browser] if options.browser else ["chromium", "firefox"]:
            measure(browser, base, forms(item), options, Path(folder))
    return 0


def make_film(path: Path, hours: float, rate: str) -> None:
    loop = path.parent.parent / "loop.mkv"
    quiet = ("ffmpeg", "-nostdin", "-v", "error")
    rates = ("-b:v", rate, "-maxrate", rate, "-bufsize", rate)
    subprocess.run([*quiet, *FRAMES, *SOUND, *CODECS, *rates, loop], check=True)
    times = str(round(hours * 3600 / LOOP) - 1)
    subprocess.run([*quiet, "-stream_loop", times, "-i", loop, "-c", "copy", path], check=True)


def settled(server: Server, name: str) -> Any:
    """Return the film's JSON when its fragments are made."""
    answer = ask(server.base, f"/api/videos/{name}", {})
    if answer.status != HTTPStatus.OK:
        return None
    item = json.loads(answer.body)
    return item if item["fragments"] else None


def forms(item: Any) -> dict[str, tuple[str, Any]]:
    """Return the URLs of the forms of the film, or its segments, by name."""
    return {
        "segments": ("", item["fragments"]),
        "MP4": (item["media_url"], None),
        "the file as it is": (f"/media/{item['path']}?v={item['revision']}", None),
    }


def measure(
    browser: str, base: str, forms: dict[str, tuple[str, Any]], options: Any, folder: Path
) -> None:
    results: dict[str, list[list[float]]] = {name: [] for name in forms}
    for round_ in range(options.rounds):
        for name, (url, fragments) in forms.items():
            seconds = [options.hours * 3600 * (part + 0.013 * round_) for part in SEEKS]
            with opened(browser, base, folder / f"{browser} {name} {round_}") as page:
                results[name].append(page.evaluate(PLAY, [url, fragments, seconds]))
    for name, times in results.items():
        rows = [[time / 1000 for time in row] for row in times]
        columns = [
            summary([row[:1] for row in rows], 1),
            summary([row[1:2] for row in rows], 1),
            summary([row[2:] for row in rows], len(SEEKS)),
        ]
        print(f"{browser} | {name} | {' | '.join(columns)}", flush=True)


def summary(rows: list[list[float]], expected: int) -> str:
    """Return the median and the longest of the times in all rounds."""
    if any(len(row) < expected for row in rows):
        return "-"
    times = [time for row in rows for time in row]
    return f"{statistics.median(times):.2f} s (at most {max(times):.2f} s)"


class _Arguments:
    """A page of Firefox, whose `evaluate` takes a list of arguments as that of Chromium."""

    def __init__(self, tab: firefox.Tab) -> None:
        self._tab = tab

    def evaluate(self, function: str, values: list[Any]) -> Any:
        return self._tab.evaluate(function, *values)


@contextmanager
def opened(browser: str, base: str, profile: Path) -> Iterator[Any]:
    """Open an empty page of the service in a browser without a cache."""
    if browser == "firefox":
        with firefox.tab(base, profile) as tab:
            tab.goto("/robots.txt")
            yield _Arguments(tab)
        return
    with chromium.launched() as started:
        page = started.new_page(base_url=base)
        page.goto("/robots.txt")
        yield _Spread(page)


class _Spread:
    """A page of Chromium, whose `evaluate` calls a function with each value of a list."""

    def __init__(self, page: Any) -> None:
        self._page = page

    def evaluate(self, function: str, values: list[Any]) -> Any:
        return self._page.evaluate(f"(values) => ({function})(...values)", values)


class _Line:
    """A line of limited speed that all connections share in one direction."""

    def __init__(self, bytes_a_second: float, delay: float) -> None:
        self._speed = bytes_a_second
        self._delay = delay
        self._free_at = 0.0

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry bytes until the reader ends. Raises OSError if one of both has gone."""
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(64)
        clock = asyncio.get_running_loop().time

        async def arrive() -> None:
            while (item := await under_way.get())[1]:
                await asyncio.sleep(max(0, item[0] - clock()))
                writer.write(item[1])
                await writer.drain()
            raise ConnectionResetError  # what has ended here ends there, too

        async def send() -> None:
            while data := await reader.read(CHUNK):
                self._free_at = max(self._free_at, clock()) + len(data) / self._speed
                sent_at = self._free_at
                await under_way.put((sent_at + self._delay, data))
                await asyncio.sleep(max(0, sent_at - clock()))
            await under_way.put((0, b""))

        await asyncio.gather(send(), arrive())


async def _cancel_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def slow_connection(base: str, options: Any) -> Iterator[str]:
    """Forward connections to a server; yield the base of the URLs."""
    host, _, port = base.removeprefix("http://").partition(":")
    delay, speed = options.delay / 2000, options.megabits * 1e6 / 8
    up, down = _Line(speed, delay), _Line(speed, delay)
    loop = asyncio.new_event_loop()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(2 * delay)  # TCP's handshake
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        tasks = [
            asyncio.create_task(up.carry(reader, far_writer)),
            asyncio.create_task(down.carry(far_reader, writer)),
        ]
        _, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in rest:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)  # the connection has ended
        for end in (writer, far_writer):
            end.close()

    listening = loop.run_until_complete(asyncio.start_server(connect, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.run_until_complete(_cancel_all())
    loop.close()


if __name__ == "__main__":
    sys.exit(main())
