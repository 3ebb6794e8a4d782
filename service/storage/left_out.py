"""What of a folder or bucket is left out of the library, and why.

The rule is a function of a path, so that listings and requests of bytes agree; and of the folders
in which the last listing found a file named `.nomedia`.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from enum import StrEnum

import structlog

from service.errors import NotFoundError
from service.protocol.media_types import is_sidecar, media_type
from service.storage.ignore_patterns import spec
from service.storage.paths import printable

_log = structlog.get_logger()

NOMEDIA = ".nomedia"
"""A file of this name leaves out its folder, as on Android (MediaStore.MEDIA_IGNORE_FILENAME)."""

# Characters of a path. No longer one is listed, and checking one takes time for each folder.
_MAX_LENGTH = 5000

_MAX_EXAMPLES = 3  # paths of each reason that messages name


class Reason(StrEnum):
    """Why something is left out. The values are the ends of sentences."""

    BIN = "in a recycle bin"
    SNAPSHOT = "in a snapshot or an old version"
    SYSTEM = "in a folder of an operating system, a NAS or a program"
    UNFINISHED = "an unfinished download"
    HIDDEN = "hidden: the name begins with a dot"
    SETTING = "named by REELAY_IGNORE"
    NOMEDIA = "in a folder with a file named .nomedia"
    OUTSIDE = "a link that leads out of the library"
    DANGLING = "a link to a file that does not exist"
    LOOP = "a link in a loop of links"
    EMPTY = "an empty file"
    NAME = "a name that is not UTF-8, or has a backslash, a control character or an empty part"
    UNREADABLE = "in a folder that cannot be read"
    DEEP = "in a folder whose path is longer than 4,095 characters"


# Folders by name, in any case: file systems and servers differ in it.
_FOLDERS = {
    **dict.fromkeys(
        (
            "$recycle.bin",  # Windows, since Vista
            "recycler",  # Windows NT to XP
            "recycled",  # Windows 95 to ME
            "#recycle",  # Synology
            "@recycle",  # QNAP
            ".recycle",  # Samba's vfs_recycle
            ".recycle.bin",
            ".@recycle",
            ".trash",  # FreeDesktop.org Trash specification 1.0: .Trash/$uid
            ".trashes",  # macOS
            "trashes",  # the same without its dot, as some copies have it
            ".trashbox",
            "trashbox",  # Buffalo
            "network trash folder",  # macOS, over AFP
            "recycle bin",  # D-Link, Western Digital
            "recyclebin",  # Zyxel
            "files_trashbin",  # Nextcloud, ownCloud
        ),
        Reason.BIN,
    ),
    **dict.fromkeys(
        (
            "#snapshot",  # Synology
            "@recently-snapshot",  # QNAP
            "@snapshots",  # Btrfs, Timeshift
            ".snapshot",  # NetApp, Isilon, Synology
            ".snapshots",  # Snapper
            "~snapshot",  # NetApp, over SMB
            ".snap",  # CephFS, UFS
            ".zfs",
            ".ckpt",
            "timeshift-btrfs",
            ".stversions",  # Syncthing
            "files_versions",  # Nextcloud, ownCloud
            ".timemachine",
            ".mobilebackups",
            "backups.backupdb",  # Time Machine
            "@sharesnap",  # Synology
            "_gsdata_",  # GoodSync: what it replaced and deleted
        ),
        Reason.SNAPSHOT,
    ),
    **dict.fromkeys(
        (
            "system volume information",
            "$extend",
            "$winreagent",
            "$sysreset",
            "$getcurrent",
            "$windows.~bt",  # Windows Setup
            "$windows.~ws",
            "$windows.~ls",
            "$upgrade.~os",
            "$inplace.~tr",
            "windows.old",
            "$rmmetadata",
            "$av_asw",  # Avast's vault
            "config.msi",
            *(f"found.{number:03}" for number in range(1000)),  # chkdsk
            "lost+found",  # fsck
            "lost.dir",  # Android's fsck of memory cards
            "@eadir",  # Synology: thumbnails and metadata
            "@tmp",
            "@sharebin",
            "#tmp",
            # Synology's packages, in the root of a volume
            *("@appconf", "@appdata", "@apphome", "@appshare", "@appstore", "@apptemp"),
            *("@autoupdate", "@cloudsync", "@database", "@docker", "@download", "@img_bkp_cache"),
            *("@iscsi", "@quarantine", "@s2s", "@spool", "@synodrive", "@synologydrive"),
            *("@synologydrivesharesync", "@synologyapplicationservice", "@synovideostation"),
            "@__thumb",  # QNAP
            ".@__thumb",
            "@transcode",  # QNAP: smaller copies of films
            "temporary items",  # macOS, over AFP
            "thevolumesettingsfolder",
            ".appledouble",
            "__macosx",  # macOS, in ZIP archives
        ),
        Reason.SYSTEM,
    ),
}

# Folders by the beginning of the name, in any case.
_PREFIXES = {
    ".trash-": Reason.BIN,  # FreeDesktop.org Trash specification 1.0: .Trash-$uid
    "network recycle bin": Reason.BIN,  # ASUSTOR; QNAP, with a number
    "recycle bin - volume": Reason.BIN,  # D-Link
    "_nas_recycle_": Reason.BIN,  # Thecus, TerraMaster
    "@gmt-": Reason.SNAPSHOT,  # MS-SMB2 §2.2: previous versions
    "_unpack_": Reason.UNFINISHED,  # SABnzbd
    "_failed_": Reason.UNFINISHED,
}

# What programs append to the name of a file that they still download. Safari makes a folder.
_UNFINISHED = re.compile(
    r"\.(?:part|partial|crdownload|download|opdownload|filepart|unfinished|incomplete|!qb|!ut|!bt"
    r"|bc!|jc!|aria2|td|xltd|fdmdownload|dtapart|temp|tmp)$"
    r"|\.temp(?=\.[^.]+$)",  # yt-dlp, while it joins picture and sound: film.temp.mp4
    re.IGNORECASE,
)


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
            if (reason := _default_reason(folder, is_folder=True)) is not None:
                return reason
        return _default_reason(name, is_folder=is_folder)

    def name_reason(self, path: str, *, is_folder: bool = False) -> Reason | None:
        """Return why a file or folder is left out, not looking at the folders above."""
        if self._spec is not None:
            found = self._spec.check_file(f"{path}/" if is_folder else path).include
            if found is not None:
                return Reason.SETTING if found else None  # a pattern with ! takes it back
        return _default_reason(path.rpartition("/")[2], is_folder=is_folder)

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


def is_library_file(name: str) -> bool:
    """Return whether a name is that of a media file or a sidecar, finished or not."""
    name = _UNFINISHED.sub("", name)
    return media_type(name) is not None or is_sidecar(name)


def _has_folder_above(folders: AbstractSet[str], path: str) -> bool:
    if not folders:
        return False
    while path:
        path = path.rpartition("/")[0]
        if path in folders:
            return True
    return False


def _default_reason(name: str, *, is_folder: bool) -> Reason | None:
    if is_folder:
        key = name.lower()
        if (reason := _FOLDERS.get(key)) is not None:
            return reason
        for prefix, reason in _PREFIXES.items():
            if key.startswith(prefix):
                return reason
    if name.startswith("."):
        return Reason.HIDDEN
    # From before the extension: to look at each position takes four times as long.
    end = max(0, name.rfind(".") - len(".temp"))
    if _UNFINISHED.search(name, end) and is_library_file(name):
        return Reason.UNFINISHED
    return None


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
