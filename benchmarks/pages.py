"""Measure how fast pages appear, and a film after the click on its card, over a slow connection.

    .venv/bin/python benchmarks/pages.py [--rounds 5] [--megabits 1.5] [--delay 150] [--url URL]

Starts the service with a library of 60 realistic names, or measures what runs at --url, such as the
whole stack. Chromium limits its connections to --megabits a second and delays each answer by
--delay ms. Each round has a new profile. Prints for the first page the bytes of text (HTML, style
sheets and scripts, as sent), its largest contentful paint and its cumulative layout shift; and the
time from the click on a card to the film's first frame: medians, and the longest. The films are
written anew for each round, so that no cache has them.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from playwright.sync_api import Browser, Page

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from support.chromium import launched
from support.ffmpeg_fixtures import H264, PICTURE, ffmpeg
from support.raw_http import ask
from support.realistic_names import NAMES
from support.sample_library import PLAIN, fill
from support.sent_text import SentText
from support.server import serve, until, write

FILM = "Documentaries/Bread.mp4"
SETTLE = 3000  # ms after the last request, for late shifts

OBSERVE = """
globalThis.paint = { lcp: 0, cls: 0 };
new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) paint.lcp = entry.startTime;
}).observe({ type: "largest-contentful-paint", buffered: true });
new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) paint.cls += entry.value;
}).observe({ type: "layout-shift", buffered: true });
document.addEventListener("click", () => {
    sessionStorage.setItem("clicked", String(Date.now()));
}, { capture: true });
"""
FIRST_FRAME = """async () => {
    const video = document.querySelector("video");
    if (video.readyState < 2) {
        await new Promise((resolve) => video.requestVideoFrameCallback(resolve));
    }
    return Date.now() - Number(sessionStorage.getItem("clicked"));
}"""


class Round(NamedTuple):
    """What one visit measured: bytes, milliseconds, no unit, milliseconds."""

    text: int
    lcp: float
    cls: float
    first_frame: float


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabits", type=float, default=1.5)
    parser.add_argument("--delay", type=float, default=150, help="ms before each answer")
    parser.add_argument("--url", help="of a running server; its first page has a card to click")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        media = Path(folder) / "media"
        base = options.url
        if base is None:
            fill_realistically(media)
            server = stack.enter_context(serve(media, log=subprocess.DEVNULL))
            base = server.base
            until(lambda: is_ready(base), "all pictures are made", 600)
        browser = stack.enter_context(launched())
        rounds = []
        for _ in range(options.rounds):
            if options.url is None:
                renew(media / FILM)
                until(lambda: is_ready(base), "the film is examined", 600)
            rounds.append(visit(browser, base, options))
    for name, values, unit in (
        ("text of the first page", [one.text / 1000 for one in rounds], "kB"),
        ("largest contentful paint", [one.lcp / 1000 for one in rounds], "s"),
        ("cumulative layout shift", [one.cls for one in rounds], ""),
        ("first frame after the click", [one.first_frame / 1000 for one in rounds], "s"),
    ):
        print(f"{name:30} {statistics.median(values):7.3f} {unit:2} (longest {max(values):.3f})")
    return 0


def fill_realistically(media: Path) -> None:
    """Create the library: a film of a minute, and the others of a second."""
    fill(media.parent / "sample")
    short = ffmpeg(media.parent / "short.mp4", *PICTURE, *H264).read_bytes()
    for name in NAMES:
        write(media, name, short)
    shutil.copyfile(media.parent / "sample" / PLAIN, media / FILM)


def renew(film: Path) -> None:
    """Replace a film by a copy of it, which has another revision."""
    copy = film.with_name(".copy.mp4")
    shutil.copyfile(film, copy)
    copy.replace(film)


def is_ready(base: str) -> bool:
    """Return whether all videos are probed, and all posters and storyboards made."""
    videos = json.loads(ask(base, "/api/videos?limit=200").body)["videos"]
    states = [
        state
        for video in videos
        for state in (video["state"], video["poster"]["state"], video["storyboard"]["state"])
    ]
    return bool(videos) and not {"pending", "waiting"} & set(states)


def visit(browser: Browser, base: str, options: Any) -> Round:
    """Open the first page as a new visitor, and click on the card of a film."""
    context = browser.new_context(base_url=base, ignore_https_errors=True)
    context.add_init_script(OBSERVE)
    page = context.new_page()
    limit(page, options)
    text = SentText(page)
    page.goto("/", wait_until="networkidle")
    page.wait_for_timeout(SETTLE)
    paint = page.evaluate("() => paint")
    size = text.count()
    card = page.get_by_role("link", name=Path(FILM).stem, exact=True)
    (card if card.count() else page.locator(".card a")).first.click()
    page.wait_for_url("**/watch/**")
    first_frame = page.evaluate(FIRST_FRAME)
    context.close()
    return Round(size, paint["lcp"], paint["cls"], first_frame)


def limit(page: Page, options: Any) -> None:
    """Slow down the connections of a page."""
    session = page.context.new_cdp_session(page)
    rate = options.megabits * 1_000_000 / 8
    session.send("Network.enable")
    session.send(
        "Network.emulateNetworkConditions",
        {
            "offline": False,
            "latency": options.delay,
            "downloadThroughput": rate,
            "uploadThroughput": rate,
        },
    )


if __name__ == "__main__":
    raise SystemExit(main())
