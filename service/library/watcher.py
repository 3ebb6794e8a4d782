"""Watches a folder for changes by inotify, and detects folders whose changes cause no events."""

import asyncio
import os
import re
import threading
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from watchfiles import watch

# File systems of other machines, of processes and of virtual machines' hosts: changes that are not
# made through this mount cause no event (inotify(7), "Limitations and caveats"). fuseblk is absent,
# because it is on a disk of this machine. autofs is, because mounts on it are not watched.
_NETWORK_FILESYSTEMS = re.compile(
    r"nfs4?|cifs|smb3|smbfs|ncpfs|afs|coda|9p|drvfs|ceph|glusterfs|lustre|beegfs|gpfs|gfs2|ocfs2"
    r"|orangefs|pvfs2|virtiofs|vboxsf|prl_fs|vmhgfs|osxfs|fakeowner|autofs|fuse(\..*)?"
)
_OCTAL = re.compile(rb"\\([0-7]{3})")
_MIN_FIELDS = 5  # those read here, before the optional ones

# Seconds between scans of such a folder, if scans are short.
POLL_INTERVAL = 5.0


# Milliseconds without a change after which the watcher yields False.
_QUIET_INTERVAL = 5_000


class _Mount(NamedTuple):
    number: str
    parent: str
    point: Path
    fs_type: str


async def watch_changes(
    root: Path, is_relevant: Callable[[str], bool] = lambda _: True
) -> AsyncGenerator[bool]:
    """Yield True soon after something relevant below `root` changed, once for many changes; and
    False after every five seconds in which nothing did. `is_relevant` gets the path below `root`.

    Raises OSError and RuntimeError where the kernel cannot tell of all of it, be it of one folder:
    the first that cannot be watched ends the search for further ones.
    """
    # Walking the folders to watch them may take long: in a thread of its own, not in the loop. The
    # filter of watchfiles leaves out names that a developer would not want. It must not
    # ignore errors either: by ignore_permission_denied it ignores all (1.3.0), that there may be no
    # more watches as well, and leaves what comes behind a folder like lost+found unwatched.
    stopped = threading.Event()
    batches = watch(
        root,
        watch_filter=lambda _, path: is_relevant(path.removeprefix(f"{root}/")),
        debounce=1000,
        step=250,
        stop_event=stopped,
        force_polling=False,
        ignore_permission_denied=False,
        rust_timeout=_QUIET_INTERVAL,
        yield_on_timeout=True,
    )
    thread = ThreadPoolExecutor(1, "watch")
    try:
        loop = asyncio.get_running_loop()
        while (changed := await loop.run_in_executor(thread, next, batches, None)) is not None:
            yield bool(changed)
    finally:
        stopped.set()
        thread.shutdown(wait=False)


def inotify_is_complete(root: Path, mounts: bytes | None = None) -> bool:
    """Return whether every change below a folder causes an event. Blocks.

    `mounts` is the text of /proc/self/mountinfo, proc_pid_mountinfo(5), that of now unless given.
    True also where there is none.
    """
    if mounts is None:
        try:
            mounts = Path("/proc/self/mountinfo").read_bytes()
        except OSError:
            return True
    listed = list(_mounts(mounts))
    numbers = {mount.number for mount in listed}
    mounted: dict[str, list[_Mount]] = defaultdict(list)
    bottom: list[_Mount] = []
    for mount in listed:
        # The parent of the bottom mount is invisible to this process, or the mount itself.
        is_bottom = mount.parent not in numbers or mount.parent == mount.number
        (bottom if is_bottom else mounted[mount.parent]).append(mount)
    return all(
        _NETWORK_FILESYSTEMS.fullmatch(fs_type) is None
        for fs_type in _filesystem_types(root, "", bottom, mounted)
    )


def _mounts(text: bytes) -> Iterator[_Mount]:
    for line in text.split(b"\n"):  # names may contain other line separators
        fields, _, rest = line.partition(b" - ")
        columns = fields.split(b" ")
        if len(columns) < _MIN_FIELDS:
            continue
        point = _OCTAL.sub(lambda code: bytes([int(code[1], 8) & 255]), columns[4])
        names = [os.fsdecode(part) for part in (columns[0], columns[1], point, rest.split(b" ")[0])]
        yield _Mount(names[0], names[1], Path(names[2]), names[3])


def _filesystem_types(
    folder: Path, fs_type: str, stacked: list[_Mount], mounted: dict[str, list[_Mount]]
) -> Iterator[str]:
    """Yield the types of the file systems that are visible at a folder and below it.

    `fs_type` is that of the mount at the folder, and `stacked` are the mounts on it. What those
    cover is left out.
    """
    stacked = sorted(stacked, key=lambda mount: len(mount.point.parts))
    for mount in stacked:
        if folder.is_relative_to(mount.point):
            yield from _filesystem_types(
                folder, mount.fs_type, mounted.get(mount.number, []), mounted
            )
            return
    yield fs_type
    covered: list[Path] = []
    for mount in stacked:
        if mount.point.is_relative_to(folder) and not any(map(mount.point.is_relative_to, covered)):
            covered.append(mount.point)
            yield from _filesystem_types(
                mount.point, mount.fs_type, mounted.get(mount.number, []), mounted
            )
