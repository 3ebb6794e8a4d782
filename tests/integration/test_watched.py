"""What the browser remembers of watched videos, and what the pages make of it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect
from support.chromium import flawless, until_true
from support.family_library import family_library
from support.firefox import Tab
from support.raw_http import ask
from support.server import Server, serve, until, write

SEASON = "Series/Lighthouse/Season 01"
FIRST, SECOND, LAST = (f"{SEASON}/Lighthouse S01E0{number}.mp4" for number in (1, 2, 4))
FILM = "Films/Copper (1995)/Copper (1995).mp4"
LOOSE = [f"Loose/{name}.mp4" for name in ("Harbor S01E01", "Harbor S01E02E03", "Zoo S01E01")]
END = "Series/Lighthouse/Season 02/Lighthouse S02E04.mp4"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    media = family_library(tmp_path_factory.mktemp("watched") / "media")
    for path in LOOSE:
        write(media, path, (media / FILM).read_bytes())
    with serve(media) as server:

        def is_probed() -> bool:
            listing = json.loads(ask(server.base, "/api/videos?limit=200").body)["videos"]
            return all(video["state"] == "probed" for video in listing)

        until(is_probed, "all videos are probed")
        yield server


def remember(page: Any, **kept: Any) -> None:
    """Store values as `reelay.<name>`."""
    page.goto("/robots.txt")
    stored = {f"reelay.{name}": json.dumps(value) for name, value in kept.items()}
    page.evaluate("(stored) => Object.assign(localStorage, stored)", stored)


def seen(page: Any) -> set[str]:
    return set(json.loads(page.evaluate("localStorage['reelay.seen'] ?? '{}'")))


def rail(page: Page, name: str) -> Any:
    return page.get_by_role("region", name=name)


def card(page: Page, name: str, title: str) -> Any:
    return rail(page, name).locator(".card", has_text=title)


def following(server: Server, path: str) -> str | None:
    answer = json.loads(ask(server.base, f"/api/next/{quote(path)}").body)
    return answer["video"]["path"] if answer["video"] else None


def test_the_next_episode_may_be_of_the_next_season(server: Server) -> None:
    assert following(server, FIRST) == SECOND
    assert following(server, LAST) == "Series/Lighthouse/Season 02/Lighthouse S02E01.mp4"
    assert following(server, END) is None
    assert following(server, FILM) is None
    assert following(server, "Holidays/2021-07-01 Beach.mp4") is None
    assert ask(server.base, "/api/next/none.mp4").status == 404


def test_an_episode_that_ends_is_seen_and_the_next_one_stands_on_the_home_page(
    server: Server, browser: Browser
) -> None:
    with flawless(browser, server.base) as page:
        remember(page, settings={"autoplay": False})
        page.goto(f"/watch/{quote(FIRST)}")
        toggle = page.get_by_role("button", name="Seen", exact=True)
        expect(toggle).to_have_attribute("aria-pressed", "false")
        page.locator("[data-player]").evaluate("(player) => (player.muted = true, player.play())")
        expect(toggle).to_have_attribute("aria-pressed", "true")
        assert seen(page) == {FIRST}
        page.goto("/")
        up_next = rail(page, "Continue watching").locator(".card")
        expect(up_next).to_have_count(1)
        expect(up_next).to_contain_text("Lighthouse · S1 E2")
        expect(up_next).to_contain_text("Next up")
        expect(card(page, "Series", "Lighthouse")).to_contain_text("1 of 8 seen")
        expect(card(page, "Series", "Night Trains")).to_contain_text("8 videos")
        card(page, "Series", "Lighthouse").get_by_role("link").click()
        page.get_by_role("link", name="Continue S1 E2").wait_for()
        first = page.locator(".episode").first
        button = first.get_by_role("button")
        expect(button).to_have_attribute("aria-pressed", "true")
        # It counts as not seen again, although the player was at its end.
        button.click()
        expect(button).to_have_attribute("aria-pressed", "false")
        page.get_by_role("link", name="Play S1 E1").wait_for()
        assert seen(page) == set()
        page.go_back()
        expect(card(page, "Series", "Lighthouse")).to_contain_text("8 videos")
        expect(rail(page, "Continue watching")).to_be_hidden()


def test_a_series_without_a_folder_says_how_much_of_it_was_seen(
    server: Server, browser: Browser
) -> None:
    with flawless(browser, server.base) as page:
        remember(page, seen={LOOSE[0]: 1, LOOSE[2]: 2})
        page.goto("/?folder=Loose")
        expect(card(page, "Series", "Harbor")).to_contain_text("1 of 2 seen")
        page.goto("/series/Harbor")
        page.get_by_role("link", name="Continue S1 E2\N{EN DASH}3").wait_for()


def test_a_season_is_marked_as_seen_and_unmarked(server: Server, browser: Browser) -> None:
    with flawless(browser, server.base) as page:
        remember(page, progress={SECOND: [0.5, 1, 5]}, seen={END: 1, FIRST: 2})
        page.goto("/series/Lighthouse")
        button = page.get_by_role("button", name="Season 1: seen")
        expect(button).to_have_attribute("aria-pressed", "false")
        button.click()
        expect(button).to_have_attribute("aria-pressed", "true")
        expect(page.locator(".episode[data-seen]")).to_have_count(4)
        page.get_by_role("link", name="Continue S2 E1").wait_for()  # after the last one of it
        assert len(seen(page)) == 5
        button.click()
        expect(button).to_have_attribute("aria-pressed", "false")
        assert seen(page) == {END}


def test_pages_of_a_video_and_of_a_series_have_the_search(server: Server, browser: Browser) -> None:
    with flawless(browser, server.base) as page:
        for target in (f"/watch/{quote(FIRST)}", "/series/Lighthouse"):
            page.goto(target)
            box = page.get_by_role("searchbox", name="Search")
            box.fill("copper")
            box.press("Enter")
            page.wait_for_url("**/?q=copper**")
            expect(page.locator("[data-results] .card")).to_have_count(1)


def test_the_list_beside_the_player_marks_what_was_seen(server: Server, browser: Browser) -> None:
    with flawless(browser, server.base) as page:
        remember(page, seen={FIRST: 1})
        page.goto(f"/watch/{quote(SECOND)}")
        # A film of a second would end meanwhile, and the next one would follow.
        page.evaluate("() => { HTMLMediaElement.prototype.play = () => new Promise(() => {}); }")
        rows = page.locator(".season .neighbour")
        expect(rows.nth(0)).to_contain_text("Seen")
        expect(rows.nth(1)).not_to_contain_text("Seen")
        page.get_by_role("button", name="Seen", exact=True).click()
        expect(rows.nth(1)).to_contain_text("Seen")
        # Also after the page has gone to another video in the same document.
        rows.nth(2).click()
        page.wait_for_url("**E03.mp4")
        expect(rows.nth(1)).to_contain_text("Seen")
        expect(rows.nth(2)).not_to_contain_text("Seen")
        page.get_by_role("button", name="Seen", exact=True).click()
        page.get_by_role("button", name="Seen", exact=True).click()
        expect(rows.nth(2)).not_to_contain_text("Seen")
        assert seen(page) == {FIRST, SECOND}


@pytest.mark.parametrize(
    ("wish", "plays"),
    [([SECOND, "now"], True), ([SECOND, 0], False), ([FIRST, "now"], False), (5, False)],
)
def test_a_page_plays_by_itself_only_right_after_its_link_was_pressed(
    server: Server, browser: Browser, wish: Any, *, plays: bool
) -> None:
    with flawless(browser, server.base) as page:
        page.goto("/robots.txt")
        page.evaluate(
            """(wish) => {
                if (wish[1] === "now") wish[1] = Date.now();
                sessionStorage.setItem("reelay.play", JSON.stringify(wish));
            }""",
            wish,
        )
        page.goto(f"/watch/{quote(SECOND)}", wait_until="networkidle")
        played = "document.querySelector('video').played.length > 0"
        if plays:
            until_true(page, played)
        else:
            assert not page.evaluate(played)
        assert page.evaluate("sessionStorage['reelay.play']") is None


def test_a_click_that_was_cancelled_is_no_wish_to_play(server: Server, browser: Browser) -> None:
    with flawless(browser, server.base) as page:
        page.goto("/", wait_until="networkidle")
        page.evaluate("document.addEventListener('click', (event) => event.preventDefault())")
        card(page, "Films", "Copper").get_by_role("link").click()
        assert page.evaluate("sessionStorage['reelay.play']") is None


def test_a_card_is_marked_as_seen_by_its_button_and_everywhere(
    server: Server, browser: Browser
) -> None:
    with flawless(browser, server.base) as page:
        remember(page, progress={FILM: [0.5, 1, 1795000000000]})
        page.goto("/")
        copper = card(page, "Films", "Copper")
        expect(copper.get_by_role("progressbar")).to_have_attribute("value", "0.5")
        expect(rail(page, "Continue watching")).to_be_visible()
        button = copper.get_by_role("button", name="Copper (1995): seen")
        copper.get_by_role("link").focus()
        page.keyboard.press("Tab")
        expect(button).to_be_focused()
        page.keyboard.press("Enter")
        expect(button).to_have_attribute("aria-pressed", "true")
        expect(copper.get_by_role("progressbar")).to_have_count(0)
        expect(rail(page, "Continue watching")).to_be_hidden()
        for target in ("/videos?q=copper", "/?folder=Films/Copper%20(1995)"):
            page.goto(target)
            expect(page.get_by_role("button", name="Copper (1995): seen")).to_have_attribute(
                "aria-pressed", "true"
            )
        page.goto(f"/watch/{quote(FILM)}")
        page.get_by_role("button", name="Seen", exact=True).click()
        page.go_back()
        page.locator(".card").hover()  # where nothing was seen, this adds the button
        expect(page.get_by_role("button", name="Copper (1995): seen")).to_have_attribute(
            "aria-pressed", "false"
        )


def test_what_was_watched_is_exported_forgotten_and_imported(
    server: Server, browser: Browser, tmp_path: Path
) -> None:
    with flawless(browser, server.base) as page:
        remember(page, progress={FIRST: [0.5, 1, 2]}, seen={FILM: 1})
        page.goto("/")
        history = rail(page, "Watched in this browser")
        with page.expect_download() as download:
            history.get_by_role("button", name="Export").click()
        file = tmp_path / download.value.suggested_filename
        download.value.save_as(file)
        assert file.name == "reelay-watched.json"
        history.get_by_role("button", name="Forget all").click()
        expect(rail(page, "Continue watching")).to_be_hidden()
        expect(card(page, "Films", "Copper")).not_to_have_attribute("data-seen", "")
        assert seen(page) == set()
        wrong = tmp_path / "wrong.json"
        wrong.write_text("[]", encoding="utf-8")
        chooser = history.get_by_label("Import")
        chooser.set_input_files(wrong)
        expect(history).to_contain_text("This is not a file of watched videos.")
        chooser.set_input_files(file)
        expect(history).to_contain_text("Videos read: 2.")
        expect(card(page, "Films", "Copper")).to_have_attribute("data-seen", "")
        expect(rail(page, "Continue watching").locator(".card")).to_have_count(1)


def test_a_next_episode_that_is_not_wanted_goes(server: Server, browser: Browser) -> None:
    with flawless(browser, server.base) as page:
        remember(page, seen={FIRST: 1})
        page.goto("/")
        row = rail(page, "Continue watching")
        row.get_by_role("button", name="Forget Lighthouse · S1 E2").click()
        expect(row).to_be_hidden()
        page.reload(wait_until="networkidle")
        expect(row).to_be_hidden()
        assert seen(page) == {FIRST}


@pytest.mark.parametrize(
    ("kept", "cards"),
    [
        ({"seen": [1], "progress": {}}, 0),
        ({"seen": {FIRST: "x", "%": 1, "../..": 2, "none.mp4": 3}, "progress": {"%E0": 1}}, 0),
        ({"seen": {FIRST: -1e300}, "progress": {FILM: [0.5, 1, 1e300], "gone.mp4": [1, 2, 3]}}, 2),
    ],
)
def test_odd_data_is_ignored(
    server: Server, browser: Browser, kept: dict[str, Any], cards: int
) -> None:
    context = browser.new_context(base_url=server.base)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    remember(page, **kept)
    page.goto("/", wait_until="networkidle")
    expect(rail(page, "Continue watching").locator(".card")).to_have_count(cards)
    assert errors == []
    context.close()


@pytest.mark.slow  # Chromium's test above is of the same code
def test_firefox_marks_what_was_seen_and_what_is_next(server: Server, firefox_tab: Tab) -> None:
    with firefox_tab.at(server.base, watched=True) as page:
        remember(page, seen={FIRST: 5, FILM: 4}, progress={SECOND: [0.5, 1, 3]})
        page.goto("/")
        until(lambda: page.evaluate("!!document.querySelector('.continue .watched')"), "the row")
        names = "[...document.querySelectorAll('.continue h3')].map((e) => e.textContent.trim())"
        assert page.evaluate(f"() => {names}") == ["Lighthouse · S1 E2"]
        count = "document.querySelectorAll('[data-seen]').length"
        assert page.evaluate(count) >= 1
        page.click(".card:has([href*=Copper]) .seen")
        until(lambda: FILM not in seen(page), "the film is unmarked")
        assert page.complaints() == []
