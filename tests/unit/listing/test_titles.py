import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.listing.titles import folder_title, video_title

# Names on Linux have any characters but these (and are not "." or "..").
names = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("film.mp4", "film"),
        ("a/b/film.mp4", "film"),
        ("The.Big.Film.2019.mp4", "The Big Film 2019"),
        ("the_big_film.mp4", "the big film"),
        ("a__b  c.mp4", "a b c"),
        (" film .mp4", "film"),
        # In names with spaces, dots stay.
        ("v1.2 notes.mp4", "v1.2 notes"),
        ("Vol. 2.mp4", "Vol. 2"),
        ("Dr. Strange.mp4", "Dr. Strange"),
        ("my_film_v1.2.mp4", "my film v1.2"),
        # In names without spaces, some dots stay.
        ("S.W.A.T..mp4", "S.W.A.T."),
        ("S.W.A.T.mp4", "S.W.A.T"),
        ("S.W.A.T.2017.mp4", "S.W.A.T. 2017"),
        ("J.R.R.Tolkien.mp4", "J.R.R. Tolkien"),
        ("A.Film.mp4", "A Film"),
        ("Film.v1.2.mp4", "Film v1.2"),
        ("Film.2.1080p.5.1.mp4", "Film 2 1080p 5.1"),
        ("Trip.2019.11.21.cut.mp4", "Trip 2019.11.21 cut"),
        ("Trip.21.11.2019.mp4", "Trip 21.11.2019"),
        ("我.是.谁.mp4", "我 是 谁"),
        # Nothing else is removed.
        ("[Group] Film (1080p) - x264.mp4", "[Group] Film (1080p) - x264"),
        ("film-of-2019.mp4", "film-of-2019"),
        ("film.tar.mp4", "film tar"),
        # Never empty.
        ("_.mp4", "_"),
        ("....mp4", "..."),
        (" .mp4", ".mp4"),
        ("\u200b.mp4", "\u200b.mp4"),
        ("🎬.mp4", "🎬"),
        # Composed (NFC), even if the file system decomposes names.
        ("Cafe\u0301.mp4", "Caf\u00e9"),
        ("a\tb\x85c.mp4", "a b c"),
    ],
)
def test_a_name_is_made_readable(path: str, expected: str) -> None:
    assert video_title(path, None) == expected


@pytest.mark.parametrize(
    "tag",
    [
        "The Third Man",
        "Either/Or",
        "AC/DC: Live",
        "Episode 1.5",
        "2001: A Space Odyssey",
        "Untitled Goose Game",
        "Unknown Pleasures",
        "The.Big.Film",  # as its author wrote it
        "♥",
        "東京物語",
        "12",
        "...And Justice for All",
        "Title Fight",
        "http and the rest",
    ],
)
def test_a_meaningful_title_tag_is_the_title(tag: str) -> None:
    assert video_title("some_film.mp4", tag) == tag


@pytest.mark.parametrize(
    "tag",
    [
        *("", " ", "\t\n", "-", "...", "???", "\u200b", "\0"),
        *("Untitled", "untitled", "Untitled 3", "untitled_project", "Untitled Sequence (2)"),
        *("UNKNOWN", "No Title", "title", "Ohne Titel", "Sans titre", "Sin título", "無題", "n/a"),
        *("/home/me/film", "~/film", "C:\\Users\\me\\film", "d:/film", "\\\\share\\film"),
        *("file:///film", "https://example.org/film", "RTSP://camera/1"),
        *("other.mp4", "Other Film.MKV", "dir/other.webm", "movie.avi", "scan.jpg", "cut.prproj"),
        "some_film",  # the unchanged file name
        "some_film.mp4",
    ],
)
def test_a_meaningless_title_tag_is_ignored(tag: str) -> None:
    assert video_title("some_film.mp4", tag) == "some film"


def test_a_title_tag_is_one_line() -> None:
    assert video_title("x.mp4", " The\r\nThird\x00 Man ") == "The Third Man"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("series", "series"),
        ("a/The.Big.Series", "The Big Series"),
        ("a/season_01", "season 01"),
        ("a/v1.2", "v1.2"),
        ("a/_", "_"),
    ],
)
def test_a_folder_title_is_its_last_path_component(path: str, expected: str) -> None:
    assert folder_title(path) == expected


@given(names, st.none() | st.text())
def test_any_name_and_tag_give_a_title_of_one_tidy_line(name: str, tag: str | None) -> None:
    title = video_title(f"folder/{name}.mp4", tag)
    assert title
    assert title == " ".join(title.split())
    assert folder_title(f"folder/{name}")


@given(names.filter(lambda name: name.isprintable()))
def test_a_title_keeps_the_letters_of_its_name(name: str) -> None:
    def letters(text: str) -> str:
        composed = unicodedata.normalize("NFC", text)
        return "".join(char for char in composed if char.isalnum())

    assert letters(video_title(f"{name}.mp4", None)).startswith(letters(name))
