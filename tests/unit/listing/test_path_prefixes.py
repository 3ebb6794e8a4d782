import pytest

from service.listing.path_prefixes import path_prefixes

LIBRARY = sorted(
    [
        *("TV/Harbor Lights E01.mkv", "TV/Harbor Lights E02.mkv", "TV/Harbor Patrol E01.mkv"),
        *("Old/Harbor Lights E03.mkv", "Old/Film.mkv", "A.mp4", "A.mp4.mp4"),
    ]
)


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ([], ()),
        (["TV/Harbor Patrol E01.mkv"], ("TV/Harbor Patrol E01.mkv",)),
        (["TV/Harbor Lights E01.mkv", "TV/Harbor Lights E02.mkv"], ("TV/Harbor Lights E0",)),
        (LIBRARY, ("",)),
        (  # one for each folder
            [path for path in LIBRARY if "Lights" in path],
            ("Old/Harbor Lights E03.mkv", "TV/Harbor Lights E0"),
        ),
        (["A.mp4"], ()),  # another one begins with it
        (["Old/Film.mkv", "TV/Harbor Lights E01.mkv", "TV/Harbor Patrol E01.mkv"], ()),  # three
    ],
)
def test_prefixes_tell_paths_from_all_others(paths: list[str], expected: tuple[str, ...]) -> None:
    assert path_prefixes(paths, LIBRARY, 2) == expected
