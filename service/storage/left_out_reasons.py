"""Why files and folders are left out of the library, and which are by their names alone."""

import re
from enum import StrEnum

from service.protocol.media_types import is_sidecar, media_type


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


def is_library_file(name: str) -> bool:
    """Return whether a name is that of a media file or a sidecar, finished or not."""
    name = _UNFINISHED.sub("", name)
    return media_type(name) is not None or is_sidecar(name)


def default_reason(name: str, *, is_folder: bool) -> Reason | None:
    """Return why a name is left out unless a setting takes it back, or None."""
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
