import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.naming.sidecars import (
    IMAGE_EXTENSIONS,
    TEXT_EXTENSIONS,
    SidecarMatcher,
    SidecarNames,
    is_chapters,
    name_tags,
)
from service.protocol.media_types import is_sidecar

TEXTS = [
    # names in the folder, the video, its captions
    (["film.vtt", "film.srt"], "film.mp4", ("film.srt", "film.vtt")),
    (["film.en.vtt", "film.pt-BR.srt"], "film.mp4", ("film.en.vtt", "film.pt-BR.srt")),
    (["film.EN.VTT", "FILM.de.srt"], "film.mp4", ("FILM.de.srt", "film.EN.VTT")),
    (["film.1080p.en.srt"], "film.1080p.mp4", ("film.1080p.en.srt",)),
    (["film.1080p.en.srt"], "film.mp4", ("film.1080p.en.srt",)),
    # They belong to the video with the longest name and not to the other.
    (["film.en.srt", "film.en.mp4"], "film.mp4", ()),
    (["film.en.srt", "film.en.mp4"], "film.en.mp4", ("film.en.srt",)),
    (["film.en.sdh.srt", "film.en.mp4"], "film.en.mp4", ("film.en.sdh.srt",)),
    # They belong to both formats of a video.
    (["film.en.srt", "film.mkv"], "film.mp4", ("film.en.srt",)),
    # A longer name without a dot is another film.
    (["films.srt", "film 2.srt", "film-en.srt"], "film.mp4", ()),
    # A file that is no media file has no sidecars.
    (["film.en.srt", "film.en.nfo"], "film.mp4", ("film.en.srt",)),
    (["other.srt", ".srt", ".vtt", "srt", ""], "film.mp4", ()),
    (["film.en.ass", "film.SSA"], "film.mp4", ("film.SSA", "film.en.ass")),
    # Subtitles that cannot be shown are mentioned.
    (["film.idx", "film.sub", "film.sup"], "film.mp4", ("film.idx", "film.sub", "film.sup")),
    # Composed and decomposed.
    (["e\u0301te\u0301.fr.srt"], "\xe9t\xe9.mp4", ("e\u0301te\u0301.fr.srt",)),
]


@pytest.mark.parametrize(("names", "video", "expected"), TEXTS)
def test_captions_belong_to_the_video_with_the_longest_matching_name(
    names: list[str], video: str, expected: tuple[str, ...]
) -> None:
    assert SidecarMatcher([*names, video]).match(video).captions == expected


def test_chapters_differ_from_captions_by_a_word_in_their_name() -> None:
    folder = SidecarMatcher(
        ["film.mp4", "film.chapters.vtt", "film.en.vtt", "film.en.Chapters.srt"]
    )
    assert folder.match("film.mp4") == SidecarNames(None, "film.chapters.vtt", ("film.en.vtt",))
    assert is_chapters("film.mp4", "film.CHAPTERS.vtt")
    assert not is_chapters("film.chapters.mp4", "film.chapters.vtt")


IMAGES = [
    (["film.jpg", "film-poster.jpg", "poster.jpg"], "film-poster.jpg"),
    (["film-POSTER.jpg", "poster.jpg"], "film-POSTER.jpg"),
    (["film-thumb.jpg", "film-fanart.jpg"], None),
    (["poster.jpg", "folder.jpg", "cover.jpg"], None),  # the folder's
    (["film.webp", "film.png", "film.jpeg"], "film.jpeg"),
    (["film.webp"], "film.webp"),
    (["film.en.jpg", "film.psd", "film.jpg.txt", "films.jpg"], None),
    # It belongs only to the video of that name.
    (["poster.jpg", "poster.mp4"], None),
    (["film-poster.jpg", "film-poster.mp4"], None),
]


@pytest.mark.parametrize(("names", "expected"), IMAGES)
def test_an_image_belongs_to_the_video_of_its_name(names: list[str], expected: str | None) -> None:
    assert SidecarMatcher([*names, "film.mp4"]).match("film.mp4").image == expected


STILLS = [
    # names in the folder, the still of film.mp4 among others, and in its own folder
    (["film-thumb.png", "film-landscape.jpg", "film-fanart.jpg"], "film-thumb.png", None),
    (["film-fanart.jpg", "film-landscape.webp"], "film-landscape.webp", None),
    (["film-backdrop.jpg", "film-fanart.jpg"], "film-fanart.jpg", None),
    # film.jpg is the poster, unless there is another one.
    (["film.jpg"], None, None),
    (["film.jpg", "film-poster.jpg"], "film.jpg", None),
    (["film.jpg", "film-poster.jpg", "film-thumb.jpg"], "film-thumb.jpg", None),
    (["film-thumb.jpg", "film-thumb.mp4"], None, None),
    (["fanart.jpg", "landscape.jpg"], None, "landscape.jpg"),
    (["Backdrop.JPG", "poster.jpg"], None, "Backdrop.JPG"),
    (["film-fanart.jpg", "thumb.jpg"], "film-fanart.jpg", "film-fanart.jpg"),
]


