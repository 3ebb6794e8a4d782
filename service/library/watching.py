"""How the library learns that its folder has changed: by the kernel's events; and where those do
not tell all, as of what other machines do on a network mount, by looking again soon."""

import re
from collections.abc import AsyncGenerator
from pathlib import Path

from watchfiles import awatch

# File systems of other machines, of processes and of virtual machines' hosts: changes that are not
# made through this very mount cause no event (inotify(7), "Limitations and caveats").
_TELL_NOT_ALL = re.compile(
    r"nfs4?|cifs|smb3|smbfs|ncpfs|afs|9p|ceph|glusterfs|lustre|virtiofs|vboxsf|prl_fs|vmhgfs|fuse(\..*)?"
)
_OCTAL = re.compile(r"\\([0-7]{3})")

# Seconds between looks at such a one, where looking does not take long.
POLL_INTERVAL = 5.0


async def changes(root: Path) -> AsyncGenerator[None]:
    """Give a sign soon after something below `root` changed; many changes may give one.

    Raises OSError and RuntimeError where the kernel cannot tell.
    """
    async for _ in awatch(root, debounce=1000, step=250, ignore_permission_denied=True):
        yield


def events_tell_all(root: Path, mounts: str | None = None) -> bool:
    """Whether every change below a folder causes an event. Blocks.

    `mounts` is the text of /proc/self/mountinfo, proc_pid_mountinfo(5), that of now unless given.
    True also where there is none.
    """
    if mounts is None:
        try:
            mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return True
    above, kind_above = -1, ""
    for line in mounts.splitlines():
        fields, _, rest = line.partition(" - ")
        kind = rest.partition(" ")[0]
        point = Path(_OCTAL.sub(lambda code: chr(int(code[1], 8)), fields.split(" ")[4]))
        if point != root and point.is_relative_to(root):
            if _TELL_NOT_ALL.fullmatch(kind):
                return False
        elif root.is_relative_to(point) and len(point.parts) >= above:
            above, kind_above = len(point.parts), kind  # a later one lies over an earlier one
    return _TELL_NOT_ALL.fullmatch(kind_above) is None
