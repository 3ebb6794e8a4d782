"""Which paths are left out of the library, and why: a function of the path."""

import pytest

from service.storage.ignore_patterns import PatternError, parse_patterns
from service.storage.left_out import LeftOut, LibraryFilter
from service.storage.left_out_reasons import Reason

# Folders that hold no library, as the systems name them.
BINS = [
    "$RECYCLE.BIN", "$Recycle.Bin", "RECYCLER", "Recycled", "#recycle", "@Recycle", ".recycle",
    ".Recycle.Bin", ".Trash", ".Trash-1000", ".Trashes", "Trashes", ".trashbox",
    "Network Trash Folder", "files_trashbin", "Recycle Bin", "RecycleBin", "Network Recycle Bin",
    "Network Recycle Bin 1", "Recycle Bin - Volume_1", "_NAS_Recycle_RAID", "trashbox",
]  # fmt: skip
SNAPSHOTS = [
    "#snapshot", "@Recently-Snapshot", "@snapshots", ".snapshot", ".snapshots", "~snapshot",
    ".snap", ".zfs", "@GMT-2026.01.31-00.00.00", ".stversions", "files_versions",
    "Backups.backupdb", "@sharesnap", "_gsdata_",
]  # fmt: skip
SYSTEM = [
    "System Volume Information", "lost+found", "@eaDir", "@tmp", ".@__thumb", ".AppleDouble",
    "__MACOSX", "FOUND.000", "FOUND.007", "$SysReset", "Config.Msi", "Temporary Items",
    "FOUND.012", "LOST.DIR", "$WINDOWS.~BT", "$Upgrade.~OS", "Windows.old", "$AV_ASW",
    "@appstore", "@docker", "@download", "@S2S", "@SynologyDriveShareSync", "@Transcode",
]  # fmt: skip
UNFINISHED_FOLDERS = ["film.mp4.download", "_UNPACK_Film", "_FAILED_Film"]
FOLDERS = {
    **dict.fromkeys(BINS, Reason.BIN),
    **dict.fromkeys(SNAPSHOTS, Reason.SNAPSHOT),
    **dict.fromkeys(SYSTEM, Reason.SYSTEM),
    **dict.fromkeys(UNFINISHED_FOLDERS, Reason.UNFINISHED),
    **dict.fromkeys((".hidden", ".git", "..data", ".rsync-partial", ".sync"), Reason.HIDDEN),
}

FILES = {
    ".film.mp4": Reason.HIDDEN,
    "._film.mp4": Reason.HIDDEN,  # AppleDouble
    ".film.mp4.Ab3dEf": Reason.HIDDEN,  # rsync
    ".syncthing.film.mp4.tmp": Reason.HIDDEN,
    ".nfs000000000012ab34": Reason.HIDDEN,
    "film.mp4.part": Reason.UNFINISHED,
    "film.mp4.crdownload": Reason.UNFINISHED,
    "film.mp4.!qB": Reason.UNFINISHED,
    "film.mp4.!ut": Reason.UNFINISHED,
    "film.mp4.partial": Reason.UNFINISHED,
    "film.mp4.opdownload": Reason.UNFINISHED,
    "film.mp4.filepart": Reason.UNFINISHED,
    "~syncthing~film.mp4.tmp": Reason.UNFINISHED,
    "film.en.srt.PART": Reason.UNFINISHED,
    "film.temp.mp4": Reason.UNFINISHED,  # yt-dlp
}

# Names that only look like one above.
INCLUDED = [
    "Recycling/film.mp4",
    "#recycle.mp4",
    "RECYCLER.mp4",
    "lost+found.mp4",
    "Trash-1000/film.mp4",
    "snapshots/film.mp4",
    "@home/film.mp4",
    "@Synology/film.mp4",  # a channel of YouTube, as yt-dlp names its folder
    "$9.99 (2008)/film.mp4",
    "Recycle Bin Blues/film.mp4",
    "FOUND.1000/film.mp4",
    "Film.part1.mp4",
    "temp.mp4",
    "film.temperature.mp4",
    "part/film.mp4",
    "My.download/film.mp4",
    "GMT-2026/film.mp4",
    "film..mp4",
    "a.b/film.mp4",
]


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_that_is_no_library_is_left_out_at_any_depth(name: str) -> None:
    rules = LibraryFilter()
    for path in (f"{name}/film.mp4", f"Films/{name}/film.mp4", f"{name}/Films/deep/film.mp4"):
        assert rules.reason(path) is FOLDERS[name], path
    assert rules.reason(f"Films/{name}", is_folder=True) is FOLDERS[name]


