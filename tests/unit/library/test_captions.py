# ruff: noqa: RUF001 - letters of many scripts are meant
# ruff: noqa: E501 - a row of the table stays one

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from webvtt_rules import require_valid

from service.library import captions
from service.library.captions import Captions, captions_of
from service.library.video import Chapter, Track

NO_VIDEO = b"no video"
CUE = b"WEBVTT\n\n00:01.000 --> 00:02.000\nHi\n"
SUBRIP = b"1\n00:00:01,000 --> 00:00:02,000\nHi\n"


def found(**files: bytes) -> Captions:
    sidecars = {name: BytesIO(data) for name, data in files.items()}
    return captions_of("film.mp4", BytesIO(NO_VIDEO), sidecars)


NAMES = [
    # what follows the video's name: name, kind, label, language, forced, default
    ("", "captions", "subtitles", "Subtitles", None, False, False),
    (".en", "en", "subtitles", "English", "en", False, False),
    (".ENG", "en", "subtitles", "English", "en", False, False),
    (".english", "en", "subtitles", "English", "en", False, False),
    (".pt-BR", "pt-br", "subtitles", "Português (Brasil)", "pt-BR", False, False),
    (".de.forced", "de.forced", "subtitles", "Deutsch (forced)", "de", True, False),
    (".Forced.ger", "de.forced", "subtitles", "Deutsch (forced)", "de", True, False),
    (".en.sdh", "en.sdh", "captions", "English (SDH)", "en", False, False),
    (".cc.en", "en.sdh", "captions", "English (SDH)", "en", False, False),
    (".en.hi", "en.sdh", "captions", "English (SDH)", "en", False, False),
    (".hi.en", "en.sdh", "captions", "English (SDH)", "en", False, False),
    (".hi", "hi", "subtitles", "हिन्दी", "hi", False, False),
    (".hi.hi", "hi.sdh", "captions", "हिन्दी (SDH)", "hi", False, False),
    (".cc", "captions.sdh", "captions", "Subtitles (SDH)", None, False, False),
    (".en.default", "en", "subtitles", "English", "en", False, True),
    (".pt-br.sdh", "pt-br.sdh", "captions", "Português (Brasil, SDH)", "pt-BR", False, False),
    (".en.descriptions", "en.descriptions", "descriptions", "English (descriptions)", "en", False, False),
    (".und", "captions", "subtitles", "Subtitles", None, False, False),
    # Other words are for people.
    (".en.Commentary", "en.commentary", "subtitles", "English (Commentary)", "en", False, False),
    (".Commentary", "captions.commentary", "subtitles", "Commentary", None, False, False),
    (".en.Director's cut", "en.director-s-cut", "subtitles", "English (Director's cut)", "en", False, False),
    (".комментарии", "captions", "subtitles", "комментарии", None, False, False),
    # Three letters may be a word: another language goes first.
    (".new.en", "en.new", "subtitles", "English (new)", "en", False, False),
]  # fmt: skip


@pytest.mark.parametrize(("words", "name", "kind", "label", "language", "forced", "default"), NAMES)
def test_a_files_name_tells_its_track(  # noqa: PLR0913, PLR0917 - the columns of the table
    words: str,
    name: str,
    kind: str,
    label: str,
    language: str | None,
    forced: bool,  # noqa: FBT001
    default: bool,  # noqa: FBT001
) -> None:
    ((track, text),) = found(**{f"film{words}.srt": SUBRIP}).tracks
    assert track.model_dump() == {
        "name": name,
        "kind": kind,
        "label": label,
        "language": language,
        "forced": forced,
        "default": default,
        "source": "file",
    }
    assert require_valid(text) == [(1.0, 2.0, "", "Hi")]


def test_of_webvtt_and_subrip_that_tell_the_same_webvtt_wins() -> None:
    told = found(**{"film.en.vtt": CUE.replace(b"Hi", b"VTT"), "film.eng.srt": SUBRIP})
    assert ["VTT" in text for _, text in told.tracks] == [True]
    # But a damaged one does not.
    told = found(**{"film.en.vtt": b"hello", "film.en.srt": SUBRIP})
    assert ["Hi" in text for _, text in told.tracks] == [True]
    assert told.problems == (
        "film.en.vtt: This is neither SubRip nor WebVTT: no line tells a cue's times.",
    )


def test_names_and_labels_are_unique_and_one_track_is_shown_unasked() -> None:
    names = ("film.en.default.vtt", "film.eng.default.vtt", "film.english.vtt", "film.en.2.vtt")
    told = found(**dict.fromkeys(names, CUE))
    tracks = [track for track, _ in told.tracks]
    assert [track.name for track in tracks] == ["en.2", "en", "en-2", "en-3"]
    assert [track.label for track in tracks] == ["English (2)", "English", "English 2", "English 3"]
    assert [track.default for track in tracks] == [False, True, False, False]


def test_the_order_of_files_is_of_no_matter() -> None:
    files = {
        "film.en.vtt": CUE,
        "film.eng.vtt": CUE,
        "film.de.srt": SUBRIP,
        "film.chapters.vtt": CUE,
    }
    assert found(**files) == found(**dict(reversed(files.items())))


def test_chapters_of_a_file_are_a_track_and_values() -> None:
    told = found(**{"film.chapters.vtt": CUE})
    assert told.chapters == (Chapter(start=1.0, end=2.0, title="Hi"),)
    ((track, text),) = told.tracks
    assert track == Track(name="chapters", kind="chapters", label="Chapters", source="file")
    assert require_valid(text) == [(1.0, 2.0, "", "Hi")]
    assert found(**{"film.chapters.vtt": b"\0"}) == Captions((), (), ())


def test_the_language_in_the_name_helps_to_read_the_file() -> None:
    text = SUBRIP.decode().replace("Hi", "Ναι").encode("cp1253")
    ((_, converted),) = found(**{"film.el.srt": text}).tracks
    assert "Ναι" in converted


def test_large_files_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    large = SUBRIP.ljust(captions.LARGEST + 1)
    told = found(**{"film.en.srt": large, "film.de.srt": large[:-1]})
    assert [track.name for track, _ in told.tracks] == ["de"]
    assert told.problems == ("film.en.srt: It is larger than 10 MiB.",)
    monkeypatch.setattr(captions, "LARGEST_TOGETHER", 2 * len(SUBRIP))
    told = found(**{f"film.{language}.srt": SUBRIP for language in ("de", "en", "fr", "it")})
    assert [track.name for track, _ in told.tracks] == ["de", "en"]
    assert len(told.problems) == 1


@given(
    st.dictionaries(
        st.lists(
            st.sampled_from(["en", "hi", "forced", "é", "-", "a b", "chapters", "x" * 300])
        ).map(lambda words: ".".join(["film", *words, "vtt"])),
        st.binary(max_size=100).map(lambda data: CUE + data),
        max_size=4,
    )
)
def test_any_files_are_tracks_with_names_for_urls(files: dict[str, bytes]) -> None:
    told = found(**files)
    names = [track.name for track, _ in told.tracks]
    assert len(set(names)) == len(names)
    for track, text in told.tracks:
        assert 0 < len(track.name) < 100
        assert set(track.name) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-")
        assert track.label
        require_valid(text, strict=False)
