import base64
import json
import random
import re
import string
import sys
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from itertools import pairwise
from types import FrameType
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError
from support.catalogues import catalogue_of

from service.catalogue import arrangement, results
from service.catalogue.catalogue import SORTS, Catalogue, Page, Sort
from service.errors import InvalidRequestError, NotFoundError
from service.listing import collation, search
from service.listing.collation import MAX_SEARCH_TERMS, search_terms
from service.listing.numbers import Numbers
from service.listing.search import search_text
from service.listing.texts import Texts
from service.listing.word_index import WordIndex
from service.models import Metadata, ProbeState, Tag, Video


def video(  # noqa: PLR0913 - most have a default
    path: str,
    title: str | None = None,
    *,
    size: int = 1,
    modified: float = 0.0,
    duration: float | None = None,
    created: str | None = None,
) -> Video:
    metadata = None
    if duration is not None or created is not None:
        metadata = Metadata(
            container="mp4", duration=duration, bit_rate=None, created=created, streams=()
        )
    return Video(
        path=path,
        title=path if title is None else title,
        content_type="video/mp4",
        size=size,
        revision="1-1",
        modified=modified,
        state=ProbeState.PROBED if metadata else ProbeState.PENDING,
        metadata=metadata,
    )


def paths(catalogue: Catalogue, sort: Sort = "name", query: str = "") -> list[str]:
    """Return all videos of a listing, from one page."""
    return [video.path for video in catalogue.page(query, sort, 10_000, None).videos]


def titled(*titles: str) -> Catalogue:
    """Return a catalogue with these titles, shuffled."""
    shuffled = random.Random(1).sample(titles, len(titles))  # noqa: S311
    return catalogue_of(video(f"{number}", title) for number, title in enumerate(shuffled))


def titles(catalogue: Catalogue, sort: Sort = "name", query: str = "") -> list[str]:
    return [video.title for video in catalogue.page(query, sort, 10_000, None).videos]


def test_videos_are_sorted_by_their_recording_if_it_is_known() -> None:
    catalogue = catalogue_of(
        [
            video("changed in 2001", modified=1_000_000_000.0),
            video("of 2020", created="2020", modified=0.0),
            video("of May 1994", created="1994-05", modified=2_000_000_000.0),
            video("later that day", created="1994-05-01T20:00:00Z"),
            # 19 h in UTC
            video("before that", created="1994-05-01T21:00:00+02:00"),
            video("of 1902", created="1902"),
        ]
    )
    assert paths(catalogue, "date") == [
        *("of 1902", "of May 1994", "before that", "later that day", "changed in 2001", "of 2020"),
    ]
    page = catalogue.page("", "date", 1, None)
    assert page.next_cursor is not None  # a date before 1970 is a valid place
    assert catalogue.page("", "date", 1, page.next_cursor).videos[0].path == "of May 1994"


names = st.text(st.sampled_from("abÄä019 é-🎬日"), max_size=6)
times = st.floats(0, 4e9) | st.integers(0, 3).map(float)
videos = st.builds(
    video,
    names,
    names,
    size=st.integers(0, 3) | st.integers(0, 2**60),
    modified=times,
    duration=st.none() | times,
)
libraries = st.lists(videos, max_size=25, unique_by=lambda video: video.path)
sorts = st.sampled_from(SORTS)


# Pages


def walk(catalogue: Catalogue, sort: Sort, limit: int, query: str = "") -> list[Page]:
    """Follow the cursors from the first page to the last."""
    pages = [catalogue.page(query, sort, limit, None)]
    while pages[-1].next_cursor is not None:
        pages.append(catalogue.page(query, sort, limit, pages[-1].next_cursor))
        assert len(pages) <= len(catalogue.videos), "the cursors do not end"
    return pages


@given(libraries, sorts, st.integers(1, 30), st.sampled_from(["", "a", "ä 0"]))
def test_the_pages_together_are_the_whole_listing(
    library: list[Video], sort: Sort, limit: int, query: str
) -> None:
    catalogue = catalogue_of(library)
    pages = walk(catalogue, sort, limit, query)
    whole = paths(catalogue, sort, query)
    assert [video.path for page in pages for video in page.videos] == whole
    assert {page.total for page in pages} == {len(whole)}
    # Only the last page may be short, and only an empty listing has an empty page.
    assert all(len(page.videos) == limit for page in pages[:-1])
    assert pages[-1].videos or not whole


@given(libraries, sorts)
def test_every_video_is_listed_once_in_any_order(library: list[Video], sort: Sort) -> None:
    assert sorted(paths(catalogue_of(library), sort)) == sorted(video.path for video in library)