@pytest.mark.parametrize(("names", "expected", "_"), STILLS)
def test_a_still_is_named_as_media_players_name_it(
    names: list[str], expected: str | None, _: str | None
) -> None:
    assert SidecarMatcher([*names, "film.mp4"]).match("film.mp4").still == expected


@pytest.mark.parametrize(("names", "_", "expected"), STILLS)
def test_the_folder_of_a_film_has_its_stills_too(
    names: list[str], _: str | None, expected: str | None
) -> None:
    folder = SidecarMatcher([*names, "film.mp4"], of_one_film=True)
    named = SidecarMatcher([*names, "film.mp4"]).match("film.mp4").still
    assert folder.match("film.mp4").still == (named or expected)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["poster.jpg", "folder.jpg", "cover.jpg"], "poster.jpg"),
        (["folder.jpg", "cover.jpg"], "folder.jpg"),
        (["Cover.PNG"], "Cover.PNG"),
        (["folder.webp", "folder.png"], "folder.png"),
        (["folder.jpg", "folder.mp4"], None),  # that video's
        (["fanart.jpg", "film.jpg"], None),
    ],
)
def test_the_picture_of_a_folder_is_that_of_a_single_film_and_of_sound(
    names: list[str], expected: str | None
) -> None:
    folder = SidecarMatcher([*names, "a.mp4", "b.mp3"])
    assert folder.folder_image == expected
    assert folder.match("a.mp4").image is None
    assert folder.match("b.mp3").image == expected
    assert SidecarMatcher([*names, "a.mp4"], of_one_film=True).match("a.mp4").image == expected
    own = SidecarMatcher([*names, "a.mp4", "a.jpg"], of_one_film=True)
    assert own.match("a.mp4").image == "a.jpg"


@pytest.mark.parametrize(
    ("video", "sidecar", "expected"),
    [
        ("film.mp4", "film.vtt", ()),
        ("film.mp4", "film.en.forced.srt", ("en", "forced")),
        ("film.1080p.mp4", "Film.1080P.en.srt", ("en",)),
        ("film.mp4", "film..en. .Director's cut.srt", ("en", "Director's cut")),
    ],
)
def test_the_tags_of_a_sidecar_are_the_words_after_the_video_name(
    video: str, sidecar: str, expected: tuple[str, ...]
) -> None:
    assert name_tags(video, sidecar) == expected


def test_storage_lists_every_kind_of_sidecar() -> None:
    assert all(is_sidecar(f"film{extension}") for extension in TEXT_EXTENSIONS + IMAGE_EXTENSIONS)


def test_pictures_are_no_chapters() -> None:
    folder = SidecarMatcher(["film.mp4", "film.chapters.sup", "film.chapters.ass"])
    assert folder.match("film.mp4").chapters == "film.chapters.ass"


def test_no_caption_file_of_a_video_is_ignored() -> None:
    names = tuple(f"film.{number:04}.srt" for number in range(1000))
    assert SidecarMatcher(["film.mp4", *names]).match("film.mp4").captions == names


@pytest.mark.parametrize("ending", ["avif", "gif", "bmp", "tif", "tiff", "heic", "heif"])
def test_an_image_of_any_kind_beside_a_video_belongs_to_it(ending: str) -> None:
    assert (
        SidecarMatcher(["film.mp4", f"film.{ending}"]).match("film.mp4").image == f"film.{ending}"
    )
    others = ["film.mp4", "film.jpg", f"film.{ending}"]
    assert SidecarMatcher(others).match("film.mp4").image == "film.jpg"


PARTS = ["a", "b", ".a", ".b", ".en", ".mp4", ".srt", ".vtt", ".jpg", "é"]


@given(st.lists(st.sampled_from(PARTS), max_size=8).map("".join))
def test_an_arbitrary_name_is_matched_without_error(name: str) -> None:
    sidecars = SidecarMatcher([name, "a.mp4"]).match("a.mp4")
    assert {sidecars.image, sidecars.chapters, *sidecars.captions} <= {name, None}


def test_the_order_of_names_does_not_matter() -> None:
    names = ["film.mp4", "film.en.srt", "film.jpg", "film.png", "film.de.srt", "poster.jpg"]
    assert SidecarMatcher(names).match("film.mp4") == SidecarMatcher(reversed(names)).match(
        "film.mp4"
    )


def test_a_large_folder_is_matched_in_linear_time() -> None:
    splits = 0

    class Name(str):
        __slots__ = ()

        def rpartition(self, separator: str, /) -> tuple[str, str, str]:
            nonlocal splits
            splits += 1
            return super().rpartition(separator)

    count = 1000
    names = [Name(f"{number}{end}") for number in range(count) for end in (".mp4", ".en.srt")]
    folder = SidecarMatcher(names)
    assert all(folder.match(f"{number}.mp4").captions for number in range(count))
    assert splits <= 10 * len(names)
