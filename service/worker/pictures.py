"""The tasks that make pictures: posters and storyboards."""

from collections.abc import Iterable
from pathlib import Path

from service.artefacts.metadata import PosterMetadata, StoryboardMetadata
from service.images.models import EncodedImage
from service.images.poster import Sidecar, poster
from service.images.storyboard import storyboard
from service.worker.files import FileRef, MediaRoot, open_file, open_optional
from service.worker.payload import payload
from service.workers.process import Response, Task


def _poster(
    root: MediaRoot, path: str, revision: str, image: FileRef | None, still: FileRef | None
) -> Response:
    with (
        open_file(root, path, revision) as (file, _),
        open_optional(root, image) as image_file,
        open_optional(root, still) as still_file,
    ):
        result = poster(
            file,
            Sidecar(image_file, Path(image[0]).name) if image and image_file else None,
            Sidecar(still_file, Path(still[0]).name) if still and still_file else None,
        )
    if result is None:
        return payload(None), ()
    metadata = PosterMetadata(
        source=result.source,
        sizes=_sizes(result.images),
        still=None if result.still is None else _sizes(result.still),
        problems=result.problems,
    )
    pictures = (*result.images, *(result.still or ()))
    return payload(metadata), [picture.data for picture in pictures]


def _sizes(images: Iterable[EncodedImage]) -> tuple[tuple[int, int], ...]:
    return tuple((image.width, image.height) for image in images)


def _storyboard(root: MediaRoot, path: str, revision: str) -> Response:
    with open_file(root, path, revision) as (file, _):
        result = storyboard(file)
    if result is None:
        return payload(None), ()
    metadata = StoryboardMetadata(layout=result.grid, sheets=len(result.sheets))
    return payload(metadata), result.sheets


TASKS: dict[str, Task] = {
    "poster": _poster,
    "storyboard": _storyboard,
}