@given(libraries, sorts.filter(lambda sort: not sort.startswith("-")))
def test_a_descending_order_is_the_reversed_ascending_one(library: list[Video], sort: Sort) -> None:
    catalogue = catalogue_of(library)
    down: Any = f"-{sort}"
    assert paths(catalogue, down) == paths(catalogue, sort)[::-1]


@given(libraries, sorts, st.randoms(use_true_random=False))
def test_the_order_does_not_depend_on_the_order_of_the_scan(
    library: list[Video], sort: Sort, chance: random.Random
) -> None:
    shuffled = chance.sample(library, len(library))
    assert paths(catalogue_of(shuffled), sort) == paths(catalogue_of(library), sort)


@given(
    st.lists(videos, min_size=2, max_size=25, unique_by=lambda video: video.path),
    sorts,
    st.integers(1, 4),
    st.randoms(use_true_random=False),
)
def test_paging_while_videos_change_repeats_none_and_misses_none_that_stays(
    pool: list[Video], sort: Sort, limit: int, chance: random.Random
) -> None:
    stay = pool[: len(pool) // 2]
    listed: list[str] = []
    cursor = None
    for _ in range(len(pool) + 1):
        present = stay + [video for video in pool[len(stay) :] if chance.random() < 0.5]
        page = catalogue_of(present).page("", sort, limit, cursor)
        listed += [video.path for video in page.videos]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert cursor is None
    assert len(set(listed)) == len(listed)
    assert {video.path for video in stay} <= set(listed)


@pytest.mark.parametrize("sort", SORTS)
def test_paging_continues_after_the_last_listed_video_was_removed(sort: Sort) -> None:
    library = [video(f"{n}", size=n, modified=float(n), duration=float(n)) for n in range(1, 6)]
    first = catalogue_of(library).page("", sort, 2, None)
    remaining = [item for item in library if item not in first.videos]
    second = catalogue_of(remaining).page("", sort, 10, first.next_cursor)
    assert len(second.videos) == 3
    assert second.total == 3
    assert second.next_cursor is None


def test_a_full_last_page_has_no_next_cursor() -> None:
    catalogue = titled("a", "b", "c", "d")
    assert [len(page.videos) for page in walk(catalogue, "name", 2)] == [2, 2]
    assert catalogue.page("", "name", 4, None).next_cursor is None


@pytest.mark.parametrize("sort", SORTS)
def test_an_empty_listing_is_one_empty_page(sort: Sort) -> None:
    assert catalogue_of().page("", sort, 50, None) == Page((), 0, None)
    assert titled("a").page("b", sort, 50, None) == Page((), 0, None)


# The longest names: `inspection` cuts titles at 500 characters; Linux limits a path to 4,096
# bytes and each of its names to 255.
LONG = {
    "Latin": video("a" * 255, "z" * 500),
    "Japanese": video("日" * 85, "語" * 500),
    "Korean": video("글" * 85, "각" * 500),  # each letter decomposes into three
    "emoji": video("🎬" * 63, "🎬" * 500),
    "digits in turn": video("1a" * 127, "1a" * 250),
    "deep folders": video("/".join(["фильмы и передачи" * 7] * 16), "Ж"),
}


@pytest.mark.parametrize("long", LONG.values(), ids=LONG.keys())
def test_paging_continues_after_the_longest_names(long: Video) -> None:
    catalogue = catalogue_of([video("0", "0"), long, video("🙂", "🙂🙂")])
    pages = walk(catalogue, "name", 1)
    assert sorted(page.videos[0].path for page in pages) == sorted(["0", long.path, "🙂"])


# Order

NATURAL: dict[str, list[str]] = {
    "numbers by value": ["ep 1", "ep 2", "ep 10", "ep 100"],
    "numbers in the middle": ["s1e2", "s1e10", "s2e1", "s10e1"],
    "case is ignored": ["Alpha", "beta", "Gamma"],
    "accents are ignored": ["eclair", "École", "edit"],
    "a shorter name first": ["film", "film 2", "film 2 a"],
    "numbers before letters": ["1", "2", "a"],
    "leading zeros do not count": ["a 1 x", "a 01 y", "a 2 x", "a 002 y"],
    "longer than int() takes": ["a " + "1" * 5000, "a " + "2" * 5000, "a 1" + "0" * 5000],
    "nothing": ["", "a"],
}


@pytest.mark.parametrize("expected", NATURAL.values(), ids=NATURAL.keys())
def test_names_are_in_natural_order(expected: list[str]) -> None:
    catalogue = titled(*expected)
    assert titles(catalogue) == expected
    assert titles(catalogue, "-name") == expected[::-1]


def test_equal_names_are_ordered_by_path() -> None:
    catalogue = catalogue_of([video("b", "Same"), video("c", "same"), video("a", "sâme")])
    assert paths(catalogue) == ["a", "b", "c"]


def test_the_other_orders_are_numeric() -> None:
    catalogue = catalogue_of(
        [
            video("a", size=10, modified=3.0, duration=20.5),
            video("b", size=9, modified=1.0, duration=100.0),
            video("c", size=100, modified=2.5),  # not probed yet: sorts as the shortest
        ]
    )
    assert paths(catalogue, "size") == ["b", "a", "c"]
    assert paths(catalogue, "-size") == ["c", "a", "b"]
    assert paths(catalogue, "date") == ["b", "c", "a"]
    assert paths(catalogue, "-date") == ["a", "c", "b"]
    assert paths(catalogue, "duration") == ["c", "a", "b"]
    assert paths(catalogue, "-duration") == ["b", "a", "c"]


# Search


@pytest.mark.parametrize(
    ("title", "query"),
    [
        ("Amélie", "amelie"),
        ("amelie", "AMÉLIE"),
        ("Ame\u0301lie", "am\u00e9lie"),  # decomposed and composed
        ("STRASSE", "straße"),
        ("Straße", "strasse"),
        ("ΣΊΣΥΦΟΣ", "σισυφος"),
        ("ﬁlm", "film"),
        ("ＦＵＬＬ", "full"),  # noqa: RUF001
        ("𝐇𝐞𝐥𝐥𝐨", "hello"),  # noqa: RUF001
        ("hello", "𝐇𝐞𝐥𝐥𝐨"),  # noqa: RUF001
        ("The Third Man", "third man"),
        ("The Third Man", "man third"),
        ("The Third Man", "  hir\t an "),
        ("キャプテン", "キャプ"),
        ("100% [1080p] (a+b)*", "% [1080p] (a+b)*"),
        ("a\N{NO-BREAK SPACE}b", "a b"),
        ("anything", ""),
        ("anything", " "),
    ],
)
def test_a_search_ignores_case_accents_and_word_order(title: str, query: str) -> None:
    assert titles(catalogue_of([video("1", title)]), query=query) == [title]


@pytest.mark.parametrize("query", ["third woman", "thirdman", ".", "T.ird", "*"])
def test_every_word_must_match_literally(query: str) -> None:
    assert titles(catalogue_of([video("1", "The Third Man")]), query=query) == []


def test_folders_are_searched_as_well_as_titles() -> None:
    catalogue = catalogue_of([video("Série/s01/e01.mp4", "Pilot"), video("other.mp4", "Other")])
    for query in ("serie", "S01/E01", "pilot série"):
        assert paths(catalogue, query=query) == ["Série/s01/e01.mp4"]


@given(libraries.filter(bool), st.text())
def test_an_arbitrary_query_returns_only_videos_of_the_library(
    library: list[Video], query: str
) -> None:
    catalogue = catalogue_of(library)
    page = catalogue.page(query, "name", 1000, None)
    assert set(page.videos) <= set(library)
    assert page.total == len(page.videos)
    own = library[0]
    assert own.path in paths(catalogue, query=own.title)


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        ("kurosawa", True),
        ("SEVEN samurai", True),  # the title tag, although another title is shown
        ("kurosawa 7.mp4 shichinin", True),  # the words may match different fields
        ("kurosawa ozu", False),
        ("artist", False),  # the name of a tag is not searched
    ],
)
def test_tags_are_searched_as_well(query: str, matches: bool) -> None:  # noqa: FBT001
    metadata = Metadata(
        container="mp4",
        duration=None,
        bit_rate=None,
        streams=(),
        title="Seven Samurai.mov",
        tags=(Tag(name="artist", text="Kurosawa Akira"), Tag(name="genre", text="x" * 5000)),
    )
    tagged = video("7.mp4", "Shichinin").model_copy(update={"metadata": metadata})
    assert paths(catalogue_of([tagged]), query=query) == ["7.mp4"] * matches


