"""No request costs many times as much as an ordinary one, because rate limits count requests.
Compares the processor time of the service's event loop thread, measured by the kernel."""

import http.client
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from support.raw_http import ask
from support.server import Server, serve, until, write

pytestmark = pytest.mark.slow

CLIP = (Path(__file__).parents[2] / "media/sample.mp4").read_bytes()
CHAPTERS = 1000  # the maximum number kept for a video
ROUNDS, REQUESTS = 5, 12
HTML = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
RANGE = {"Range": "bytes=0-9"}

# A costly request, an ordinary request of the kind, and the maximum ratio of their costs.
CASES = {
    "a long Accept": (("/nothing", {"Accept": "a/b," * 3800}), ("/nothing", {}), 4),
    "an Accept of many members": (
        ("/nothing", {"Accept": "text/html;q=0.5," * 950}),
        ("/nothing", {}),
        4,
    ),
    "the description": (("/openapi.json", {}), ("/nothing", {}), 4),
    "a thousand chapters": (("/watch/film.mp4", {}), ("/watch/plain.mp4", {}), 4),
    "a moment in a thousand chapters": (("/watch/film.mp4?t=3", {}), ("/watch/plain.mp4", {}), 4),
    "thousands of parameters": (("/?" + "&a=b" * 9000, {}), ("/", {}), 2),
    "thousands of unknown parameters": (
        ("/api/videos?" + "&".join(f"a{n}=b" for n in range(5000)), {}),
        ("/api/videos", {}),
        4,
    ),
    "a hundred unknown parameters": (
        ("/api/videos?" + "&".join(f"a{n}=b" for n in range(100)), {}),
        ("/api/videos", {}),
        5,
    ),
    "a long parameter": (
        ("/media/film.mp4?v=" + "%41" * 18_000, RANGE),
        ("/media/film.mp4", RANGE),
        5,
    ),
    "a long path": (
        ("/watch/" + "S01E02." * 8000, {"Accept": HTML}),
        ("/nothing", {"Accept": HTML}),
        4,
    ),
    "a path as long as may be": (
        ("/watch/" + "S01E02." * 3400, {"Accept": HTML}),
        ("/nothing", {"Accept": HTML}),
        4,
    ),
    "thousands of entity tags": (
        ("/media/film.mp4", {**RANGE, "If-None-Match": '"",' * 18_000}),
        ("/media/film.mp4", RANGE),
        8,
    ),
    "thousands of header fields": (
        ("/media/film.mp4", {**RANGE, **{f"a{n}": "" for n in range(6000)}}),
        ("/media/film.mp4", RANGE),
        10,
    ),
    "as many ranges as may be": (
        ("/media/film.mp4", {"Range": "bytes=" + ",".join(f"{n}-{n}" for n in range(0, 400, 2))}),
        ("/media/film.mp4", RANGE),
        10,
    ),
}

Request = tuple[str, dict[str, str]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    media: Path = tmp_path_factory.mktemp("costs") / "media"
    write(media, "film.mp4", CLIP)
    write(media, "plain.mp4", CLIP)
    cues = (
        f"00:{n * 7 / CHAPTERS:06.3f} --> 00:{(n + 1) * 7 / CHAPTERS:06.3f}\nPart {n} & more\n\n"
        for n in range(CHAPTERS)
    )
    write(media, "film.chapters.vtt", ("WEBVTT\n\n" + "".join(cues)).encode())
    with serve(media) as running:

        def all_ready() -> Any:
            film, plain = (json.loads(ask(running.base, f"/api/videos/{name}.mp4").body)
                           for name in ("film", "plain"))  # fmt: skip
            states = {v[kind]["state"] for v in (film, plain) for kind in ("poster", "storyboard")}
            return (states == {"ready"} and len(film["chapters"]) == CHAPTERS) or None

        until(all_ready, "all artefacts are ready")
        yield running


def seconds(server: Server, request: Request) -> float:
    """Return the processor time of several requests of one kind, in seconds."""
    target, headers = request
    address = urlsplit(server.base)
    connection = http.client.HTTPConnection(f"{address.hostname}:{address.port}", timeout=60)
    before = processor_time(server)
    for _ in range(REQUESTS):
        connection.request("GET", target, headers=headers)
        response = connection.getresponse()
        response.read()
        assert response.status < 500
    connection.close()
    return processor_time(server) - before


def processor_time(server: Server) -> float:
    """Return how many seconds the event loop's thread has run (proc(5), schedstat)."""
    pid = server.process.pid
    text = Path(f"/proc/{pid}/task/{pid}/schedstat").read_text(encoding="ascii")
    return int(text.split()[0]) / 1e9


@pytest.mark.parametrize("name", CASES)
def test_no_request_costs_many_times_as_much_as_an_ordinary_one(server: Server, name: str) -> None:
    hostile, ordinary, max_ratio = CASES[name]
    costs: dict[str, list[float]] = {"hostile": [], "ordinary": []}
    for _ in range(ROUNDS):
        costs["hostile"].append(seconds(server, hostile))
        costs["ordinary"].append(seconds(server, ordinary))
        time.sleep(0.01)
    assert min(costs["hostile"]) < max_ratio * min(costs["ordinary"]), costs


def test_every_chapter_is_on_the_page_and_the_current_one_is_marked(server: Server) -> None:
    page = ask(server.base, "/watch/film.mp4").body.decode()
    assert page.count('<li><a href="?t=') == CHAPTERS
    assert "aria-current" not in page.partition("data-chapters")[2].partition("</ol>")[0]
    assert "<bdi>Part 999 &amp; more</bdi>" in page
    page = ask(server.base, "/watch/film.mp4?t=3.5").body.decode()
    chapters = page.partition("data-chapters")[2].partition("</ol>")[0]
    assert chapters.count("aria-current") == 1
    assert '<a href="?t=3.5" data-t="3.5" aria-current="true">' in chapters
    assert ask(server.base, "/watch/film.mp4").body.decode().count("aria-current") < 2
