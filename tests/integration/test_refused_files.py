"""Files that FFmpeg opens and browsers refuse: what the service says, and what both browsers do."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from support.chromium import watched
from support.firefox import Tab
from support.raw_http import ask, url_of
from support.refused_files import FILES, SECONDS, write_file
from support.server import Server, serve, until

pytestmark = pytest.mark.slow

# The page does not know the scheme of encryption: one that browsers have, and one that they lack.
OTHER_SCHEMES = {"cens.mp4", "cbcs.mp4"}
UNPLAYABLE = [
    name
    for name, (_, found) in FILES.items()
    if "unplayable" in found.values() and name not in OTHER_SCHEMES
]
# A page in a frame has the same scripts: it shows the first file of each finding, in Chromium.
EMBEDDED = {
    next(name for name in UNPLAYABLE if FILES[name][1] == findings)
    for findings in (FILES[name][1] for name in UNPLAYABLE)
}
# Firefox plays none of these, and no sound at all without a device for it.
NOT_IN_FIREFOX = {
    "H264.mov", "without headers.mkv", "cut in its index.mp4",
    "piped.flac", "piped.wav", "piped.mp3", "cut.flac", "cut.wav", "cut.mp3",
}  # fmt: skip
PLAYABLE = [name for name, (_, found) in FILES.items() if "unplayable" not in found.values()]
ENCRYPTED = [name for name, (_, found) in FILES.items() if "encrypted" in found]

# A hundred seconds of the page pass in one: delays of a minute are waited for.
FAST = """(() => {
    const [later, often, now] = [setTimeout, setInterval, performance.now.bind(performance)];
    window.setTimeout = (act, delay = 0, ...words) => later(act, delay / 100, ...words);
    window.setInterval = (act, delay = 0, ...words) => often(act, delay / 100, ...words);
    performance.now = () => now() * 100;
    window.loads = 0;
    document.addEventListener("loadstart", () => { window.loads += 1; }, true);
})()"""

STATE = """() => {
    const player = document.querySelector("[data-player]");
    const overlay = document.querySelector("[data-unplayable]");
    return {
        loads: window.loads, at: player.currentTime,
        ended: player.ended && player.currentTime > player.duration - 0.5,
        reason: overlay.hidden ? null : overlay.querySelector("[role=status]").textContent,
        message: document.querySelector(".banner").textContent.trim(),
    };
}"""
PLAY = "() => { document.querySelector('[data-player]').play().catch(() => {}); }"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    media = Path(tmp_path_factory.mktemp("refused")) / "media"
    media.mkdir()
    for name in FILES:
        write_file(media, name)
    with serve(media) as running:

        def is_done(name: str) -> bool:
            item = described(running, name)
            kinds = ("poster", "remux", "captions", "storyboard")
            return item["state"] != "pending" and all(
                item[kind]["state"] != "waiting" for kind in kinds
            )

        until(lambda: all(map(is_done, FILES)) or None, "all artefacts are made", pause=0.5)
        yield running


def described(server: Server, name: str) -> Any:
    return json.loads(ask(server.base, url_of("api/videos", name)).body)


@pytest.fixture(scope="module", params=["chromium", "firefox"])
def page(request: pytest.FixtureRequest, server: Server) -> Iterator[Page | Tab]:
    if request.param == "firefox":
        tab: Tab = request.getfixturevalue("firefox_tab")
        tab.renew(server.base)
        tab.add_init_script(FAST)
        yield tab
        return
    browser: Browser = request.getfixturevalue("browser")
    with watched(browser, server.base) as (chromium, _):
        chromium.add_init_script(FAST)
        yield chromium


def until_quiet(page: Page | Tab) -> Any:
    """Wait until the player has not loaded its source for 120 seconds of the page.

    The longest delay between its attempts is 75 s (MAX_DELAY of recovery.js, and the jitter).
    """
    for _ in range(20):
        before = page.evaluate("window.loads")
        page.evaluate("() => new Promise((done) => setTimeout(done, 120_000))")
        state = page.evaluate(STATE)
        if state["loads"] == before:
            return state
    raise AssertionError(f"it is loaded again and again: {state}")


@pytest.mark.parametrize("name", UNPLAYABLE)
def test_what_no_browser_plays_is_said_and_not_loaded_again_and_again(
    server: Server, page: Page | Tab, name: str
) -> None:
    (reason,) = (
        finding["viewer_sentence"]
        for finding in described(server, name)["findings"]
        if finding["severity"] == "unplayable"
    )
    is_embedded = name in EMBEDDED and is_chromium(page)
    for view in ("watch", "embed") if is_embedded else ("watch",):
        page.goto(url_of(view, name))
        until(lambda: page.evaluate(STATE)["reason"] == reason, f"{view} says why")
        page.evaluate(PLAY)
        state = until_quiet(page)
        # Without media data browsers are at the end at once.
        assert state["at"] < 0.5 or state["at"] > SECONDS - 0.5, state
        assert state["reason"] == reason, state
        assert not state["message"], state


def is_chromium(page: Page | Tab) -> bool:
    return not isinstance(page, Tab)


@pytest.mark.parametrize("name", PLAYABLE)
def test_what_is_said_to_play_does(page: Page | Tab, name: str) -> None:
    if not is_chromium(page) and name in NOT_IN_FIREFOX:
        pytest.skip("Firefox does not play it")
    page.goto(url_of("watch", name))
    page.evaluate(PLAY)
    until(lambda: page.evaluate(STATE)["at"] > 0.5, "it plays")
    assert page.evaluate(STATE)["reason"] is None


def test_a_file_that_only_this_browser_refuses_is_given_up(page: Page | Tab) -> None:
    if is_chromium(page):
        pytest.skip("Chromium plays it")
    page.goto(url_of("watch", "H264.mov"))
    page.evaluate(PLAY)
    state = until_quiet(page)
    assert state["reason"] == "This browser cannot play this file."


@pytest.mark.parametrize("name", ["cut.mp4", "cut fragments.mp4", "cut listed fragments.mp4"])
def test_a_film_whose_end_is_missing_stops_there(page: Page | Tab, name: str) -> None:
    page.goto(url_of("watch", name))
    page.evaluate(PLAY)
    until(lambda: page.evaluate(STATE)["at"] > 1.5, "it plays")
    page.evaluate(f"document.querySelector('[data-player]').currentTime = {SECONDS / 2 - 2}")

    def has_stopped() -> bool:
        state = page.evaluate(STATE)
        damaged = "The file seems to be damaged here"
        # Firefox may take what it has of a fragment for the end of the film, and learn no more.
        return bool(state["ended"]) or str(state["message"]).startswith(damaged)

    until(has_stopped, "it stops")
    state = until_quiet(page)
    assert has_stopped(), state


@pytest.mark.parametrize("name", ENCRYPTED)
def test_no_picture_is_made_of_what_is_encrypted(server: Server, name: str) -> None:
    item = described(server, name)
    has_picture = any(
        stream["kind"] == "video" and not stream["encryption"]
        for stream in (item["metadata"] or {"streams": []})["streams"]
    )
    expected = "ready" if has_picture else "none"
    assert (item["poster"]["state"], item["storyboard"]["state"]) == (expected, expected)


@pytest.mark.parametrize("name", FILES)
def test_only_files_that_other_players_open_are_recommended_to_them(
    server: Server, name: str
) -> None:
    page = ask(server.base, url_of("watch", name)).body.decode()
    assert ("such as VLC" in page, "Other players need its key" in page) == (
        name not in ENCRYPTED,
        name in ENCRYPTED,
    )
