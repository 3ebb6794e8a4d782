"""Names of files: the title that viewers read, and what is not sure.

The expected titles follow from how people and programs name files, not from guessit's output.
"""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.listing.titles import video_title
from service.models import ParsedName
from service.naming.release_names import MAX_NAME_LENGTH, parse_name, parse_title
from service.naming.release_words import is_release_name

EPISODES = {
    "Harbor.Lights.S01E02.1080p.WEB-DL.x264.mkv": "Harbor Lights · S1 E2",
    "Harbor.Lights.S01E02.Storm.1080p.WEB-DL.x264.mkv": "Harbor Lights · S1 E2 · Storm",
    "Harbor Lights - S01E02 - Storm.mkv": "Harbor Lights · S1 E2 · Storm",
    "Harbor Lights S01E02.mkv": "Harbor Lights · S1 E2",
    "HARBOR.LIGHTS.S01E02.720P.HDTV.X264.MKV": "HARBOR LIGHTS · S1 E2",
    "harbor_lights_s01e02.mp4": "harbor lights · S1 E2",
    "Harbor  Lights   S01E02.mkv": "Harbor Lights · S1 E2",
    "Harbor.Lights.s1e2.mkv": "Harbor Lights · S1 E2",
    "Harbor.Lights.S01.E02.mkv": "Harbor Lights · S1 E2",
    "Harbor Lights S01 E02 Storm.mkv": "Harbor Lights · S1 E2 · Storm",
    "Harbor Lights 1x02.mkv": "Harbor Lights · S1 E2",
    "Harbor.Lights.1x12.Storm.720p.HDTV.mkv": "Harbor Lights · S1 E12 · Storm",
    "Harbor Lights/Harbor Lights 1x12.mkv": "Harbor Lights · S1 E12",
    "Harbor Lights Season 1 Episode 2.mkv": "Harbor Lights · S1 E2",
    # Several episodes in a file.
    "Harbor.Lights.S01E02E03.mkv": "Harbor Lights · S1 E2\N{EN DASH}3",
    "Harbor.Lights.S01E02-E04.Storm.mkv": "Harbor Lights · S1 E2\N{EN DASH}4 · Storm",
    "Harbor.Lights.S01E02-E03.1080p.mkv": "Harbor Lights · S1 E2\N{EN DASH}3",
    # Specials.
    "Harbor.Lights.S00E03.Making.of.mkv": "Harbor Lights · Special 3 · Making of",
    "Harbor Lights/Specials/01 - Making of.mkv": "Harbor Lights · Special 1 · Making of",
    "Harbor Lights/Season 00/01 - Making of.mkv": "Harbor Lights · Special 1 · Making of",
    # Season and series by the folders.
    "Harbor Lights/Season 01/02 - Storm.mkv": "Harbor Lights · S1 E2 · Storm",
    "Harbor Lights/Season 01/02.mkv": "Harbor Lights · S1 E2",
    "Harbor Lights/S01/E02.mkv": "Harbor Lights · S1 E2",
    "Harbor Lights/S01/Episode 2.mkv": "Harbor Lights · S1 E2",
    "Harbor Lights/Staffel 2/03 Sturm.mkv": "Harbor Lights · S2 E3 · Sturm",
    "TV/Harbor Lights Season 2/03 - Storm.mkv": "Harbor Lights · S2 E3 · Storm",
    "Harbor Lights/Season 1/Harbor Lights - 02 - Storm.mkv": "Harbor Lights · S1 E2 · Storm",
    "Harbor Lights/S01E02 - Storm.mkv": "Harbor Lights · S1 E2 · Storm",
    "Harbor Lights/S1E2 Storm.mp4": "Harbor Lights · S1 E2 · Storm",
    "Harbor.Lights.S01.1080p.WEB-DL/S01E02.mkv": "Harbor Lights · S1 E2",
    # A year tells series of one name apart.
    "Doctor.Who.2005.S01E02.mkv": "Doctor Who (2005) · S1 E2",
    "Doctor Who (2005) - S01E02 - Rose.mkv": "Doctor Who (2005) · S1 E2 · Rose",
    "Doctor Who (2005)/Season 1/Doctor Who S01E02.mkv": "Doctor Who (2005) · S1 E2",
    "1923.S01E02.mkv": "1923 · S1 E2",
    "24.S01E02.mkv": "24 · S1 E2",
    "Beverly.Hills.90210.S01E02.mkv": "Beverly Hills 90210 · S1 E2",
    # Words of a title that may also be technical.
    "Harbor.Lights.S01E02.The.French.Connection.1080p.mkv": (
        "Harbor Lights · S1 E2 · The French Connection"
    ),
    "Harbor.Lights.S01E02.Storm.FRENCH.1080p.WEB.x264.mkv": "Harbor Lights · S1 E2 · Storm",
    "Harbor.Lights.S01E02.Storm.PROPER.720p.mkv": "Harbor Lights · S1 E2 · Storm",
    "Harbor.Lights.S01E02.Storm.AMZN.WEB-DL.DDP5.1.mkv": "Harbor Lights · S1 E2 · Storm",
    "Spider-Man.S01E02.mkv": "Spider-Man · S1 E2",
    "The.Office.US.S02E03.mkv": "The Office US · S2 E3",
    "[Group] Harbor Lights S01E02.mkv": "Harbor Lights · S1 E2",
    # Numbered from the first episode to the last, as releases of anime are.
    "[Group] Harbor Lights - 03 (1080p) [0A1B2C3D].mkv": "Harbor Lights · E3",
    "[Group] Harbor Lights - 103v2 [720p].mkv": "Harbor Lights · E103",
    "[Group] Harbor Lights S2 - 03 [1080p].mkv": "Harbor Lights · S2 E3",
    # Daily shows.
    "The.Late.News.2019.11.21.720p.HDTV.mkv": "The Late News · 2019-11-21",
    "The.Late.News.2019.11.21.Jane.Doe.WEB.x264.mkv": "The Late News · 2019-11-21 · Jane Doe",
    # Other scripts.
    "夜の海.S01E02.mkv": "夜の海 · S1 E2",
    "夜の海/シーズン1/03.mkv": "夜の海 · S1 E3",
    "夜の海/Season 1/第3話.mkv": "夜の海 · S1 E3",
    "Звезда.S02E05.1080p.mkv": "Звезда · S2 E5",
    "أضواء.الميناء.S01E02.mkv": "أضواء الميناء · S1 E2",
}

