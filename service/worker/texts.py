"""The task that makes captions."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from service.artefacts.metadata import CaptionsMetadata
from service.captions.extract import extract_captions
from service.naming.sidecars import MAX_TEXTS
from service.worker.files import FileRef, MediaRoot, open_file
from service.worker.payload import payload
from service.workers.process import Response, Task


def _captions(root: MediaRoot, path: str, revision: str, texts: Sequence[FileRef]) -> Response:
    with ExitStack() as stack:
        file, _ = stack.enter_context(open_file(root, path, revision))
        sidecars = {
            Path(text).name: stack.enter_context(open_file(root, text, at))[0]
            for text, at in texts[:MAX_TEXTS]
        }
        result = extract_captions(Path(path).name, file, sidecars)
    problems = result.problems
    if len(texts) > MAX_TEXTS:
        sentence = f"There are {len(texts)} subtitle files: only the first {MAX_TEXTS} are read."
        problems = (sentence, *problems)
    metadata = CaptionsMetadata(
        tracks=tuple(track for track, _ in result.tracks),
        chapters=result.chapters,
        problems=problems,
    )
    return payload(metadata), [text.encode() for _, text in result.tracks]


TASKS: dict[str, Task] = {
    "captions": _captions,
}
