"""Posters, storyboards and captions over HTTP.

A request for one that is not built yet gets 404, and it is built next.
"""

import re
import time
from collections.abc import Callable

from quart import Response, request

from service.artefacts.jpeg import JpegPosters
from service.artefacts.metadata import ArtefactKind, StoryboardMetadata
from service.artefacts.source import ArtefactSource
from service.artefacts.status import ArtefactState
from service.errors import HTTPError, InvalidRequestError, NotFoundError
from service.http.responses import blob_response, bytes_response
from service.images.models import storyboard_webvtt
from service.items import links
from service.protocol.conditions import Validators, last_modified_of
from service.protocol.plan import Representation
from service.records.blobs import AsyncBlob
from service.scheduling.reader import ArtefactReader
from service.scheduling.scheduler import ArtefactScheduler

_RETRY_AFTER = "5"  # seconds
_WIDTH = re.compile("[0-9]{1,9}")  # pixels; Python does not parse numbers of thousands of digits
_VTT = "text/vtt; charset=utf-8"


class ArtefactViews:
    """`/posters/<path>`, `/storyboards/<path>.vtt` and sheets, `/captions/<path>/<track>.vtt`."""

    def __init__(
        self,
        scheduler: ArtefactScheduler,
        reader: ArtefactReader,
        jpegs: JpegPosters,
        folder_image: Callable[[str], str | None],
    ) -> None:
        """`folder_image` returns the path of a folder's picture."""
        self._scheduler = scheduler
        self._reader = reader
        self._jpegs = jpegs
        self._folder_image = folder_image

    async def poster(self, path: str) -> Response:
        """Send the narrowest poster of at least `?w=` pixels, or the widest.

        With `?still=1` send the still instead. The path of a folder ends with a slash.
        """
        if path.endswith("/"):
            path = self._folder_image(path.removesuffix("/")) or path
        return await self._poster(path)

    async def poster_as_jpeg(self, path: str) -> Response:
        """Send the same for clients that do not support WebP."""
        return await self._poster(path, jpeg=True)

    async def _poster(self, path: str, *, jpeg: bool = False) -> Response:
        source = self._require_ready(path, ArtefactKind.POSTER)
        status = self._scheduler.status(path, ArtefactKind.POSTER)
        sizes, first, variant = status.sizes, 0, ""
        if request.args.get("still", "0") != "0" and status.still_sizes is not None:
            sizes, first, variant = status.still_sizes, len(sizes), "-still"
        if not sizes:
            raise NotFoundError("No picture but the poster can be made of this video.")
        widths = [width for width, _ in sizes]
        min_width = request.args.get("w", "0")
        if not _WIDTH.fullmatch(min_width):
            raise InvalidRequestError("w: should be a number of pixels.")
        index = next((n for n, width in enumerate(widths) if width >= int(min_width)), -1)
        index %= len(widths)
        variant += f"-{widths[index]}"
        index += first
        if jpeg:
            blob = await self._jpegs.open(
                f"{source.poster}{variant}",
                lambda: self._reader.blob(path, ArtefactKind.POSTER, index),
            )
            return await self._send(
                source, ArtefactKind.POSTER, blob, "image/jpeg", f"{variant}-jpeg"
            )
        blob = await self._reader.open(path, ArtefactKind.POSTER, index)
        return await self._send(source, ArtefactKind.POSTER, blob, "image/webp", variant)

    async def storyboard(self, path: str) -> Response:
        """Send a storyboard's index, WebVTT with `#xywh=` links (Media Fragments URI 1.0)."""
        source = self._require_ready(path, ArtefactKind.STORYBOARD)
        version = source.storyboard or ""
        facts = await self._reader.load_metadata(path, ArtefactKind.STORYBOARD)
        if not isinstance(facts, StoryboardMetadata):
            raise _not_ready_error()
        data = storyboard_webvtt(facts.layout, lambda n: links.sheet(path, n, version)).encode()
        return bytes_response(
            data, *_representation(source, ArtefactKind.STORYBOARD, len(data), _VTT)
        )

    async def sheet(self, path: str, number: int) -> Response:
        """Send a storyboard's sheet of tiles."""
        source = self._require_ready(path, ArtefactKind.STORYBOARD)
        sheets = self._scheduler.status(path, ArtefactKind.STORYBOARD).sheets
        if number >= sheets:
            raise NotFoundError(f"The storyboard has {sheets} sheets, counted from 0.")
        blob = await self._reader.open(path, ArtefactKind.STORYBOARD, number)
        return await self._send(source, ArtefactKind.STORYBOARD, blob, "image/webp", f"-{number}")

    async def captions(self, path: str, track: str) -> Response:
        """Send a track of captions or the chapters."""
        source = self._require_ready(path, ArtefactKind.CAPTIONS)
        names = [one.name for one in self._scheduler.status(path, ArtefactKind.CAPTIONS).tracks]
        if track not in names:
            raise NotFoundError("There is no such track.")
        blob = await self._reader.open(path, ArtefactKind.CAPTIONS, names.index(track))
        return await self._send(source, ArtefactKind.CAPTIONS, blob, _VTT, f"-{track}")

    def _require_ready(self, path: str, kind: ArtefactKind) -> ArtefactSource:
        """Return the source of a built artefact. Raises NotFoundError, HTTPError."""
        source = self._scheduler.source(path)
        if source is None:
            raise NotFoundError("There is no such video in the library.")
        artefact = self._scheduler.status(path, kind)
        match artefact.state:
            case ArtefactState.READY:
                return source
            case ArtefactState.WAITING:
                self._scheduler.request(path, kind)
                raise _not_ready_error()
            case ArtefactState.FAILED:
                raise NotFoundError(f"It could not be made: {artefact.problem}")
        raise NotFoundError("There is nothing of the kind to be had from this video.")

    async def _send(
        self,
        source: ArtefactSource,
        kind: ArtefactKind,
        blob: AsyncBlob | None,
        content_type: str,
        variant: str,
    ) -> Response:
        """Send a blob of an artefact. Raises HTTPError."""
        if blob is None:
            raise _not_ready_error()
        try:
            return await blob_response(
                blob, *_representation(source, kind, blob.length, content_type, variant)
            )
        except OSError as error:  # a retry may succeed
            raise _not_ready_error() from error


def _representation(
    source: ArtefactSource, kind: ArtefactKind, length: int, content_type: str, variant: str = ""
) -> tuple[Representation, str | None]:
    """Return the representation of a variant, and the revision that the query pins."""
    version, pin = source.name(kind) or "", request.args.get("v")
    # Variants have different entity tags, but URLs pin them all by the artefact's version.
    revision = version + variant
    # The date is the video's, which other versions of the artefact have too: no strong validator.
    date = last_modified_of(source.video.modified, time.time())
    validators = Validators(revision, date, is_stable=True, date_is_validator=False)
    representation = Representation(length, content_type, validators)
    return representation, revision if pin == version else pin


def _not_ready_error() -> HTTPError:
    headers = {"Retry-After": _RETRY_AFTER, "Cache-Control": "no-store"}
    return HTTPError(404, "It is not there yet: it is being made.", headers)
