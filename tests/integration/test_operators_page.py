"""The operators' page of real replicas, as a browser shows it."""

from collections.abc import Iterator
from functools import partial

import pytest
from playwright.sync_api import Browser, expect
from support.access import PASSWORD, cookie_of, sign_in
from support.axe import axe_script, violations
from support.chromium import flawless
from support.raw_http import ask
from support.server import Server, free_port, serve, until, write

# It waits for two rounds of collecting metrics, 15 seconds apart.
pytestmark = pytest.mark.slow

KEY = "5" * 64
NAME = "<img src=x onerror=alert(1)>.mp4"


@pytest.fixture(scope="module")
def replicas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    """Run two replicas with a password, of which the first names the second, and a missing edge."""
    folder = tmp_path_factory.mktemp("replicas")
    write(folder / "media", NAME, b"no film")
    serve_replica = partial(
        serve, folder / "media", PASSWORD=PASSWORD, KEY=KEY, STATE=str(folder / "state")
    )
    with serve_replica() as other:
        address, missing = other.base.removeprefix("http://"), f"127.0.0.1:{free_port()}"
        with serve_replica(REPLICAS=address, EDGE_METRICS=missing) as one:
            yield [one, other]


def test_the_page_shows_all_replicas_and_what_does_not_play(
    replicas: list[Server], browser: Browser
) -> None:
    one, other = replicas
    mine, theirs = ({"Cookie": cookie_of(sign_in(server.base))} for server in replicas)
    report = b'{"first_frame": 3, "played": 200, "stalled": 100, "errors": {"decode": 2}}'

    def shows(text: bytes) -> bool:
        return text in ask(one.base, "/operators", mine).body

    assert ask(one.base, "/operators").status == 401
    until(lambda: shows(b">0.1.0<"), "the other replica has been read")
    assert ask(other.base, "/viewing-reports", theirs, "POST", report).status == 204
    until(lambda: shows(b"<b>33.33</b>"), "its report is shown: the film stalled for a third")

    with flawless(browser, one.base, extra_http_headers=mine) as page:
        page.clock.install()
        page.goto("/operators")
        away = page.get_by_role("row").filter(has_text="does not answer")
        expect(away).to_have_count(1)
        page.get_by_role("link", name="Need attention: 1 of 2 replicas and edges").click()
        expect(away).to_be_in_viewport()
        expect(page.get_by_role("listitem").filter(has_text=f"{NAME}: ")).to_be_visible()
        expect(page.get_by_text("1 of 1 videos do not play")).to_be_visible()
        half = page.get_by_role("listitem").filter(has_text="Half of films")
        expect(half).to_contain_text("2.5 s")
        failed = page.locator("dl div").filter(has_text="decode")
        expect(failed.get_by_role("definition")).to_have_text("2")
        assert violations(page, axe_script(), "operators") == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")  # of a phone

        page.evaluate("document.querySelector('.charts').dataset.old = ''")
        page.clock.run_for(15_000)
        expect(page.locator("[data-old]")).to_have_count(0)
        page.context.set_extra_http_headers({})  # so it is refused
        page.clock.run_for(15_000)
        expect(page.get_by_role("status")).to_contain_text("does not answer")
