"""Memory of the processes of a container."""

import contextlib
from pathlib import Path

from support.stack import Stack


def private_memory(stack: Stack, service: str) -> int:
    """Return the bytes of all processes of a service's first container.

    What processes share counts once. Files that the kernel caches do not count.
    """
    container, total = stack.container(service)["Id"], 0
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            if container in (process / "cgroup").read_text(encoding="ascii"):
                lines = (process / "smaps_rollup").read_text(encoding="ascii").splitlines()
                fields = dict(line.split(":", 1) for line in lines[1:])
                total += int(fields["Pss"].split()[0]) * 1024
    return total
