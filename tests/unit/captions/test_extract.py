# ruff: noqa: RUF001 - letters of many scripts are meant
# ruff: noqa: E501 - a row of the table stays one

from io import BytesIO
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.webvtt_validator import require_valid

from service.captions import extract as captions
from service.captions.extract import Captions, extract_captions
from service.captions.size_limit import MAX_TOTAL_TRACK_BYTES
from service.models import Chapter, Track
from service.probing.chapters import MAX_CHAPTERS, MAX_TITLE_LENGTH
from service.workers.worker import MAX_BLOB_BYTES

NO_VIDEO = b"no video"
CUE = b"WEBVTT\n\n00:01.000 --> 00:02.000\nHi\n"
SUBRIP = b"1\n00:00:01,000 --> 00:00:02,000\nHi\n"


def extract(**files: bytes) -> Captions:
    sidecars = {name: BytesIO(data) for name, data in files.items()}
    return extract_captions("film.mp4", BytesIO(NO_VIDEO), sidecars)


NAMES = [
    # what follows the video's name: track name, kind, label, language, forced, default
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
    (".en-sdh", "en.sdh", "captions", "English (SDH)", "en", False, False),
    (".en_forced", "en.forced", "subtitles", "English (forced)", "en", True, False),
    (".pt-BR[cc]", "pt-br.sdh", "captions", "Português (Brasil, SDH)", "pt-BR", False, False),
    (".signs-forced", "captions.signs-forced", "subtitles", "signs-forced", None, False, False),
    (".pt-br.sdh", "pt-br.sdh", "captions", "Português (Brasil, SDH)", "pt-BR", False, False),
    (".en.descriptions", "en.descriptions", "descriptions", "English (descriptions)", "en", False, False),
    (".und", "captions", "subtitles", "Subtitles", None, False, False),
    # Other words become part of the label.
    (".en.Commentary", "en.commentary", "subtitles", "English (Commentary)", "en", False, False),
    (".Commentary", "captions.commentary", "subtitles", "Commentary", None, False, False),
    (".en.Director's cut", "en.director-s-cut", "subtitles", "English (Director's cut)", "en", False, False),
    (".комментарии", "captions", "subtitles", "комментарии", None, False, False),
    # Three letters may be a word: another language takes precedence.
    (".new.en", "en.new", "subtitles", "English (new)", "en", False, False),
]  # fmt: skip


@pytest.mark.parametrize(("words", "name", "kind", "label", "language", "forced", "default"), NAMES)
def test_a_file_name_determines_its_track(  # noqa: PLR0913, PLR0917 - the columns of the table
    words: str,
    name: str,
    kind: str,
    label: str,
    language: str | None,
    forced: bool,  # noqa: FBT001
    default: bool,  # noqa: FBT001
) -> None:
    ((track, text),) = extract(**{f"film{words}.srt": SUBRIP}).tracks
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


def test_webvtt_wins_over_subrip_of_the_same_track() -> None:
    result = extract(**{"film.en.vtt": CUE.replace(b"Hi", b"VTT"), "film.eng.srt": SUBRIP})
    assert ["VTT" in text for _, text in result.tracks] == [True]
    # A damaged WebVTT file does not.
    result = extract(**{"film.en.vtt": b"hello", "film.en.srt": SUBRIP})
    assert ["Hi" in text for _, text in result.tracks] == [True]
    assert result.problems == (
        "film.en.vtt: This is no SubRip, WebVTT or ASS: no line tells a cue's times.",
    )


def test_names_and_labels_are_unique_and_one_track_is_the_default() -> None:
    names = ("film.en.default.vtt", "film.eng.default.vtt", "film.english.vtt", "film.en.2.vtt")
    result = extract(**dict.fromkeys(names, CUE))
    tracks = [track for track, _ in result.tracks]
    assert [track.name for track in tracks] == ["en.2", "en", "en-2", "en-3"]
    assert [track.label for track in tracks] == ["English (2)", "English", "English 2", "English 3"]
    assert [track.default for track in tracks] == [False, True, False, False]