FILMS = {
    "The.Matrix.1999.1080p.BluRay.x264.mkv": "The Matrix (1999)",
    "The Matrix (1999) [1080p].mkv": "The Matrix (1999)",
    "the_matrix_1999_dvdrip.avi": "the matrix (1999)",
    "1917.2019.2160p.mkv": "1917 (2019)",
    "2001.A.Space.Odyssey.1968.1080p.mkv": "2001 A Space Odyssey (1968)",
    "Spider-Man.No.Way.Home.2021.2160p.WEB-DL.mkv": "Spider-Man No Way Home (2021)",
    "WALL-E.2008.720p.mkv": "WALL-E (2008)",
    "Apollo.13.1995.1080p.mkv": "Apollo 13 (1995)",
    "Movie.Part.2.2011.BluRay.mkv": "Movie Part 2 (2011)",
    "La.Haine.1995.FRENCH.1080p.BluRay.mkv": "La Haine (1995)",
    "Alien.1979.Directors.Cut.1080p.mkv": "Alien (1979) · Directors Cut",
    "Blade.Runner.1982.Final.Cut.1080p.mkv": "Blade Runner (1982) · Final Cut",
    "Seven.Samurai.1954.DVDRip.CD1.avi": "Seven Samurai (1954) · CD 1",
    "www.example.com - The Matrix (1999) 1080p.mkv": "The Matrix (1999)",
    "東京物語.1953.1080p.mkv": "東京物語 (1953)",
}

UNSURE = {
    "IMG_2034.mov": "IMG 2034",
    "2019-07-04 Beach.mp4": "2019-07-04 Beach",
    "Mother 60.mp4": "Mother 60",
    "1917.mkv": "1917",
    "1917 1080p.mkv": "1917 1080p",
    "Season 1 of our garden.mp4": "Season 1 of our garden",
    "Season 1 of our garden/02 - Tomatoes.mp4": "02 - Tomatoes",
    "Galaxy S21/01 - Beach.mp4": "01 - Beach",
    "Home/Season 1/IMG_2034.mov": "IMG 2034",
    "Home/Season 1/01.07.2019 Beach.mp4": "01.07.2019 Beach",
    "Garage 2x4 wall.mp4": "Garage 2x4 wall",
    "test 16x9.mp4": "test 16x9",
    "test 1920x1080.mp4": "test 1920x1080",
    "Monitor 16x10.mp4": "Monitor 16x10",
    "Birthday 2019.mp4": "Birthday 2019",
    "PXL_20230704_123456789.mp4": "PXL 20230704 123456789",
    "VID-20190704-WA0001.mp4": "VID-20190704-WA0001",
    "Beach 2019-07-04 1080p.mp4": "Beach 2019-07-04 1080p",
    "GOPR0001.MP4": "GOPR0001",
    "Lecture 3 - Ranges.mp4": "Lecture 3 - Ranges",
    "Part 2.mp4": "Part 2",
    "S01E02.mkv": "S01E02",  # of what?
    "Videos/S01E02.mkv": "S01E02",
    "Fahrenheit.9.11.2004.DVDRip.avi": "Fahrenheit 9.11.2004 DVDRip",  # a date, or a year?
    "Class1e2 notes.mp4": "Class1e2 notes",
}


@pytest.mark.parametrize(("path", "expected"), [*EPISODES.items(), *FILMS.items()])
def test_a_sure_name_becomes_a_title_for_people(path: str, expected: str) -> None:
    parsed = parse_name(path)
    assert parsed is not None
    assert video_title(path, None, parsed) == expected
    assert (parsed.film is None) == (path in EPISODES)


