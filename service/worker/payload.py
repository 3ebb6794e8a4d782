"""What a worker says of what it made."""

from service.artefacts.metadata import ArtefactMetadata, dump_metadata
from service.workers.process import Payload


def payload(metadata: ArtefactMetadata) -> Payload:
    """Return the JSON of a response; the blobs follow it."""
    return {"facts": dump_metadata(metadata).decode()}
