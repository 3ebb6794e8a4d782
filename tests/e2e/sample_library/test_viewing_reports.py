"""What players in browsers report through the edge, in the service's metrics."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, Route
from support.chromium import until_true
from support.firefox import Tab, tab
from support.raw_http import ask
from support.sample_library import CAPTIONED, PLAIN, watch
from support.server import until
from support.stack import Stack

pytestmark = pytest.mark.stack

PLAYER = "document.querySelector('[data-player]')"
PLAY = f"void {PLAYER}.play()"
FIRST_BYTES = 150_000
"""Some seconds of the film, and not all of it."""


def viewing(cinema: Stack) -> dict[str, float]:
    """Return the sums of reports, by the name of the series after `reelay_viewing_`."""
    prefix = "reelay_viewing_"
    lines = ask(cinema.operator, "/metrics").body.decode().splitlines()
    series = [line.removeprefix(prefix).rsplit(" ", 1) for line in lines if line.startswith(prefix)]
    return {name: float(value) for name, value in series}


def added(cinema: Stack, before: dict[str, float], name: str) -> float:
    return viewing(cinema).get(name, 0) - before.get(name, 0)


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


def test_firefox_reports_too_unless_its_viewer_objects(
    cinema: Stack, firefox_tab: Tab, tmp_path: Path
) -> None:
    before = viewing(cinema)
    with tab(
        cinema.base, tmp_path / "objecting", **{"privacy.globalprivacycontrol.enabled": True}
    ) as page:
        page.goto(watch(PLAIN))
        assert page.evaluate("navigator.globalPrivacyControl") is True
        page.evaluate(PLAY)
        until(lambda: page.evaluate(f"{PLAYER}.currentTime > 0.5"), "it plays")
        page.goto("/robots.txt")
        assert page.complaints() == []
    with firefox_tab.at(cinema.base, watched=True) as page:
        page.goto(watch(PLAIN))
        page.evaluate(PLAY)
        until(lambda: page.evaluate(f"{PLAYER}.currentTime > 0.5"), "it plays")
        page.goto("/robots.txt")
        until(lambda: added(cinema, before, "reports_total") or None, "a report is counted")
        assert page.complaints() == []
    assert added(cinema, before, "reports_total") == 1
    assert added(cinema, before, "first_frame_seconds_count") == 1
    assert added(cinema, before, 'seconds_total{state="played"}') > 0.3