@pytest.mark.parametrize("name", [name for name in FOLDERS if name not in {".git", "..data"}])
def test_the_case_of_such_a_folder_does_not_matter(name: str) -> None:
    for spelled in (name.lower(), name.upper()):
        assert LibraryFilter().reason(f"{spelled}/film.mp4") is FOLDERS[name]


@pytest.mark.parametrize("name", FILES)
def test_a_hidden_or_unfinished_file_is_left_out(name: str) -> None:
    assert LibraryFilter().reason(name) is FILES[name]
    assert LibraryFilter().reason(f"Films/{name}") is FILES[name]


@pytest.mark.parametrize("path", INCLUDED)
def test_a_name_that_only_looks_like_one_is_included(path: str) -> None:
    assert LibraryFilter().reason(path) is None


@pytest.mark.parametrize(
    ("patterns", "left_out", "included"),
    [
        # gitignore(5), "PATTERN FORMAT".
        ("Private/", ["Private/a.mp4", "x/Private/y/a.mp4"], ["private/a.mp4", "Private.mp4"]),
        ("*.sample.mp4", ["a.sample.mp4", "x/b.sample.mp4"], ["sample.mp4", "a.sample.mkv"]),
        ("/Films/old", ["Films/old/a.mp4"], ["x/Films/old/a.mp4", "Films/older/a.mp4"]),
        ("a/**/z.mp4", ["a/z.mp4", "a/b/c/z.mp4"], ["b/z.mp4"]),
        ("trailer?.mp4", ["trailer1.mp4"], ["trailer.mp4", "trailer12.mp4"]),
        ("[ab].mp4", ["a.mp4"], ["c.mp4"]),
        ("#box", ["#box/a.mp4"], ["box/a.mp4"]),  # no comment
        ("Old films", ["Old films/a.mp4"], ["Old/a.mp4"]),
        ("a.mp4, b.mp4\nc.mp4", ["a.mp4", "b.mp4", "c.mp4"], ["d.mp4"]),
        ("*.mp4, !keep.mp4", ["a.mp4"], ["keep.mp4"]),
        ("X/, !X/keep.mp4", ["X/keep.mp4"], []),  # its folder is left out
        # What is left out by default can be taken back.
        ("!@tmp, !.well-known", [], ["@tmp/a.mp4", ".well-known/a.mp4"]),
        ("!Recycled/", ["RECYCLER/a.mp4"], ["Recycled/a.mp4"]),
    ],
)
def test_patterns_are_those_of_gitignore(
    patterns: str, left_out: list[str], included: list[str]
) -> None:
    rules = LibraryFilter(parse_patterns(patterns))
    assert [path for path in left_out if rules.reason(path) is None] == []
    assert [path for path in included if rules.reason(path) is not None] == []


@pytest.mark.parametrize("text", ["/", "!", "[x", "a/../b", "./a", "a//b", "x\\", "ok, //"])
def test_a_pattern_that_can_match_nothing_is_refused(text: str) -> None:
    with pytest.raises(PatternError, match="patterns as in"):
        parse_patterns(text)


def test_changes_of_what_is_left_out_are_not_relevant() -> None:
    rules = LibraryFilter(["Private/"])
    for path in ("$RECYCLE.BIN/a.mp4", "Private/a.mp4", ".film.mp4.Ab3dEf", "a.mp4.part",
                 "Private/.nomedia"):  # fmt: skip
        assert not rules.is_relevant(path), path
    for path in ("a.mp4", "Films", "Films/.nomedia", ".nomedia", "/srv/media"):
        assert rules.is_relevant(path), path


def test_a_nomedia_file_leaves_out_its_folder_and_those_below() -> None:
    found = LeftOut()
    found.nomedia = {"a/b"}
    assert found.has_nomedia_above("a/b/x.mp4")
    assert found.has_nomedia_above("a/b/c/x.mp4")
    assert not found.has_nomedia_above("a/bc/x.mp4")
    assert not found.has_nomedia_above("a/x.mp4")
    found.nomedia = {""}
    assert found.has_nomedia_above("x.mp4")