# Folders

TREE = [
    "b.mp4",
    "a.mp4",
    "series/s10/e1.mp4",
    "series/s2/e10.mp4",
    "series/s2/e2.mp4",
    "series/about.mp4",
    "seriesly/x.mp4",
    "deep/er/and/deeper/x.mp4",
]


def inside(catalogue: Catalogue, folder: str, query: str = "", sort: Sort = "name") -> list[str]:
    """Return the whole listing of a folder; folders end with a slash."""
    page = catalogue.page(query, sort, 1000, None, folder)
    return [f"{entry.path}/" for entry in page.folders] + [entry.path for entry in page.videos]


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("", ["deep/", "series/", "seriesly/", "a.mp4", "b.mp4"]),
        ("series", ["series/s2/", "series/s10/", "series/about.mp4"]),
        ("series/s2", ["series/s2/e2.mp4", "series/s2/e10.mp4"]),
        ("deep", ["deep/er/"]),
        ("deep/er/and", ["deep/er/and/deeper/"]),
        ("deep/er/and/deeper", ["deep/er/and/deeper/x.mp4"]),
    ],
)
def test_a_folder_lists_only_its_direct_entries(folder: str, expected: list[str]) -> None:
    assert inside(catalogue_of(video(path) for path in TREE), folder) == expected


