"""The form that makes a share link, on the page of what is shared: _share.html."""

from dataclasses import dataclass
from typing import Literal

from service.access.links import FOREVER, USUAL_DURATION

_DURATIONS = (
    ("1d", "A day"),
    (USUAL_DURATION, "A week"),
    ("30d", "A month"),
    (FOREVER, "Until taken back"),
)


@dataclass(frozen=True, slots=True)
class Shared:
    """What a page offers to share."""

    field: Literal["path", "folder"]
    """The form's field that names it."""
    path: str
    title: str

    durations = _DURATIONS
    """Values of the form with their labels."""
    usual_duration = USUAL_DURATION
