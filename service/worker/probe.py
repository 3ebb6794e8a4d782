"""The task that probes a file."""

from service.captions.sound_labels import with_labels
from service.naming.release_names import parse_name, parse_title
from service.probing.metadata import UnknownFormatError, read_metadata
from service.worker.files import MediaRoot, open_file
from service.workers.process import Response, Task


def _probe(root: MediaRoot, path: str, revision: str | None = None) -> Response:
    with open_file(root, path, revision) as (file, size):
        try:
            metadata = with_labels(read_metadata(file, size))
        except UnknownFormatError as error:
            return {"problem": str(error), "known_format": False}, ()
    name = parse_name(path) or parse_title(metadata["title"] or "")
    return {"metadata": {**metadata, "parsed_name": name.model_dump() if name else None}}, ()


TASKS: dict[str, Task] = {
    "probe": _probe,
}