@pytest.mark.parametrize(("path", "expected"), UNSURE.items())
def test_an_unsure_name_stays(path: str, expected: str) -> None:
    assert parse_name(path) is None
    assert video_title(path, None) == expected


def test_the_parts_of_an_episode_are_told_apart() -> None:
    assert parse_name("Doctor.Who.2005.S01E02E03.Rose.1080p.mkv") == ParsedName(
        series="Doctor Who", year=2005, season=1, episodes=(2, 3), episode_title="Rose"
    )


EPISODE, FILM = "Harbor.Lights.S01E02.Storm.mkv", "The.Matrix.1999.1080p.mkv"


@pytest.mark.parametrize(
    ("path", "tag", "expected"),
    [
        # A tag is the title of a film, and of an episode what follows its number.
        (FILM, "Matrix, The", "Matrix, The"),
        (FILM, "the matrix", "The Matrix (1999)"),
        (EPISODE, "The Storm", "Harbor Lights · S1 E2 · The Storm"),
        (EPISODE, "Harbor Lights", "Harbor Lights · S1 E2 · Storm"),
        (EPISODE, "Harbor Lights - The Storm", "Harbor Lights · S1 E2 · The Storm"),
        (EPISODE, "Harbor Lights Forever", "Harbor Lights · S1 E2 · Harbor Lights Forever"),
        (EPISODE, "Untitled", "Harbor Lights · S1 E2 · Storm"),
        # A tag that is itself the name of a release is none.
        (FILM, "The.Matrix.1999.1080p.BluRay.x264-GROUP", "The Matrix (1999)"),
        (EPISODE, "Harbor.Lights.S01E02.WEB-DL", "Harbor Lights · S1 E2 · Storm"),
        ("some_film.mkv", "Some.Film.1080p.x264", "some film"),
        ("Mother 60.mp4", "Our mother is sixty", "Our mother is sixty"),
    ],
)
def test_a_tag_that_is_a_title_is_preferred(path: str, tag: str, expected: str) -> None:
    assert video_title(path, tag, parse_name(path)) == expected


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("Harbor.Lights.S01E02", True),
        ("Harbor Lights 1080p x264", True),
        ("Film.1080p", True),
        ("Big Buck Bunny 1080p", False),
        ("The Third Man", False),
        ("The.Big.Film", False),
        ("Class1e2", False),
    ],
)
def test_the_name_of_a_release_is_no_title(tag: str, *, expected: bool) -> None:
    assert is_release_name(tag) is expected


def test_a_tag_is_parsed_if_it_is_the_name_of_a_release() -> None:
    parsed = parse_title("Harbor.Lights.S01E02.Storm.1080p")
    assert parsed is not None
    assert (parsed.series, parsed.season, parsed.episodes) == ("Harbor Lights", 1, (2,))
    assert parse_title("Harbor Lights 2019") is None


_pieces = st.sampled_from(
    [
        "S01E02",
        "1x02",
        "Season 1",
        "2019",
        "1080p",
        "WEB-DL",
        "[",
        "]",
        "(",
        ")",
        "-",
        ".",
        "_",
        " ",
        "E03",
        "Name",
        "x264",
        "夜",
        "\u200f",
        "é",
        "S2",
        "/",
        "第3話",
        "2019.11.21",
        "FRENCH",
        "CD1",
    ]
)


@settings(deadline=None, max_examples=60)
@given(st.lists(_pieces, min_size=1, max_size=14).map("".join))
def test_any_name_gives_a_title_of_one_tidy_line(name: str) -> None:
    path = f"{name.strip('/') or 'x'}.mkv"
    parsed = parse_name(path)
    title = video_title(path, None, parsed)
    assert title == " ".join(title.split())
    assert title
    if parsed:
        assert (parsed.series is None) != (parsed.film is None)
        assert any(map(str.isalnum, parsed.series or parsed.film or ""))
        if parsed.series:
            assert parsed.episodes or parsed.aired


@pytest.mark.parametrize(
    "stem",
    [
        "S01E01" * 33,
        "1x02-" * 40,
        "(2019)1080p" * 18,
        "[a]" * 66,
        "S01E" + "1E" * 90,
        "01 " * 66,
        "x" * 240,
        "S01E01" + "." * 190,
        "[" * 100 + " - 03 1080p",
        "S01E01-E500 1080p",
    ],
)
def test_a_hostile_name_gives_a_title(stem: str) -> None:
    """The length of a name bounds the time; the processor time that it may take is limited."""
    for path in (f"{stem}.mkv", f"{stem[:99]}/Season 1/{stem}.mkv", f"{stem}/S01/{stem}.mkv"):
        assert video_title(path, None, parse_name(path))
    long_name = f"Harbor.Lights.S01E02.{'x' * MAX_NAME_LENGTH}.mkv"
    assert parse_name(long_name) is None
    assert re.fullmatch("Harbor Lights S01E02 x+", video_title(long_name, None))
