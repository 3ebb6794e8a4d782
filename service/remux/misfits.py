"""Declines files whose times or sizes do not fit into an MP4."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager

from service.matroska.window import DeclinedError


@contextmanager
def declines_misfits() -> Iterator[None]:
    """Decline a file if a number that is computed from it does not fit.

    Tables and boxes have numbers of 32 or 64 bits: `array` raises OverflowError, and `struct` its
    own error. A film may also say that a second has no units. Raises DeclinedError.
    """
    try:
        yield
    except (struct.error, OverflowError, ZeroDivisionError) as error:
        raise DeclinedError("has times or sizes that an MP4 cannot have") from error
