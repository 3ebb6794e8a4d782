"""Posters of films and folders, and what players show instead of an upright one."""

import json
import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from PIL import Image
from support.ffmpeg_fixtures import mp4
from support.raw_http import ask
from support.server import Server, serve, until, write

RED, GREEN, BLUE = (220, 20, 30), (20, 160, 40), (30, 40, 200)
UPRIGHT, WIDE = (400, 600), (640, 360)

FILM = "Films/Harbor (1999)/Harbor (1999).mp4"
ALONE = "Films/Alone (2001)/Alone (2001).mp4"
EPISODE, NAMED_EPISODE = "Shows/Lights/S01/Lights S01E01.mp4", "Shows/Lights/S01/Lights S01E02.mp4"


def picture(colour: tuple[int, int, int], size: tuple[int, int]) -> bytes:
    file = BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("artwork") / "media"
    film = mp4(folder.parent / "film.mp4").read_bytes()  # a test picture of 4:3
    for path in (FILM, ALONE, EPISODE, NAMED_EPISODE):
        write(folder, path, film)
    write(folder, "Films/Harbor (1999)/poster.png", picture(RED, UPRIGHT))
    write(folder, "Films/Harbor (1999)/fanart.png", picture(BLUE, WIDE))
    write(folder, "Films/Alone (2001)/Alone (2001)-poster.png", picture(GREEN, UPRIGHT))
    write(folder, "Shows/Lights/folder.png", picture(GREEN, UPRIGHT))
    write(folder, "Shows/Lights/S01/folder.png", picture(RED, UPRIGHT))
    write(folder, NAMED_EPISODE.replace(".mp4", "-thumb.png"), picture(BLUE, WIDE))
    return folder


@pytest.fixture(scope="module")
def server(media: Path) -> Iterator[Server]:
    with serve(media, RESCAN_INTERVAL="1") as server:
        yield server


def ready(server: Server, path: str) -> Any:
    """Return the poster of a video once it is made."""

    def poster() -> Any:
        video = json.loads(ask(server.base, f"/api/videos/{quote(path)}").body)
        return video["poster"] if video["poster"]["state"] == "ready" else None

    return until(poster, f"the poster of {path} is ready")


def colour(server: Server, url: str) -> tuple[tuple[int, int, int], tuple[int, int]]:
    """Return the colour in the middle of a picture, and its size."""
    response = ask(server.base, url)
    assert response.status == 200, response.body
    image = Image.open(BytesIO(response.body)).convert("RGB")
    middle: Any = image.getpixel((image.width // 2, image.height // 2))
    return middle, image.size


def is_like(one: tuple[int, int, int], other: tuple[int, int, int]) -> bool:
    return all(abs(a - b) < 24 for a, b in zip(one, other, strict=True))


def test_a_film_in_its_own_folder_has_an_upright_poster_and_a_still(server: Server) -> None:
    poster = ready(server, FILM)
    card, card_size = colour(server, poster["pictures"][-1]["url"])
    still, still_size = colour(server, poster["still"][-1]["url"])
    assert is_like(card, RED)
    assert is_like(still, BLUE)
    assert (card_size, still_size) == (UPRIGHT, WIDE)


def test_without_a_still_beside_it_the_still_is_a_frame_of_the_film(server: Server) -> None:
    poster = ready(server, ALONE)
    assert [(p["width"], p["height"]) for p in poster["pictures"]] == [UPRIGHT]
    still, size = colour(server, poster["still"][-1]["url"])
    assert size == (poster["still"][-1]["width"], poster["still"][-1]["height"])
    assert size[0] * 3 == size[1] * 4
    assert not is_like(still, GREEN)


def test_the_player_and_the_previews_of_links_show_the_still(server: Server) -> None:
    poster = ready(server, FILM)
    url = poster["still"][-1]["url"]
    page = ask(server.base, f"/watch/{quote(FILM)}").body.decode().replace("&amp;", "&")
    assert f'poster="{url}"' in page
    jpeg = url.replace("?", ".jpg?")
    assert f'<meta property="og:image" content="{server.base}{jpeg}">' in page
    assert is_like(colour(server, jpeg)[0], BLUE)
    assert not re.search(re.escape(poster["pictures"][-1]["url"]) + r"(?!(&w=\d+)?&still=1)", page)


def test_an_episode_has_a_frame_or_its_own_picture_and_not_that_of_the_folder(
    server: Server,
) -> None:
    frame = ready(server, EPISODE)
    assert frame["still"] == frame["pictures"]
    assert frame["pictures"][0]["width"] > frame["pictures"][0]["height"]
    thumb = ready(server, NAMED_EPISODE)
    assert thumb["still"] == thumb["pictures"]
    assert is_like(colour(server, thumb["pictures"][0]["url"])[0], BLUE)


@pytest.mark.parametrize(
    ("folder", "expected"), [("Shows/Lights", GREEN), ("Shows/Lights/S01", RED)]
)
def test_a_folder_shows_its_picture(
    server: Server, folder: str, expected: tuple[int, int, int]
) -> None:
    url = f"/posters/{quote(folder)}/"
    until(lambda: ask(server.base, url).status == 200, f"the poster of {folder} is made")
    shown, size = colour(server, url)
    assert is_like(shown, expected)
    assert size == UPRIGHT


@pytest.mark.parametrize("folder", ["Shows", "Films/Alone (2001)", "Nowhere", "Shows/Lights/"])
def test_a_folder_without_a_picture_has_no_poster(server: Server, folder: str) -> None:
    assert ask(server.base, f"/posters/{quote(folder)}/").status == 404


def test_a_picture_that_changes_or_goes_is_noticed(server: Server, media: Path) -> None:
    """Last, as it changes the folder."""
    before = ready(server, FILM)
    write(media, "Films/Harbor (1999)/fanart.png", picture(GREEN, WIDE), age=1800)
    changed = until(
        lambda: None if (now := ready(server, FILM)) == before else now, "the new still is made"
    )
    assert is_like(colour(server, changed["still"][0]["url"])[0], GREEN)
    assert ask(server.base, before["still"][0]["url"]).status == 410
    (media / "Shows/Lights/folder.png").unlink()
    until(
        lambda: ask(server.base, "/posters/Shows/Lights/").status == 404,
        "the poster of the folder is gone",
    )
