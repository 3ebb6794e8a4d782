"""What was kept of what the library holds now, and what is still to be made."""

from collections.abc import Mapping
from typing import NamedTuple

from service.artefacts.builder import Job, Maker
from service.artefacts.metadata import ArtefactKind, Facts, Subject


class Look(NamedTuple):
    """What a look into the folder of what is derived found."""

    found: list[tuple[Job, Facts]]
    missing: list[Job]
    gone: set[str]
    """The names that nothing in the library has any more."""


def look_for(maker: Maker, subjects: Mapping[str, Subject], known: set[str]) -> Look:
    """Look for what was kept under the names of `subjects`, but for those `known`.

    Blocks: for a thread.
    """
    jobs: dict[str, Job] = {}
    # The newest first: who has just added a film looks at that.
    for subject in sorted(subjects.values(), key=lambda subject: -subject.video.modified):
        for kind in ArtefactKind:
            if name := subject.name(kind):
                jobs[name] = Job(kind, subject, name)
    look = Look([], [], known - jobs.keys())
    for job, kept in maker.load_all([job for name, job in jobs.items() if name not in known]):
        if kept:
            look.found.append((job, kept[0]))
        else:
            look.missing.append(job)
    return look
