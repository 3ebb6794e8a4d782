"""Findings about what is made for players: an MP4, sound, and copies of films."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from service.models import Finding, Metadata

_COMING = "Reelay makes sound that all of them play, at the latest when somebody opens the film."


class MadeSound(NamedTuple):
    """How far the sound is that is made of one that browsers do not play."""

    problem: str | None = None
    """A sentence that says why there will be none."""
    damaged: int = 0
    """How many packets of it are silent because they could not be decoded."""


class MadeCopy(NamedTuple):
    """How far the MP4 is into which a film is copied."""

    is_possible: bool = False
    """Whether one may still be made."""
    declined: str | None = None
    """Why there will be none: the end of a sentence that begins with "The file"."""
    jumps: int = 0
    """How often the file's clock jumps, which that of the MP4 does not."""
    damaged: int = 0
    """How many packets of its sound are silent because they could not be decoded."""


class Made(NamedTuple):
    """What is made of a file for players, or may be."""

    mp4: Metadata | None = None
    """What they get instead of the file."""
    declined: str | None = None
    """Why no header makes an MP4 of it: the end of a sentence that begins with "The file"."""
    sound: MadeSound | None = None
    """None: none is made."""
    copied: MadeCopy = MadeCopy()


NOTHING_MADE = Made()


def in_order(results: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return findings with the worst first."""
    order = ("unplayable", "warning", "hint")
    return tuple(sorted(results, key=lambda finding: order.index(finding.severity)))


def with_sound(results: Iterable[Finding], sound: MadeSound) -> tuple[Finding, ...]:
    """Return the findings of a film whose own sound does not play, and for which one is made."""
    return in_order(_with_sound(results, sound))


def with_copy(results: Iterable[Finding], copy: MadeCopy) -> tuple[Finding, ...]:
    """Return the findings of a film with those about the MP4 into which it is copied."""
    found = list(results)
    if copy.is_possible:
        found.append(_COPYABLE)
    if copy.declined is not None:
        found.append(_not_copied(copy.declined))
    if copy.jumps:
        found.append(_jumps(copy.jumps))
    if copy.damaged:
        found.append(_damaged_sound(copy.damaged))
    return in_order(found)


def _with_sound(results: Iterable[Finding], sound: MadeSound) -> Iterator[Finding]:
    is_coming = sound.problem is None
    for finding in results:
        if finding.code == "open_gops" and is_coming:
            continue  # they are mended in what has the sound
        if finding.code != "audio_codec":
            yield finding
            continue
        update = {
            "severity": "hint" if is_coming else finding.severity,
            "sentence": f"{finding.sentence} {sound.problem or _COMING}",
            "viewer_sentence": None if is_coming else finding.viewer_sentence,
        }
        yield finding.model_copy(update=update)
    if sound.damaged:
        yield _damaged_sound(sound.damaged)


_COPYABLE = Finding(
    code="copyable",
    severity="hint",
    sentence="Reelay can copy the film into an MP4 that browsers play, without encoding the "
    "picture anew.",
)


def _not_copied(declined: str) -> Finding:
    return Finding(
        code="not_copied",
        severity="hint",
        sentence=f"No MP4 can be made of the file here: it {declined}.",
    )


def _damaged_sound(count: int) -> Finding:
    sentence = f"Parts of its sound are damaged: {count} packets are silent."
    return Finding(
        code="damaged_sound",
        severity="warning",
        sentence=sentence,
        viewer_sentence="Parts of the sound are damaged: they are silent.",
    )


def _jumps(count: int) -> Finding:
    times = "once" if count == 1 else f"{count} times"
    return Finding(
        code="clock_jumps",
        severity="hint",
        sentence=f"The file's clock jumps {times}, as where recordings were joined. Players get an "
        "MP4 without jumps; captions and thumbnails may be of other moments after one.",
    )
