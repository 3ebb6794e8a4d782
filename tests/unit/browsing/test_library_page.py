from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.videos import make_video

from service.artefacts import status as facts
from service.browsing.cards import card, details, resolution
from service.browsing.library_page import LibraryQuery, Pager, breadcrumbs
from service.composition.app import create_app
from service.items.video_models import (
    CaptionsItem,
    CopyItem,
    Picture,
    PosterItem,
    RemuxItem,
    SoundItem,
    StoryboardItem,
    VideoItem,
)
from service.models import Finding, Metadata, ProbeState, Stream, Video
from service.settings.environment import load


def film(width: int | None = None, height: int | None = None, kind: str = "video") -> Video:
    stream = Stream(kind=kind, codec="h264", width=width, height=height)
    metadata = Metadata(container="mov,mp4", duration=1, bit_rate=None, streams=(stream,))
    path = "Series/The_Lighthouse/Season 1/ep 1.mp4"
    return make_video(path, metadata, title="ep 1", size=1_500_000_000)


def item(
    *findings: Finding, state: ProbeState = ProbeState.PROBED, poster: tuple[int, int] | None = None
) -> VideoItem:
    pictures = (Picture(url="/p", width=poster[0], height=poster[1]),) if poster else ()
    return VideoItem(
        **dict(film(1920, 1080)) | {"state": state},
        watch_url="/watch/x",
        media_url="/media/x",
        media_type="video/mp4",
        representation="file",
        remux=RemuxItem(state=facts.ArtefactState.NONE),
        sound=SoundItem(state=facts.ArtefactState.NONE),
        copied=CopyItem(state=facts.ArtefactState.NONE),
        download_url="/download/x",
        poster=PosterItem(state=facts.ArtefactState.READY, pictures=pictures),
        storyboard=StoryboardItem(state=facts.ArtefactState.NONE),
        captions=CaptionsItem(state=facts.ArtefactState.NONE),
        chapters=(),
        findings=findings,
    )


def finding(code: str, severity: str = "unplayable") -> Finding:
    fields = {"code": code, "severity": severity, "sentence": f"Of {code}."}
    return Finding.model_validate(fields | {"viewer_sentence": f"About {code}."})


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (1920, 1080, "1080p"),
        (1920, 1088, "1080p"),  # a multiple of 16
        (1916, 1076, "1080p"),  # cropped a little
        (1920, 800, "1080p"),  # wide: as wide as a screen of 1080 lines
        (1080, 1920, "1080p"),  # upright
        (1440, 1080, "1080p"),  # 4:3
        (3840, 2160, "4K"),
        (4096, 2160, "4K"),  # cinema
        (3840, 1600, "4K"),
        (7680, 4320, "8K"),
        (2560, 1440, "1440p"),
        (1280, 720, "720p"),
        (1024, 576, "576p"),
        (720, 576, "576p"),  # PAL
        (720, 480, "480p"),  # NTSC
        (854, 480, "480p"),
        (640, 360, "360p"),
        (320, 240, "240p"),
        (256, 144, "144p"),
        (64, 48, None),
        (None, None, None),
    ],
)
def test_a_resolution_has_its_common_name(
    width: int | None, height: int | None, expected: str | None
) -> None:
    assert resolution(film(width, height)) == expected


def test_audio_has_no_resolution() -> None:
    assert resolution(film(kind="audio")) is None
    assert details(film(kind="audio")) == "1.5 GB"


def test_details_are_exact() -> None:
    assert details(film(1920, 804)) == "1920×804 · 1.5 GB"  # noqa: RUF001 # a multiplication sign


def test_a_card_has_the_titles_of_the_two_innermost_folders() -> None:
    shown = card(item())
    assert shown.folder == "Series/The_Lighthouse/Season 1"
    assert shown.folder_label == "The Lighthouse / Season 1"


@pytest.mark.parametrize(
    ("codes", "certain", "may_not_play"),
    [
        ((), False, False),
        (("container",), True, False),
        (("video_codec",), False, True),  # the browser decides
        (("audio_codec",), False, True),
        (("video_codec", "container"), True, False),
    ],
)
def test_a_card_is_uncertain_about_codecs(
    codes: tuple[str, ...],
    certain: bool,  # noqa: FBT001
    may_not_play: bool,  # noqa: FBT001
) -> None:
    shown = card(item(*map(finding, codes)))
    assert (shown.unplayable is not None, shown.may_not_play) == (certain, may_not_play)


