"""What was kept of what the library holds now, and what is still to be made."""

from collections.abc import Mapping
from typing import NamedTuple

from service.artefacts.builder import ArtefactBuilder, Job
from service.artefacts.metadata import ArtefactKind, ArtefactMetadata, ArtefactSource


class Inventory(NamedTuple):
    """What a look into the folder of what is derived found."""

    existing: list[tuple[Job, ArtefactMetadata]]
    missing: list[Job]
    gone: set[str]
    """The names that nothing in the library has any more."""


def take_inventory(
    builder: ArtefactBuilder, sources: Mapping[str, ArtefactSource], known: set[str]
) -> Inventory:
    """Look for what was kept under the names of `subjects`, but for those `known`.

    Blocks: for a thread.
    """
    jobs: dict[str, Job] = {}
    # The newest first: who has just added a film looks at that.
    for source in sorted(sources.values(), key=lambda source: -source.video.modified):
        for kind in ArtefactKind:
            if name := source.name(kind):
                jobs[name] = Job(kind, source, name)
    inventory = Inventory([], [], known - jobs.keys())
    for job, kept in builder.load_all([job for name, job in jobs.items() if name not in known]):
        if kept:
            inventory.existing.append((job, kept[0]))
        else:
            inventory.missing.append(job)
    return inventory
