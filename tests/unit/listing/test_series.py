from support.catalogues import catalogue_of
from support.named_videos import named_video

from service.listing.series import SeriesIndex
from service.models import ParsedName, Video
from service.naming.release_names import parse_name


def index(*paths: str) -> SeriesIndex:
    return catalogue_of(map(named_video, paths)).series


def episode(path: str, name: ParsedName) -> Video:
    video = named_video(path)
    assert video.metadata
    metadata = video.metadata.model_copy(update={"parsed_name": name})
    return video.model_copy(update={"metadata": metadata})


def following(series: SeriesIndex, path: str) -> str | None:
    neighbours = series.neighbours(path)
    return neighbours[1].path if neighbours and neighbours[1] else None


def test_seasons_are_in_order_and_specials_last() -> None:
    found = index(
        *("S/S00E01 Special.mkv", "S/S.S10E01.mkv", "Other/S.S02E02.mkv", "S/S.S02E01.mkv"),
        "[Group] S - 05 [1080p].mkv",
        "S.2019.11.21.720p.HDTV.mkv",
    ).get("s")
    assert found is not None
    assert [(season.key, season.title) for season in found.seasons] == [
        ("2", "Season 2"),
        ("10", "Season 10"),
        ("2019", "2019"),
        ("other", "Episodes"),
        ("0", "Specials"),
    ]
    assert [video.path for video in found.seasons[0].videos] == [
        "S/S.S02E01.mkv",
        "Other/S.S02E02.mkv",
    ]


def test_the_title_is_the_most_frequent_spelling_with_the_year_if_it_is_known() -> None:
    found = index("a/Show.S01E01.mkv", "b/SHOW.S01E02.mkv", "c/SHOW.S01E03.mkv").get("show")
    assert found is not None
    assert found.title == "SHOW"
    found = index("Show.2005.S01E01.mkv", "x/SHOW.S01E02.mkv").get("show (2005)")
    assert found is not None
    assert len(found.videos) == 2


def test_series_of_one_title_are_told_apart_by_their_years() -> None:
    series = index("Show.1963.S01E01.mkv", "Show.2005.S01E01.mkv", "Show.2005.S01E02.mkv")
    assert [len(s.videos) for y in (1963, 2005) if (s := series.get(f"Show ({y})"))] == [1, 2]
    assert following(series, "Show.1963.S01E01.mkv") is None
    assert following(series, "Show.2005.S01E01.mkv") == "Show.2005.S01E02.mkv"


def test_series_whose_titles_are_the_same_in_folded_text_are_one() -> None:
    """One has the year in its name, the other beside its name."""
    series = catalogue_of(
        [
            episode("b.mkv", ParsedName(series="SHOW (2005)", season=1, episodes=(2,))),
            episode("a.mkv", ParsedName(series="Show", season=1, episodes=(1,), year=2005)),
        ]
    ).series
    found = series.get("show (2005)")
    assert found is not None
    assert [video.path for video in found.videos] == ["a.mkv", "b.mkv"]
    assert series.of_video("a.mkv") is series.of_video("b.mkv") is found
    assert following(series, "a.mkv") == "b.mkv"


def test_the_next_episode_is_another_one_in_the_same_folder_if_it_is_there() -> None:
    files = [
        f"{size}/Show.S01E0{number}.{size}.mkv" for number in (1, 2) for size in ("720p", "1080p")
    ]
    series = index(*files, "1080p/Show.S02E01.1080p.mkv")
    assert following(series, "720p/Show.S01E01.720p.mkv") == "720p/Show.S01E02.720p.mkv"
    assert following(series, "1080p/Show.S01E01.1080p.mkv") == "1080p/Show.S01E02.1080p.mkv"
    assert following(series, "720p/Show.S01E02.720p.mkv") == "1080p/Show.S02E01.1080p.mkv"
    neighbours = series.neighbours("1080p/Show.S02E01.1080p.mkv")
    assert neighbours is not None
    assert neighbours[0] is not None
    assert neighbours[0].path == "1080p/Show.S01E02.1080p.mkv"


def test_a_lone_episode_and_other_videos_have_no_neighbours_in_a_series() -> None:
    series = index("a/Show.S01E01.mkv", "b/Show.S01E01.mkv", "a/film.mkv")
    for path in ("a/Show.S01E01.mkv", "a/film.mkv", "nothing"):
        assert series.neighbours(path) is None


def test_a_folder_is_of_a_series_if_most_videos_are_and_none_of_another() -> None:
    series = index(
        *("TV/Show/Season 1/01.mkv", "TV/Show/Season 1/02.mkv", "TV/Show/Season 2/01.mkv"),
        *("TV/Show/trailer.mkv", "TV/Other/Other.S01E01.mkv", "TV/Other/Other.S01E02.mkv"),
        *("Mixed/A.S01E01.mkv", "Mixed/A.S01E02.mkv", "Mixed/B.S01E01.mkv"),
        *("Up/Down/D.S01E01.mkv", "Up/Down/D.S01E02.mkv"),
        *("Few/C.S01E01.mkv", "Few/C.S01E02.mkv", "Few/1.mkv", "Few/2.mkv", "Few/3.mkv"),
    )
    show = series.of_folder("TV/Show")
    assert show is not None
    assert (show.series.title, show.season) == ("Show", None)
    first = series.of_folder("TV/Show/Season 1")
    assert first is not None
    assert first.season is show.series.seasons[0]
    other = series.of_folder("TV/Other")
    assert other is not None
    assert other.season is None  # the series has no other
    assert series.of_folder("Up/Down") is not None
    for folder in ("TV", "Mixed", "Few", "Up", "", "nothing"):
        assert series.of_folder(folder) is None
    assert [inside.title for inside in series.inside("Mixed")] == ["A"]
    assert series.inside("TV/Show/Season 1") == []


def test_a_parsed_name_is_stored_and_read_again() -> None:
    name = parse_name("Show.S01E01E02.mkv")
    assert name is not None
    assert ParsedName.model_validate_json(name.model_dump_json()) == name