def test_a_card_does_not_show_warnings() -> None:
    shown = card(item(finding("container", "warning"), finding("video_codec", "warning")))
    assert (shown.unplayable, shown.may_not_play) == (None, False)


def test_an_unreadable_file_is_reported_once() -> None:
    assert card(item(finding("unreadable"), state=ProbeState.FAILED)).unplayable is None


@pytest.mark.parametrize(
    ("poster", "letterboxed"),
    [((1280, 720), False), ((1280, 536), False), ((720, 720), True), ((360, 640), True)],
)
def test_a_narrow_poster_is_letterboxed(
    poster: tuple[int, int],
    letterboxed: bool,  # noqa: FBT001
) -> None:
    assert card(item(poster=poster)).letterboxed is letterboxed


# Pages


@pytest.mark.parametrize(
    ("number", "entries", "place"),
    [
        (1, 0, (1, 1, 0)),
        (1, 24, (1, 1, 24)),
        (2, 25, (2, 25, 25)),
        (3, 100, (3, 49, 72)),
        (9, 25, (2, 25, 25)),  # an old link to a page that no longer exists
    ],
)
def test_a_pager_has_its_place(number: int, entries: int, place: tuple[int, int, int]) -> None:
    pager = Pager.of(number, 24, entries)
    assert (pager.number, pager.first, pager.last) == place
    assert pager.entries == entries


@pytest.mark.parametrize(
    ("number", "pages", "expected"),
    [
        (1, 1, [1]),
        (1, 2, [1, 2]),
        (3, 5, [1, 2, 3, 4, 5]),
        (5, 9, [1, 0, 4, 5, 6, 0, 9]),
        (4, 9, [1, 2, 3, 4, 5, 0, 9]),  # a gap of one page is filled
        (417, 417, [1, 0, 416, 417]),
    ],
)
def test_a_pager_links_to_the_pages_around(number: int, pages: int, expected: list[int]) -> None:
    assert Pager.of(number, 24, 24 * pages).page_numbers == expected


@given(st.integers(1, 500), st.integers(0, 20_000))
def test_a_pager_always_links_to_both_neighbours(number: int, entries: int) -> None:
    pager = Pager.of(number, 24, entries)
    assert {1, pager.number, pager.pages} <= set(pager.page_numbers)
    assert {pager.number - 1, pager.number + 1} - {0, pager.pages + 1} <= set(pager.page_numbers)
    numbers = [page for page in pager.page_numbers if page]
    assert numbers == sorted(set(numbers))
    assert len(pager.page_numbers) <= 7


def test_a_url_keeps_the_query_without_defaults() -> None:
    query = LibraryQuery(q="a & b", sort="-date", folder="x/ü")
    assert query.url(page=2) == "/?q=a+%26+b&folder=x%2F%C3%BC&sort=-date&page=2"
    assert query.url(folder=None) == "/?q=a+%26+b&sort=-date"
    assert LibraryQuery(page=3, cursor="of the JSON").url(page=1) == "/videos"
    assert LibraryQuery(folder="").url() == "/?folder="


def test_breadcrumbs_lead_from_the_library_to_the_folder() -> None:
    assert breadcrumbs(None) == []
    assert breadcrumbs("") == [("Folders", "/?folder=")]
    assert breadcrumbs("a b/c_d") == [("a b", "/?folder=a%20b"), ("c d", "/?folder=a%20b/c_d")]


# Empty libraries


async def test_the_page_does_not_call_the_library_empty_before_the_first_scan(
    tmp_path: Path,
) -> None:
    folders = {"REELAY_MEDIA": str(tmp_path), "REELAY_DERIVED": str(tmp_path / "derived")}
    answer = await create_app(load(folders)).test_client().get("/")
    page = await answer.get_data(as_text=True)
    assert "Looking through the folder…" in page
    assert "No videos yet" not in page