def test_the_order_of_files_does_not_matter() -> None:
    files = {
        "film.en.vtt": CUE,
        "film.eng.vtt": CUE,
        "film.de.srt": SUBRIP,
        "film.chapters.vtt": CUE,
    }
    assert extract(**files) == extract(**dict(reversed(files.items())))


def test_chapters_of_a_file_are_returned_as_a_track_and_as_values() -> None:
    result = extract(**{"film.chapters.vtt": CUE})
    assert result.chapters == (Chapter(start=1.0, end=2.0, title="Hi"),)
    ((track, text),) = result.tracks
    assert track == Track(name="chapters", kind="chapters", label="Chapters", source="file")
    assert require_valid(text) == [(1.0, 2.0, "", "Hi")]


def test_a_chapters_file_without_chapters_is_reported() -> None:
    problem = "film.chapters.vtt: This is no SubRip, WebVTT or ASS: no line tells a cue's times."
    assert extract(**{"film.chapters.vtt": b"\0"}) == Captions((), (), (problem,))


def test_chapters_that_are_left_out_are_counted_in_the_problems() -> None:
    text = subrip(*["A"] * (MAX_CHAPTERS + 1))
    result = extract(**{"film.chapters.srt": text})
    assert len(result.chapters) == MAX_CHAPTERS
    problem = f"There are {MAX_CHAPTERS + 1} chapters: only the first {MAX_CHAPTERS} are shown."
    assert result.problems == (f"film.chapters.srt: {problem}",)


def test_the_language_in_the_file_name_helps_to_decode_the_file() -> None:
    text = SUBRIP.decode().replace("Hi", "Ναι").encode("cp1253")
    ((_, converted),) = extract(**{"film.el.srt": text}).tracks
    assert "Ναι" in converted


def test_an_encoding_in_the_file_name_decodes_the_file_and_is_no_label() -> None:
    text = SUBRIP.decode().replace("Hi", "Schöne Grüße")
    for encoding in ("cp850", "mac-roman", "cp1252", "utf-16-be"):
        result = extract(**{f"film.de.{encoding}.forced.srt": text.encode(encoding)})
        ((track, converted),) = result.tracks
        assert (track.name, track.label) == ("de.forced", "Deutsch (forced)")
        assert "Schöne Grüße" in converted
        assert result.problems == ()


# The bytes of é and è in CP850 are other letters elsewhere (unicode.org, VENDORS).
@pytest.mark.parametrize(("encoding", "text"), [("cp850", "éa è?"), ("mac-cyrillic", "Вa К?")])
def test_the_encoding_in_the_file_name_is_believed(encoding: str, text: str) -> None:
    data = SUBRIP.replace(b"Hi", b"\x82a \x8a?")
    result = extract(**{f"film.{encoding}.srt": data})
    assert require_valid(result.tracks[0][1]) == [(1.0, 2.0, "", text)]
    assert result.problems == ()


def test_an_uncertain_encoding_is_a_problem_of_the_file() -> None:
    result = extract(**{"film.srt": SUBRIP.replace(b"Hi", b"\x82a \x8a?")})
    assert len(result.tracks) == 1
    (problem,) = result.problems
    assert problem.startswith("film.srt: Its encoding is not")


def test_of_equal_tracks_the_preferred_kind_is_shown() -> None:
    ass = b"[Events]\nDialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,ASS{note}\n"
    files = {"film.en.ass": ass, "film.en.srt": SUBRIP, "film.de.ssa": ass, "film.de.ass": ass}
    tracks = {track.language: text for track, text in extract(**files).tracks}
    assert require_valid(tracks["en"]) == [(1.0, 2.0, "", "Hi")]
    assert require_valid(tracks["de"]) == [(1.0, 2.0, "", "ASS")]
    assert len(tracks) == len(extract(**files).tracks)


