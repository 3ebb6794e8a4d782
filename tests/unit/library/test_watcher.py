"""Which folders report all changes, and the notifications themselves."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from service.library import watcher
from service.library.watcher import inotify_is_complete, watch_changes

MEDIA = Path("/srv/media")


def line(number: int, parent: int, point: str, kind: str, *, root: str = "/") -> str:
    """Return a line in the format of proc_pid_mountinfo(5)."""
    return f"{number} {parent} 8:{number} {root} {point} rw,relatime shared:1 - {kind} /dev/sda1 rw"


LOCAL = line(20, 1, "/", "ext4")


@pytest.mark.parametrize(
    "kind",
    # Local disks and memory. NTFS-3G (fuseblk) counts: a process serves it, but no other one
    # writes to the disk, and the kernel reports changes made through the mount.
    ["ext4", "xfs", "btrfs", "zfs", "f2fs", "exfat", "vfat", "ntfs3", "fuseblk", "tmpfs", "overlay",
     "squashfs", "iso9660"],
)  # fmt: skip
@pytest.mark.parametrize("point", ["/", "/srv", "/srv/media", "/srv/media/films"])
def test_a_local_file_system_reports_all_changes(kind: str, point: str) -> None:
    text = "\n".join([*([LOCAL] if point != "/" else []), line(30, 20, point, kind), ""])
    assert inotify_is_complete(MEDIA, text.encode())


@pytest.mark.parametrize(
    "kind",
    # Other machines, the host of a virtual machine, or a process can also change these.
    ["nfs", "nfs4", "cifs", "smb3", "9p", "virtiofs", "vboxsf", "ceph", "glusterfs", "lustre",
     "afs", "ocfs2", "gfs2", "fuse", "fuse.sshfs", "fuse.mergerfs", "fuse.rclone", "fuse.grpcfuse",
     "fakeowner", "drvfs", "autofs"],
)  # fmt: skip
@pytest.mark.parametrize("point", ["/", "/srv", "/srv/media", "/srv/media/films/of others"])
def test_a_shared_file_system_does_not_report_all_changes(kind: str, point: str) -> None:
    escaped = point.replace(" ", "\\040")
    text = "\n".join([*([LOCAL] if point != "/" else []), line(30, 20, escaped, kind), ""])
    assert not inotify_is_complete(MEDIA, text.encode())


@pytest.mark.parametrize(
    ("mounts", "is_complete"),
    [
        pytest.param([], True, id="nothing is known"),
        pytest.param(["", "20", "20 1 8:1 / /"], True, id="no lines as they should be"),
        pytest.param([LOCAL], True, id="one mount"),
        # A mount outside the library.
        pytest.param([LOCAL, line(30, 20, "/srv/media2", "nfs4")], True, id="the same beginning"),
        pytest.param([LOCAL, line(30, 20, "/srv/other", "nfs4")], True, id="a sibling"),
        pytest.param([LOCAL, line(30, 20, "/srv/med", "nfs4")], True, id="a shorter name"),
        # Mounts over mounts: the last one is visible, in any order of lines.
        pytest.param(
            [LOCAL, line(30, 20, "/srv/media", "nfs4"), line(31, 30, "/srv/media", "ext4")],
            True,
            id="a disk over a network",
        ),
        pytest.param(
            [line(31, 30, "/srv/media", "nfs4"), line(30, 20, "/srv/media", "ext4"), LOCAL],
            False,
            id="a network over a disk",
        ),
        pytest.param(
            [LOCAL, line(30, 20, "/srv/media", "autofs"), line(31, 30, "/srv/media", "nfs4")],
            False,
            id="a network that autofs has mounted",
        ),
        pytest.param(
            [LOCAL, line(30, 20, "/srv/media", "autofs"), line(31, 30, "/srv/media", "ext4")],
            True,
            id="a disk that systemd's automount has mounted",
        ),
        pytest.param(
            [LOCAL, line(30, 20, "/srv/media/films", "nfs4"), line(31, 20, "/srv/media", "ext4")],
            True,
            id="a network below, covered by a disk mounted later",
        ),
        pytest.param(
            [LOCAL, line(30, 20, "/srv/media/a/b", "nfs4"), line(31, 20, "/srv/media/a", "xfs")],
            True,
            id="a network further below, covered",
        ),
        pytest.param(
            [
                LOCAL,
                line(30, 20, "/srv/media/a", "xfs"),
                line(31, 30, "/srv/media/a/b", "xfs"),
                line(32, 31, "/srv/media/a/b/c", "cifs"),
            ],
            False,
            id="a network below disks below",
        ),
        pytest.param(
            [LOCAL, line(30, 20, "/srv", "nfs4"), line(31, 30, "/srv/media", "ext4")],
            True,
            id="a disk within a network",
        ),
        # A part of a file system, mounted elsewhere, keeps its type.
        pytest.param(
            [line(40, 7, "/", "overlay"), line(41, 40, "/srv/media", "ext4", root="/home/films")],
            True,
            id="a container's volume on a disk",
        ),
        pytest.param(
            [line(40, 7, "/", "overlay"), line(41, 40, "/srv/media", "nfs4", root="/films")],
            False,
            id="a container's volume on a network",
        ),
        pytest.param(
            [line(40, 40, "/", "rootfs"), line(41, 40, "/", "9p")], False, id="its own parent"
        ),
        pytest.param(
            [line(41, 7, "/srv/media", "nfs4"), line(42, 7, "/proc", "proc")],
            False,
            id="a changed root that is no mount",
        ),
        pytest.param(
            [LOCAL, "30 20 0:5 / /srv/media rw - fuse.sshfs me@there:/a\\040-\\040b rw"],
            False,
            id="no optional fields",
        ),
        pytest.param(
            [LOCAL, "30 20 0:5 / /srv/media rw shared:1 master:2 propagate_from:3 - nfs4 a:/ rw"],
            False,
            id="several optional fields",
        ),
    ],
)
def test_the_visible_mount_counts(mounts: list[str], is_complete: bool) -> None:  # noqa: FBT001 # a column of the table
    assert inotify_is_complete(MEDIA, "\n".join(mounts).encode()) is is_complete


@pytest.mark.parametrize(
    ("root", "point"),
    [
        ("/srv/my films", rb"/srv/my\040films"),
        ("/srv/a\tb", rb"/srv/a\011b"),
        ("/srv/a\nb", rb"/srv/a\012b"),
        ("/srv/a\\040b", rb"/srv/a\134040b"),  # a name that itself looks like an escape
        ("/srv/a#b", rb"/srv/a\043b"),
        ("/srv/a\rb", b"/srv/a\rb"),
        ("/srv/a\u2028b\x0c", "/srv/a\u2028b\x0c".encode()),  # line separators elsewhere
        ("/srv/Фильмы", "/srv/Фильмы".encode()),
        (os.fsdecode(b"/srv/Gr\xfc\xdfe"), b"/srv/Gr\xfc\xdfe"),  # invalid UTF-8
    ],
)
def test_escaped_names_of_the_kernel_are_decoded(root: str, point: bytes) -> None:
    network = line(30, 20, "HERE", "nfs4").encode().replace(b"HERE", point)
    text = b"\n".join([LOCAL.encode(), network, b""])
    assert not inotify_is_complete(Path(root), text)
    assert inotify_is_complete(Path("/srv/other"), text)


def test_the_mounts_of_this_machine_are_parsed() -> None:
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    if " /dev/shm " not in mounts:
        pytest.skip("there is no /dev/shm here")
    assert inotify_is_complete(Path("/dev/shm"))  # noqa: S108 # nothing is written to it


# Notifications


@asynccontextmanager
async def watched(root: Path) -> AsyncIterator[asyncio.Queue[None]]:
    """Watch a folder, and queue an item for each change."""
    changes: asyncio.Queue[None] = asyncio.Queue()

    async def follow() -> None:
        async with aclosing(watch_changes(root)) as notifications:
            async for changed in notifications:
                if changed:
                    changes.put_nowait(None)

    task = asyncio.create_task(follow())
    try:
        async with asyncio.timeout(300):
            while changes.empty():  # until the watch has started
                (root / "begun").touch()
                await asyncio.sleep(0.1)
            yield changes
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def next_change(changes: asyncio.Queue[None]) -> None:
    """Wait for the notification of a change made after the call."""
    async with asyncio.timeout(300):
        await changes.get()


@pytest.mark.parametrize(
    "name", ["film.mp4", "flycheck_film.mp4", "node_modules/film.mp4", "film.mp4~", "__pycache__/a"]
)
async def test_a_change_of_any_file_name_is_reported(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    async with watched(tmp_path) as changes:
        await asyncio.sleep(1.5)  # earlier changes have been reported by then
        while not changes.empty():
            changes.get_nowait()
        file.write_bytes(b"x")
        await next_change(changes)


async def test_a_watch_without_changes_yields_regularly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher, "_QUIET_INTERVAL", 10)
    async with asyncio.timeout(300), aclosing(watch_changes(tmp_path)) as notifications:
        assert [await anext(notifications), await anext(notifications)] == [False, False]


async def test_a_folder_that_is_not_there_cannot_be_watched(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await anext(watch_changes(tmp_path / "nowhere"))