def test_a_folder_counts_the_videos_in_it_and_below() -> None:
    folders = catalogue_of(video(path) for path in TREE).folders
    counts = {"": 8, "series": 4, "series/s2": 2, "series/s10": 1, "deep": 1, "deep/er/and": 1}
    for path, count in counts.items():
        folder = folders.get(path)
        assert folder
        assert folder.videos == count


def test_a_search_in_a_folder_covers_only_that_folder() -> None:
    catalogue = catalogue_of(video(path) for path in TREE)
    assert inside(catalogue, "series", "e") == [
        path for path in paths(catalogue, query="e") if path.startswith("series/")
    ]
    assert inside(catalogue, "", "x") == paths(catalogue, query="x")
    assert inside(catalogue, "series", " ") == inside(catalogue, "series")


@pytest.mark.parametrize("folder", ["other", "ser", "series/", "/series", "a.mp4", "series/s", "/"])
def test_a_folder_without_videos_is_not_found(folder: str) -> None:
    catalogue = catalogue_of(video(path) for path in TREE)
    for query in ("", "e"):
        with pytest.raises(NotFoundError, match=re.escape(f'"{folder}"')):
            catalogue.page(query, "name", 10, None, folder)


def test_the_root_of_an_empty_library_exists() -> None:
    assert catalogue_of().page("", "name", 50, None, "") == Page((), 0, None)


def test_a_catalogue_built_from_the_previous_one_has_its_own_folders() -> None:
    before = catalogue_of(video(path) for path in TREE)
    after = catalogue_of([video("series/s2/e2.mp4"), video("new/x.mp4")], before)
    assert inside(after, "") == ["new/", "series/"]
    assert inside(after, "series") == ["series/s2/"]
    assert after.folders.get("deep") is None
    assert len(inside(before, "")) == 5


def test_folders_may_be_as_deep_as_paths_can_be() -> None:
    path = "/".join(["d"] * 2000)
    catalogue = catalogue_of([video(f"{path}/x.mp4")])
    assert inside(catalogue, path) == [f"{path}/x.mp4"]
    assert inside(catalogue, "") == ["d/"]


parts = st.sampled_from(["a", "A", "a1", "a10", "b", "é"])
files = st.lists(parts, min_size=1, max_size=4).map(lambda names: "/".join(names) + ".mp4")
trees = st.lists(st.builds(video, files, names, size=st.integers(0, 3)), max_size=25,
                 unique_by=lambda video: video.path)  # fmt: skip


@given(trees, sorts)
def test_every_video_is_reached_from_the_root_once_and_in_listing_order(
    library: list[Video], sort: Sort
) -> None:
    catalogue = catalogue_of(library)
    reached, open_folders = [], [""]
    while open_folders:
        folder = open_folders.pop()
        page = catalogue.page("", sort, 1000, None, folder)
        own = [item.path for item in page.videos]
        whole = paths(catalogue, sort)
        assert own == [path for path in whole if path.rpartition("/")[0] == folder]
        assert page.total == len(own)
        for inner in page.folders:
            assert inner.path.rpartition("/")[0] == folder
            assert inner.videos == sum(path.startswith(f"{inner.path}/") for path in whole) > 0
            open_folders.append(inner.path)
        reached += own
    assert sorted(reached) == sorted(item.path for item in library)