def test_the_name_of_a_file_does_not_decide_its_kind() -> None:
    ass = b"[Events]\nDialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,ASS\n"
    for name, data, text in [
        ("film.srt", ass, "ASS"),
        ("film.ass", SUBRIP, "Hi"),
        ("film.vtt", SUBRIP, "Hi"),
    ]:
        ((_, converted),) = extract(**{name: data}).tracks
        assert require_valid(converted) == [(1.0, 2.0, "", text)]


@pytest.mark.parametrize(
    ("names", "kinds"),
    [
        (("film.en.sup",), ["PGS subtitles are pictures"]),
        (("film.idx", "film.sub"), ["VobSub subtitles are pictures"]),
        (("film.sub",), ["Subtitles of this kind are not shown"]),
        (("film.smi", "film.en.ttml"), ["Subtitles of this kind"] * 2),
        (("film.live_chat.vtt",), ["This is what viewers wrote in a chat"]),
    ],
)
def test_files_that_are_not_shown_are_mentioned(names: tuple[str, ...], kinds: list[str]) -> None:
    result = extract(**dict.fromkeys(names, SUBRIP))
    assert result.tracks == ()
    assert len(result.problems) == len(kinds)
    for name, kind, problem in zip(names, kinds, result.problems, strict=False):
        assert problem.startswith(f"{name}: {kind}")


YT_DLP = {
    "de-en": ("Deutsch (translated from English)", "de"),
    "en": ("English", "en"),
    "en-orig": ("English (original)", "en"),
    "en-nP7-2PuUl7o": ("English 2", "en"),
    "zh-Hans": ("中文（简体）", "zh-Hans"),
    "iw": ("עברית", "he"),
}


def test_files_of_yt_dlp_are_labelled() -> None:
    result = extract(**{f"film.{code}.vtt": CUE for code in YT_DLP})
    assert sorted((track.label, track.language) for track, _ in result.tracks) == sorted(
        YT_DLP.values()
    )


def test_the_plain_language_has_the_plain_label() -> None:
    files = {"film.en-eEY6OEpapPo.vtt": CUE, "film.en.vtt": CUE.replace(b"Hi", b"Plain")}
    labels = {track.label: "Plain" in text for track, text in extract(**files).tracks}
    assert labels == {"English": True, "English 2": False}


def test_large_files_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    large = SUBRIP.ljust(captions.MAX_SIDECAR_BYTES + 1)
    result = extract(**{"film.en.srt": large, "film.de.srt": large[:-1]})
    assert [track.name for track, _ in result.tracks] == ["de"]
    assert result.problems == ("film.en.srt: It is larger than 10 MiB.",)
    monkeypatch.setattr(captions, "MAX_TOTAL_SIDECAR_BYTES", 2 * len(SUBRIP))
    result = extract(**{f"film.{language}.srt": SUBRIP for language in ("de", "en", "fr", "it")})
    assert [track.name for track, _ in result.tracks] == ["de", "en"]
    reason = "The files are larger than 0 MiB."
    assert result.problems == (f"film.fr.srt: {reason}", f"film.it.srt: {reason}")


def subrip(*cues: str) -> bytes:
    """Return a SubRip file whose cues last a second each, without gaps."""
    times = (f"{s // 3600:02}:{s // 60 % 60:02}:{s % 60:02},000" for s in range(len(cues) + 1))
    blocks = (
        f"{start} --> {end}\n{text}\n\n"
        for (start, end), text in zip(pairwise(times), cues, strict=True)
    )
    return "".join(blocks).encode()


MIB = 1 << 20


@pytest.mark.parametrize(
    "character",
    [
        "&",  # five bytes of WebVTT
        "\N{CLAPPER BOARD}",
        "a",
    ],
)
def test_a_track_is_truncated_at_the_limit_and_reported(character: str) -> None:
    cue = character * 10_000
    count = (3 * MIB - 1000) // (len(cue.encode()) + 40)
    ((_, text),) = (result := extract(**{"film.srt": subrip(*[cue] * count)})).tracks
    assert len(text.encode()) <= 2 * MIB
    cues = require_valid(text)
    assert 20 < len(cues) < count
    assert len(text.encode()) > 2 * MIB - 60_000  # no room for another cue
    assert [start for start, *_ in cues] == list(range(len(cues)))
    end = f"{len(cues) // 3600:02}:{len(cues) // 60 % 60:02}:{len(cues) % 60:02}"
    assert result.problems == (
        f"film.srt: As WebVTT it is longer than 2 MiB: what comes from {end} on is left out.",
    )


