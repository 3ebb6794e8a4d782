"""The folders of a library: which hold what. Those alone that hold videos somewhere below.
Law: a value, made with the catalogue; a folder and its parents are paths, and "" is the root."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter

from service.library.collation import natural_sort_key
from service.library.titles import folder_title


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that holds videos, itself or further below."""

    path: str
    """Relative to the library's root, with / between folders."""
    title: str
    videos: int
    """How many videos are in it and in all folders below."""
    name: str
    """What it is sorted by."""


def parent(path: str) -> str:
    """Give the folder that a file or a folder is in."""
    return path.rpartition("/")[0]


def parents(path: str) -> list[str]:
    """Give the folders that lead from the root to this one, without both."""
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


class Folders:
    """All folders, found by path."""

    def __init__(self, direct: Mapping[str, int], previous: "Folders | None" = None) -> None:
        """Make them of how many videos each holds itself, given by path."""
        counts: dict[str, int] = {"": 0, **direct}
        for folder in direct:
            above = folder
            while above and (above := parent(above)) not in counts:
                counts[above] = 0
        subfolders: defaultdict[str, list[Folder]] = defaultdict(list)
        self._all: dict[str, Folder] = {}
        # A folder's path is longer than its parent's: when a folder's turn comes, it is counted.
        for path in sorted(counts, key=len, reverse=True):
            cached = previous.get(path) if previous else None
            title = cached.title if cached else folder_title(path)
            name = cached.name if cached else natural_sort_key(title)
            new = self._all[path] = Folder(path, title, counts[path], name)
            if path:
                counts[parent(path)] += new.videos
                subfolders[parent(path)].append(new)
        order = attrgetter("name", "path")
        self._subfolders = {
            path: tuple(sorted(folders, key=order)) for path, folders in subfolders.items()
        }

    def get(self, path: str) -> Folder | None:
        """Look a folder up."""
        return self._all.get(path)

    def subfolders(self, path: str) -> tuple[Folder, ...]:
        """Give the folders that are in this one, in natural order."""
        return self._subfolders.get(path, ())
