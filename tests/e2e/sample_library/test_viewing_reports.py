"""What players in browsers report through the edge, in the service's metrics."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, Route
from support.chromium import until_true
from support.firefox import tab
from support.raw_http import ask
from support.sample_library import CAPTIONED, PLAIN, watch
from support.server import until
from support.stack import Stack
from support.viewing_metrics import added, viewing

pytestmark = pytest.mark.stack

PLAYER = "document.querySelector('[data-player]')"
PLAY = f"void {PLAYER}.play()"
FIRST_BYTES = 150_000
"""Some seconds of the film, and not all of it."""


def test_a_stalled_viewer_is_counted(page: Page, cinema: Stack) -> None:
    before = viewing(cinema)
    held: list[Route] = []
    holds = True

    def answer(route: Route) -> None:
        """Send the film's first bytes and its last one, and hold all further requests."""
        span = route.request.headers["range"]
        if span == "bytes=-1":  # the page asks whether the server answers
            route.continue_()
            return
        begin = int(span.removeprefix("bytes=").split("-")[0])
        if begin >= FIRST_BYTES:
            if holds:
                held.append(route)
            else:
                route.continue_()
            return
        span = f"bytes={begin}-{FIRST_BYTES - 1}"
        route.fulfill(response=route.fetch(headers={**route.request.headers, "range": span}))

    page.route("**/media/**", answer)
    page.goto(watch(CAPTIONED))
    page.evaluate(PLAY)
    until_true(page, f"{PLAYER}.currentTime > 0.5 && {PLAYER}.readyState < 3")
    assert held
    until(lambda: added(cinema, before, "stalls_total") or None, "it is reported while it lasts")
    assert added(cinema, before, 'seconds_total{state="stalled"}') < 40  # not after a minute
    at = page.evaluate(f"{PLAYER}.currentTime")
    holds = False
    for route in held:
        route.continue_()
    until_true(page, f"{PLAYER}.currentTime > {at} + 0.5")
    page.goto("/robots.txt")  # the page is left
    until(lambda: added(cinema, before, "reports_total") >= 2, "the rest is counted")
    assert added(cinema, before, 'seconds_total{state="stalled"}') > 0
    assert added(cinema, before, 'seconds_total{state="played"}') > 0.5
    assert added(cinema, before, "first_frame_seconds_count") == 1
    assert added(cinema, before, 'frames_total{outcome="shown"}') > 0
    assert ask(cinema.base, "/later").status == 404

    def logged() -> set[str]:
        return {line["uri"] for line in cinema.events("nginx")}

    until(lambda: "/later" in logged(), "what came later is logged")
    assert not [uri for uri in logged() if "viewing-reports" in uri]


def test_firefox_reports_nothing_if_its_viewer_objects(
    page: Page, cinema: Stack, tmp_path: Path
) -> None:
    """That it reports otherwise is a part of test_firefox.py."""
    before = viewing(cinema)
    with tab(
        cinema.base, tmp_path / "objecting", **{"privacy.globalprivacycontrol.enabled": True}
    ) as firefox:
        firefox.goto(watch(PLAIN))
        assert firefox.evaluate("navigator.globalPrivacyControl") is True
        firefox.evaluate(PLAY)
        until(lambda: firefox.evaluate(f"{PLAYER}.currentTime > 0.5"), "it plays")
        firefox.goto("/robots.txt")
        assert firefox.complaints() == []
    # What came before a later viewer's report has been counted.
    page.goto(watch(PLAIN))
    page.evaluate(PLAY)
    until_true(page, f"{PLAYER}.currentTime > 0.5")
    page.goto("/robots.txt")
    until(lambda: added(cinema, before, "reports_total") or None, "a report is counted")
    assert added(cinema, before, "reports_total") == 1
    assert added(cinema, before, "first_frame_seconds_count") == 1
    assert added(cinema, before, 'seconds_total{state="played"}') > 0.3