def test_a_track_below_the_limit_is_complete_and_not_reported() -> None:
    text = subrip(*["&" * 10_000] * 40)
    result = extract(**{"film.srt": text})
    assert result.problems == ()
    assert len(require_valid(result.tracks[0][1])) == 40


def test_tracks_beyond_the_total_limit_are_left_out_and_reported() -> None:
    text = subrip(*["&" * 10_000] * 40)  # 2 MB
    names = [f"film.{language}.srt" for language in ("de", "en", "fr", "it", "nl", "pl", "pt")]
    names += [f"film.{language}.vtt" for language in ("cs", "da", "fi", "hu", "sv", "tr")]
    result = extract(**dict.fromkeys(names, text))
    assert sum(len(text.encode()) for _, text in result.tracks) <= 16 * MIB
    assert len(result.tracks) == 8
    assert len(result.problems) == len(names) - 8
    assert result.problems[0] == "film.fr.srt: With it, the texts would be longer than 16 MiB."
    assert MAX_TOTAL_TRACK_BYTES <= MAX_BLOB_BYTES


@pytest.mark.parametrize("head", ["STYLE\n" + "x" * 3 * MIB, "REGION\n" + "id:a\n" * (MIB // 2)])
def test_a_track_whose_header_exceeds_the_limit_is_left_out(head: str) -> None:
    result = extract(**{"film.vtt": f"WEBVTT\n\n{head}\n\n00:01.000 --> 00:02.000\nHi\n".encode()})
    assert result.tracks == ()
    assert result.problems == ("film.vtt: What stands before its first cue is too long.",)


def test_a_long_cue_identifier_does_not_count_towards_the_limit() -> None:
    text = "WEBVTT\n\n" + "x" * 3 * MIB + "\n00:01.000 --> 00:02.000\nHi\n"
    result = extract(**{"film.vtt": text.encode()})
    assert require_valid(result.tracks[0][1]) == [(1.0, 2.0, "", "Hi")]
    assert result.problems == ()


def test_the_maximum_of_chapters_fits_into_a_track() -> None:
    text = subrip(*["a" * MAX_TITLE_LENGTH] * MAX_CHAPTERS)
    result = extract(**{"film.chapters.srt": text})
    assert len(result.chapters) == MAX_CHAPTERS
    assert len(require_valid(result.tracks[0][1])) == MAX_CHAPTERS
    assert result.problems == ()


def test_chapters_that_do_not_fit_into_a_track_are_reported() -> None:
    text = subrip(*["&" * MAX_TITLE_LENGTH] * MAX_CHAPTERS)  # five bytes of WebVTT each
    result = extract(**{"film.chapters.srt": text})
    assert len(result.chapters) == MAX_CHAPTERS
    (problem,) = result.problems
    assert problem.startswith("The chapters: As WebVTT it is longer than 2 MiB: what comes from ")


@given(
    st.dictionaries(
        st.lists(
            st.sampled_from(["en", "hi", "forced", "é", "-", "a b", "chapters", "x" * 300])
        ).map(lambda words: ".".join(["film", *words, "vtt"])),
        st.binary(max_size=100).map(lambda data: CUE + data),
        max_size=4,
    )
)
def test_arbitrary_files_give_valid_tracks_with_names_for_urls(files: dict[str, bytes]) -> None:
    result = extract(**files)
    names = [track.name for track, _ in result.tracks]
    assert len(set(names)) == len(names)
    for track, text in result.tracks:
        assert 0 < len(track.name) < 100
        assert set(track.name) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-")
        assert track.label
        require_valid(text, strict=False)
