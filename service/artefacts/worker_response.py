"""Parses what a worker process says of an artefact that it was to build."""

from collections.abc import Callable
from typing import NamedTuple

from service.artefacts.metadata import ArtefactKind, ArtefactMetadata, blob_count, load_metadata
from service.workers.worker import WorkerResponse


class WorkerFailure(NamedTuple):
    """Why a worker could not build an artefact. `problem` is a sentence."""

    problem: str
    lasting: bool


def response_parser(
    kind: ArtefactKind,
) -> Callable[[WorkerResponse], tuple[ArtefactMetadata | WorkerFailure, tuple[bytes, ...]]]:
    """Return a parser of worker responses. It raises ValueError for an invalid one."""

    def parse(
        answer: WorkerResponse,
    ) -> tuple[ArtefactMetadata | WorkerFailure, tuple[bytes, ...]]:
        match answer.payload:
            case {"facts": str(told), **rest} if not rest:
                metadata = load_metadata(kind, told.encode())
                if blob_count(metadata) != len(answer.blobs):
                    raise ValueError("the number of blobs does not match the metadata")
                return metadata, answer.blobs
            case {"problem": str(reason), "lasting": bool(lasting), **rest} if reason and not rest:
                return WorkerFailure(reason, lasting), ()
            case _:
                raise ValueError("neither metadata nor a failure")

    return parse
