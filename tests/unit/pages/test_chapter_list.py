"""The list of chapters on a video's page."""

import math

import pytest

from service.artefacts.status import ArtefactState
from service.items.video_models import (
    CaptionsItem,
    CopyItem,
    PosterItem,
    RemuxItem,
    SoundItem,
    StoryboardItem,
    VideoItem,
)
from service.models import Chapter, ProbeState
from service.pages.chapter_list import ChapterLists

NONE = ArtefactState.NONE


def film(*chapters: Chapter, path: str = "film.mp4") -> VideoItem:
    return VideoItem(
        path=path, title="Film", content_type="video/mp4", size=1, revision="1-1", modified=1.0,
        state=ProbeState.PROBED, problem=None, metadata=None, watch_url="", media_url="",
        download_url="", poster=PosterItem(state=NONE), storyboard=StoryboardItem(state=NONE),
        media_type="video/mp4", representation="file", remux=RemuxItem(state=NONE),
        sound=SoundItem(state=NONE),
        copied=CopyItem(state=NONE),
        captions=CaptionsItem(state=NONE), chapters=chapters, findings=(),
    )  # fmt: skip


FILM = film(
    Chapter(start=0, end=1.5, title="One"),
    Chapter(start=1.5, end=3700, title='<b>"Two"</b> & more'),
    Chapter(start=3700, end=3701, title=""),
)


def test_each_chapter_is_a_link_to_its_start() -> None:
    two = "&lt;b&gt;&#34;Two&#34;&lt;/b&gt; &amp; more"
    rows = str(ChapterLists().rows(FILM, None)).split("\n")
    assert rows == [
        '<li><a href="?t=0" data-t="0"><span>0:00</span> <bdi>One</bdi></a></li>',
        f'<li><a href="?t=1.5" data-t="1.5"><span>0:02</span> <bdi>{two}</bdi></a></li>',
        '<li><a href="?t=3700" data-t="3700"><span>1:01:40</span> <bdi></bdi></a></li>',
    ]


@pytest.mark.parametrize(("at", "marked"), [(None, None), (0.0, 0), (1.4, 0), (1.5, 1), (9e9, 2)])
def test_only_the_current_chapter_is_marked(at: float | None, marked: int | None) -> None:
    lists = ChapterLists()
    for before in (0.0, 2.0, math.inf):
        lists.rows(FILM, before)
        rows = str(lists.rows(FILM, at)).split("\n")
        here = [number for number, row in enumerate(rows) if 'aria-current="true"' in row]
        assert here == ([] if marked is None else [marked])


def test_a_changed_video_has_its_new_chapters() -> None:
    lists = ChapterLists()
    assert lists.rows(film(), None) == ""
    assert "One" in lists.rows(FILM, None)
    assert "Other" in lists.rows(film(Chapter(start=0, end=1, title="Other")), None)
    assert lists.rows(film(), None) == ""


def test_the_cache_of_chapter_lists_is_limited() -> None:
    lists = ChapterLists()
    for number in range(500):
        path = f"{number}.mp4"
        chapter = Chapter(start=0, end=1, title=path)
        assert path in lists.rows(film(chapter, path=path), None)
    assert len(lists._rows) <= 50  # noqa: SLF001
