"""What of a folder or bucket is left out of the library, and why.

The rule is a function of a path, so that listings and requests of bytes agree; and of the folders
in which the last listing found a file named `.nomedia`.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet

import structlog

from service.errors import NotFoundError
from service.storage.ignore_patterns import spec
from service.storage.left_out_reasons import Reason, default_reason
from service.storage.paths import printable

_log = structlog.get_logger()

NOMEDIA = ".nomedia"
"""A file of this name leaves out its folder, as on Android (MediaStore.MEDIA_IGNORE_FILENAME)."""

# Characters of a path. No longer one is listed, and checking one takes time for each folder.
_MAX_LENGTH = 5000

_MAX_EXAMPLES = 3  # paths of each reason that messages name


class LeftOut:
    """What a listing has left out: files that may be media or sidecars, folders and links."""

    def __init__(self) -> None:
        self.counts: Counter[Reason] = Counter()
        self.examples: defaultdict[Reason, list[str]] = defaultdict(list)
        """Some paths. Those of folders end with a slash."""
        self.folders: list[tuple[str, Reason]] = []
        """Folders that were not listed, without the slash."""
        self.nomedia: set[str] = set()
        """Folders with a file named `.nomedia`."""

    def has_nomedia_above(self, path: str) -> bool:
        """Return whether a path is in a folder with a file named `.nomedia`, at any depth."""
        return _has_folder_above(self.nomedia, path)

    def add(self, path: str, reason: Reason) -> None:
        """Count a file or a link."""
        self.counts[reason] += 1
        if len(self.examples[reason]) < _MAX_EXAMPLES:
            self.examples[reason].append(printable(path))

    def add_folder(self, path: str, reason: Reason) -> None:
        """Count a folder and what is in it as one."""
        self.folders.append((path, reason))
        self.add(f"{path}/", reason)


class LibraryFilter:
    """Decides for each path whether it belongs to the library."""

    def __init__(
        self, patterns: Sequence[str] = (), report: Callable[[LeftOut], None] | None = None
    ) -> None:
        """Use the patterns of REELAY_IGNORE. `report` gets what each listing has left out."""
        self._spec = spec(patterns) if patterns else None
        self._report = report
        self._nomedia: frozenset[str] = frozenset()
        self.left_out = LeftOut()
        """What the last listing has left out."""

    def reason(self, path: str, *, is_folder: bool = False) -> Reason | None:
        """Return why a file or folder is left out by its path, or None."""
        if not path:
            return None
        if self._spec is not None:
            # A pattern that matches a folder also matches what is below.
            found = self._spec.check_file(f"{path}/" if is_folder else path).include
            if found:
                return Reason.SETTING
            if found is False:  # taken back, unless a folder above is left out (gitignore(5))
                return self._reason_by_steps(path, is_folder=is_folder)
        *folders, name = path.split("/")
        for folder in folders:
            if (reason := default_reason(folder, is_folder=True)) is not None:
                return reason
        return default_reason(name, is_folder=is_folder)

    def name_reason(self, path: str, *, is_folder: bool = False) -> Reason | None:
        """Return why a file or folder is left out, not looking at the folders above."""
        if self._spec is not None:
            found = self._spec.check_file(f"{path}/" if is_folder else path).include
            if found is not None:
                return Reason.SETTING if found else None  # a pattern with ! takes it back
        return default_reason(path.rpartition("/")[2], is_folder=is_folder)

    def require_included(self, path: str) -> None:
        """Raise NotFoundError if a path is left out."""
        if (
            len(path) > _MAX_LENGTH
            or self.reason(path) is not None
            or _has_folder_above(self._nomedia, path)
        ):
            raise NotFoundError("There is no such file.")

    def is_relevant(self, path: str) -> bool:
        """Return whether a change at a path may change the library."""
        folder, _, name = path.rpartition("/")
        if name.lower() == NOMEDIA:
            return self.reason(folder, is_folder=True) is None
        return self.reason(path) is None

    def finish(self, left_out: LeftOut) -> None:
        """Take what a complete listing has left out."""
        self._nomedia = frozenset(left_out.nomedia)
        self.left_out = left_out
        if self._report is not None:
            self._report(left_out)

    def _reason_by_steps(self, path: str, *, is_folder: bool) -> Reason | None:
        end = path.find("/")
        while end >= 0:
            if (reason := self.name_reason(path[:end], is_folder=True)) is not None:
                return reason
            end = path.find("/", end + 1)
        return self.name_reason(path, is_folder=is_folder)


def _has_folder_above(folders: AbstractSet[str], path: str) -> bool:
    if not folders:
        return False
    while path:
        path = path.rpartition("/")[0]
        if path in folders:
            return True
    return False


class LeftOutLog:
    """Logs what is left out when it is first seen or changes, one line for each reason."""

    def __init__(self) -> None:
        self._logged: dict[Reason, int] = {}

    def __call__(self, left_out: LeftOut) -> None:
        """Log the reasons whose numbers have changed."""
        for reason, count in left_out.counts.items():
            if reason is not Reason.HIDDEN and self._logged.get(reason) != count:
                examples = left_out.examples[reason]
                _log.warning(
                    "left out of the library", reason=str(reason), count=count, examples=examples
                )
        self._logged = dict(left_out.counts)
