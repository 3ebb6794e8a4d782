"""Symbolic links that are not followed, and why."""

import errno
import os
from contextlib import suppress
from pathlib import Path

from service.storage.left_out_reasons import Reason


def link_problem(root: Path, path: str) -> Reason | None:
    """Return why the link at a path is not followed, or None if it cannot be told. Blocks."""
    try:
        target = Path(os.path.realpath(root / path, strict=True))
    except FileNotFoundError:
        return Reason.DANGLING
    except OSError as error:
        return Reason.LOOP if error.errno == errno.ELOOP else None
    return None if target.is_relative_to(root) else Reason.OUTSIDE


def seems_outside(root: Path, path: str) -> bool:
    """Return whether the link at a path leads out of the root by its text.

    The target is not touched: it may be on a mount that hangs.
    """
    link = root / path
    with suppress(OSError):
        target = os.path.normpath(link.parent / link.readlink())
        return not Path(target).is_relative_to(root)
    return False