@given(trees.filter(lambda tree: len(tree) > 1), sorts, st.integers(1, 4), st.data())
def test_paging_while_a_folder_changes_repeats_none_and_misses_none_that_stays(
    pool: list[Video], sort: Sort, limit: int, data: st.DataObject
) -> None:
    stay = pool[: (len(pool) + 1) // 2]
    come_and_go = pool[len(stay) :]
    folder = data.draw(st.sampled_from(["", stay[0].path.rpartition("/")[0]]))
    listed: list[str] = []
    cursor, before = None, None
    for _ in range(2 * len(pool) + 2):
        present = data.draw(st.lists(st.sampled_from(come_and_go), unique_by=id))
        # Videos that return may have been rewritten.
        changed = [entry.model_copy(update={"modified": len(listed)}) for entry in present]
        before = catalogue_of([*stay, *changed], before)
        page = before.page("", sort, limit, cursor, folder)
        assert len(page.folders) + len(page.videos) <= limit
        listed += [f"{entry.path}/" for entry in page.folders] + [
            entry.path for entry in page.videos
        ]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert cursor is None
    if sort.removeprefix("-") != "date":  # a rewritten file moves in this order
        assert len(set(listed)) == len(listed)
    assert set(inside(catalogue_of(stay), folder)) <= set(listed)


@given(libraries)
def test_the_neighbours_of_a_video_are_the_adjacent_ones_in_its_folder(
    library: list[Video],
) -> None:
    catalogue = catalogue_of(library)
    for current in library:
        folder = current.path.rpartition("/")[0]
        in_folder = [path for path in paths(catalogue) if path.rpartition("/")[0] == folder]
        around = [None, *in_folder, None]
        at = around.index(current.path)
        before, behind = catalogue.neighbours(current.path)
        assert (before and before.path) == around[at - 1]
        assert (behind and behind.path) == around[at + 1]


def test_neighbours_are_in_natural_order_and_from_the_same_folder() -> None:
    catalogue = catalogue_of(
        video(path, path.rpartition("/")[2])
        for path in ("a/ep 10", "a/ep 2", "a/ep 1", "a/b/ep 3", "ep 4", "a/ep 2b", "b/ep 0")
    )

    def neighbours(path: str) -> list[str | None]:
        return [neighbour.path if neighbour else None for neighbour in catalogue.neighbours(path)]

    assert neighbours("a/ep 1") == [None, "a/ep 2"]
    assert neighbours("a/ep 2") == ["a/ep 1", "a/ep 2b"]
    assert neighbours("a/ep 10") == ["a/ep 2b", None]
    assert neighbours("a/b/ep 3") == neighbours("ep 4") == neighbours("b/ep 0") == [None, None]
    assert neighbours("nothing") == [None, None]


def test_neighbours_with_equal_names_are_ordered_by_path() -> None:
    catalogue = catalogue_of(video(f"{number}.mp4", "same") for number in range(5))
    next_videos = [catalogue.neighbours(f"{number}.mp4")[1] for number in range(5)]
    assert [following and following.path for following in next_videos] == [
        "1.mp4",
        "2.mp4",
        "3.mp4",
        "4.mp4",
        None,
    ]


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("folder", [None, "", "a"])
@pytest.mark.parametrize("query", ["", "1"])
@pytest.mark.parametrize("limit", [1, 3, 50])
def test_pages_by_offset_together_are_the_whole_listing(
    sort: Sort, folder: str | None, query: str, limit: int
) -> None:
    names = ["1", "a/1", "a/2", "a/10", "a/b/1", "a/c/1", "d/e/1", "z"]
    catalogue = catalogue_of(video(name, size=size % 3) for size, name in enumerate(names))
    whole = catalogue.page(query, sort, 100, None, folder)
    listing = [*whole.folders, *whole.videos]
    entries: list[object] = []
    for start in range(0, len(listing) + limit, limit):
        page = catalogue.page_at(query, sort, start, limit, folder)
        assert (page.total, page.next_cursor) == (whole.total, None)
        assert len(page.folders) + len(page.videos) <= limit
        entries += [*page.folders, *page.videos]
    assert entries == listing


def test_a_page_by_offset_of_a_folder_without_videos_is_refused() -> None:
    with pytest.raises(NotFoundError, match="b"):
        catalogue_of([video("a/1")]).page_at("", "name", 0, 10, "b")


@pytest.mark.parametrize("sort", SORTS)
def test_a_cursor_at_a_folder_is_refused_in_a_listing_without_folders(sort: Sort) -> None:
    catalogue = catalogue_of(video(path) for path in TREE)
    cursor = catalogue.page("", sort, 1, None, "").next_cursor
    assert catalogue.page("", sort, 1, cursor, "").folders[0].path == "series"
    for folder, query in ((None, ""), (None, "x"), ("", "x")):
        with pytest.raises(InvalidRequestError):
            catalogue.page(query, sort, 1, cursor, folder)


def test_a_search_looks_for_a_limited_number_of_words_once(monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[str] = []
    containing = WordIndex.containing

    def recorded(index: WordIndex, term: str, texts: Texts) -> Numbers:
        searched.append(term)
        return containing(index, term, texts)

    monkeypatch.setattr(WordIndex, "containing", recorded)
    catalogue = catalogue_of(video(f"{n}", string.ascii_lowercase * 2) for n in range(50))
    query = " ".join(a + b for a, b in pairwise(string.ascii_lowercase))
    assert catalogue.page(query, "name", 5, None).total == 50
    assert len(searched) == MAX_SEARCH_TERMS
    # Several parts of one page run the same query.
    assert catalogue.page_at(query, "-name", 10, 5, None).total == 50
    assert len(searched) == MAX_SEARCH_TERMS


# Invalid cursors


def cursor_of(key: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode()


SOME = catalogue_of(
    video(f"{n}", f"film {n}", size=n, modified=float(n), duration=float(n)) for n in range(9)
)

WRONG = {
    "nothing": "",
    "a letter": "x",
    "no base64": "!!!!",
    "base64 without its end": "WzEsIngiXQ",
    "no JSON": base64.urlsafe_b64encode(b"[1,").decode(),
    "no UTF-8": base64.urlsafe_b64encode(b'["\xff"]').decode(),
    "other scripts": "日本語",
    "a surrogate": "\ud800",
    "an object": cursor_of({}),
    "a string": cursor_of("x"),
    "a number": cursor_of(1),
    "null": cursor_of(None),
    "true": cursor_of(True),  # noqa: FBT003 # JSON's
    "a list of nothing": cursor_of([]),
    "a number alone": cursor_of([1]),
    "a list too deep": cursor_of([[["x"]]]),
    "an object in a list": cursor_of([{}]),
    "null in a list": cursor_of([None, "x"]),
    "no path": cursor_of([1, 1]),
    "a path too many": cursor_of([1, "x", "x"]),
    "not a number": base64.urlsafe_b64encode(b'[NaN,"x"]').decode(),
    "infinity": base64.urlsafe_b64encode(b'[Infinity,"x"]').decode(),
    "a folder of nothing": cursor_of(["name", [], "x"]),
    "a folder of a number": cursor_of(["name", [1], "x"]),
    "a folder twice named": cursor_of(["name", ["x", "x"], "x"]),
    "nested without end": base64.urlsafe_b64encode(b"[" * 5000).decode(),
    "more digits than int() takes": base64.urlsafe_b64encode(b"[" + b"9" * 5000 + b"]").decode(),
    "very long": "A" * 100_000,
}


@pytest.mark.parametrize("cursor", WRONG.values(), ids=WRONG.keys())
def test_an_invalid_cursor_is_refused_in_every_order(cursor: str) -> None:
    for sort in SORTS:
        with pytest.raises(InvalidRequestError):
            SOME.page("", sort, 3, cursor)


@pytest.mark.parametrize("cursor", WRONG.values(), ids=WRONG.keys())
def test_an_invalid_cursor_is_refused_for_an_empty_listing(cursor: str) -> None:
    with pytest.raises(InvalidRequestError):
        catalogue_of().page("", "name", 3, cursor)


@pytest.mark.parametrize(
    ("created_for", "used_for"), [("name", "size"), ("size", "name"), ("-date", "name")]
)
def test_a_cursor_of_another_order_is_refused(created_for: Sort, used_for: Sort) -> None:
    cursor = SOME.page("", created_for, 3, None).next_cursor
    with pytest.raises(InvalidRequestError):
        SOME.page("", used_for, 3, cursor)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=8,
)


@pytest.mark.parametrize("sort", ["date", "-date", "duration", "-duration", "size", "-size"])
@pytest.mark.parametrize(
    "number",
    [
        "1e400",
        "-1e400",
        "1" + "0" * 400,
        "-1" + "0" * 4000,
        "9" * 5000,
        "1e999999999",
        "NaN",
        "-Infinity",
    ],
)
def test_a_cursor_with_an_impossible_number_is_refused(sort: Sort, number: str) -> None:
    cursor = base64.urlsafe_b64encode(f'["{sort}",{number},"x"]'.encode()).decode()
    for folder in (None, ""):
        with pytest.raises(InvalidRequestError):
            SOME.page("", sort, 3, cursor, folder)


keys = json_values | st.integers(-(10**1000), 10**1000)


@given(
    st.text()
    | json_values.map(cursor_of)
    | st.lists(json_values).map(cursor_of)
    | st.tuples(sorts, keys, json_values).map(cursor_of)
    | st.tuples(sorts, st.tuples(keys), st.text()).map(cursor_of),
    sorts,
)
@example(cursor_of([["film ", 5, ""], "x"]), "name")
@example(cursor_of([["film ", ["1", 1], ""], "x"]), "name")
def test_an_arbitrary_cursor_is_refused_or_returns_videos(cursor: str, sort: Sort) -> None:
    try:
        page = SOME.page("", sort, 3, cursor)
    except InvalidRequestError:
        return
    assert page.total == 9
    assert len(page.videos) <= 3


# Immutability


def test_a_video_is_found_only_by_its_path() -> None:
    catalogue = catalogue_of([video("a/b.mp4", "Title")])
    result = catalogue.get("a/b.mp4")
    assert result
    assert result.title == "Title"
    for path in ("Title", "A/B.mp4", "a", "", "a/b.mp4/"):
        assert catalogue.get(path) is None


def test_a_catalogue_copies_its_videos() -> None:
    library = [video("a"), video("b")]
    catalogue = catalogue_of(library)
    library.clear()
    assert paths(catalogue) == ["a", "b"]
    assert paths(catalogue_of(iter([video("c")]))) == ["c"]


def test_queries_do_not_change_a_catalogue() -> None:
    catalogue = titled("b", "a", "c")
    before = [walk(catalogue, sort, 2) for sort in SORTS]
    for sort in reversed(SORTS):
        catalogue.page("b", sort, 1, None)
    assert [walk(catalogue, sort, 2) for sort in SORTS] == before


def test_videos_and_pages_are_immutable() -> None:
    page = titled("a").page("", "name", 1, None)
    with pytest.raises(FrozenInstanceError):
        page.total = 2  # type: ignore[misc]
    with pytest.raises(ValidationError):
        page.videos[0].title = "b"
    assert isinstance(page.videos, tuple)


# Complexity


def steps(act: Callable[[], object]) -> int:
    """Count the interpreter's steps in a call, which do not depend on the machine's speed."""
    count = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        count += event in {"line", "opcode"}
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        act()
    finally:
        sys.settrace(before)
    assert count
    return count


@pytest.fixture
def folded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list of the texts for which keys are built."""
    texts: list[str] = []
    fold = collation.fold

    def recorded(text: str) -> str:
        texts.append(text)
        return fold(text)

    monkeypatch.setattr(collation, "fold", recorded)
    monkeypatch.setattr(search, "fold", recorded)
    return texts


def of_size(count: int) -> list[Video]:
    return [
        video(f"series/{n}.mp4", f"film {n}", size=n, modified=float(n), duration=float(n))
        for n in range(count)
    ]


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("position", ["the first", "a later one"])
def test_a_page_of_a_large_library_takes_no_more_work_than_of_a_small_one(
    sort: Sort, position: str
) -> None:
    small, large = of_size(100), of_size(4_000)

    def work(library: list[Video]) -> int:
        cursor = None
        if position == "a later one":
            cursor = catalogue_of(library).page("", sort, len(library) // 2, None).next_cursor
        fresh = catalogue_of(library)  # a catalogue without cached results
        return steps(lambda: fresh.page("", sort, 20, cursor))

    # Some more steps of a binary search, but not one for each of 3,900 videos.
    assert work(large) - work(small) < 1000


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("folder", ["", "series/7"])
def test_the_work_for_a_page_of_a_folder_does_not_depend_on_other_folders(
    sort: Sort, folder: str
) -> None:
    def work(folders: int) -> int:
        fresh = catalogue_of(
            video(f"series/{number}/{n}.mp4") for number in range(folders) for n in range(20)
        )
        return steps(lambda: fresh.page("", sort, 10, None, folder))

    assert work(300) - work(10) < 500


def test_a_search_folds_only_the_query(folded: list[str]) -> None:
    fresh = catalogue_of(of_size(10_000))
    folded.clear()
    assert steps(lambda: fresh.page("film 77", "name", 20, None)) < 2 * 15 * 10_000
    assert folded == ["film 77"]


@pytest.mark.parametrize("query", ["film 77", "77.mp4", "flim 77"])
def test_the_work_of_a_search_depends_on_what_it_finds(query: str) -> None:
    letters = str.maketrans(string.digits, "abcdeghjnp")

    def work(count: int) -> int:
        others = (video(str(n).translate(letters), "other") for n in range(count))
        fresh = catalogue_of([*of_size(100), *others])
        return steps(lambda: fresh.page(query, "name", 20, None))

    assert work(10_000) - work(4_000) < 200


@given(libraries, sorts, st.text(st.sampled_from("abÄ019 é-日.4"), min_size=1, max_size=5))
def test_a_search_finds_what_contains_all_words(
    library: list[Video], sort: Sort, query: str
) -> None:
    terms = search_terms(query)
    before = catalogue_of(library[::2])
    for catalogue in (catalogue_of(library), catalogue_of(library, before)):
        found = [
            video.path
            for video in catalogue.page("", sort, 100, None).videos
            if all(term in search_text(video) for term in terms)
        ]
        assert paths(catalogue, sort, query) == found


@given(libraries, sorts, st.sampled_from("abm4"), st.integers(1, 4), st.sampled_from([0, 500]))
def test_the_pages_of_a_search_together_are_what_it_finds(
    library: list[Video], sort: Sort, term: str, limit: int, few: int
) -> None:
    catalogue = catalogue_of(library)
    everything = catalogue.page("", sort, 100, None).videos
    expected = [video.path for video in everything if term in search_text(video)]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(results, "_FEW", few)  # both ways to sort
        pages = [catalogue.page(term, sort, limit, None)]
        while (cursor := pages[-1].next_cursor) is not None:
            pages.append(catalogue.page(term, sort, limit, cursor))
        assert [video.path for page in pages for video in page.videos] == expected
        parts = [
            catalogue.page_at(term, sort, start, limit, None)
            for start in range(0, len(expected) + limit, limit)
        ]
        assert [video.path for part in parts for video in part.videos] == expected
        assert {page.total for page in [*pages, *parts]} == {len(expected)}


@given(libraries, libraries, sorts, st.sampled_from([0, 200]))
def test_a_catalogue_after_another_is_as_a_new_one(
    before: list[Video], library: list[Video], sort: Sort, few: int
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(arrangement, "_FEW", few)  # both ways to sort
        earlier = catalogue_of(before)
        listed = paths(earlier, sort)
        after = catalogue_of(library, earlier)
        assert paths(after, sort) == paths(catalogue_of(library), sort)
        assert set(after.page("", sort, 100, None).videos) == set(library)
        # The earlier one is as it was.
        assert paths(earlier, sort) == listed
        assert set(earlier.videos) == set(before)


def test_texts_of_removed_and_changed_videos_are_not_found_and_forgotten() -> None:
    catalogue = catalogue_of(of_size(2000))
    for turn in range(4):
        renamed = [video(f"series/{n}.mp4", f"take {turn}") for n in range(1500)]
        catalogue = catalogue_of(renamed, catalogue)
        assert catalogue.page("film", "name", 1, None).total == 0
        assert catalogue.page(f"take {turn}", "name", 1, None).total == 1500
        assert catalogue.page("take", "name", 1, None).total == 1500
    assert catalogue.arrangement.index.size <= 2 * 2000 + 1  # numbers are used again


def test_a_catalogue_reuses_the_keys_of_the_previous_one(folded: list[str]) -> None:
    library = of_size(100)
    before = catalogue_of(library)
    folded.clear()
    replaced = library[7].model_copy(update={"title": "other"})
    added = video("added.mp4", "added")
    after = catalogue_of([*library[:7], replaced, *library[8:99], added], before)
    assert sorted(folded) == ["added", "added added.mp4", "other", "other series/7.mp4"]
    assert after.get("series/99.mp4") is None
    for sort in SORTS:
        assert paths(after, sort) == paths(catalogue_of(after.videos), sort)
    assert paths(after, query="other") == ["series/7.mp4"]
    assert paths(after, query="film 7/") == []
    assert len(paths(before)) == 100
    assert titles(before, query="7.mp4 film 7")[0] == "film 7"


def test_a_page_is_read_by_one_statement_with_what_is_asked_of_its_videos_next() -> None:
    videos = [video(f"a/{number:03}", duration=1.0) for number in range(100)]
    catalogue = catalogue_of(videos)
    catalogue.video(catalogue.arrangement.orders["name"][3])  # one is in memory
    assert catalogue.view is not None
    statements: list[str] = []
    catalogue.view.rows._connection.set_trace_callback(statements.append)  # noqa: SLF001
    page = catalogue.page("", "name", 50, None)
    sources = [catalogue.source(one.path) for one in page.videos]
    assert [one.path for one in page.videos] == [f"a/{number:03}" for number in range(50)]
    assert [source.video if source else None for source in sources] == list(page.videos)
    # Another one is for the cursor, and one for the source of the video that was in memory.
    assert len(statements) == 3
    assert list(catalogue.page("", "name", 50, None).videos) == list(page.videos)
    assert len(statements) == 4
