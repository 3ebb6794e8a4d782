"""Other processes, as /proc shows them."""

from pathlib import Path


def is_running(pid: int) -> bool:
    """Return whether a process has not ended. A zombie has ended."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
