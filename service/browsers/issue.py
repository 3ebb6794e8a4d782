"""A problem of a file, and how FFmpeg would fix it."""

from dataclasses import dataclass
from typing import Literal

from service.browsers.transcode_options import TranscodeOptions

Severity = Literal["unplayable", "warning", "hint"]


@dataclass(frozen=True, slots=True)
class Issue:
    """Why browsers do not play a file, or do not play it well."""

    code: str
    severity: Severity
    sentence: str
    """For the owner of the file."""
    viewer_sentence: str | None = None
    """For viewers; None if it does not concern them."""
    fix: TranscodeOptions | None = None
    """How FFmpeg fixes it; None if it cannot."""
