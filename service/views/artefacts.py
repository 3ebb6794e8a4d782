"""What is derived from videos: posters, storyboards, captions. What is not there yet is made next,
and meanwhile not found."""

import math
import re
import time

from quart import Response, request

from service.errors import InvalidRequestError, NotFoundError, RefusedError
from service.library.deriver import Deriver
from service.library.facts import Kind, State, StoryboardFacts, Subject
from service.library.jpeg import Jpegs
from service.library.stills import webvtt
from service.protocol.conditions import Validators
from service.protocol.plan import Representation
from service.views import links
from service.views.in_memory import answer

_RETRY_AFTER = "5"  # seconds
_WIDTH = re.compile("[0-9]{1,9}")  # pixels; Python refuses to read numbers of thousands of digits
_VTT = "text/vtt; charset=utf-8"


class ArtefactViews:
    """`/posters/<path>`, `/storyboards/<path>.vtt` and sheets, `/captions/<path>/<track>.vtt`."""

    def __init__(self, deriver: Deriver) -> None:
        self._deriver = deriver
        self._jpegs = Jpegs()

    async def poster(self, path: str) -> Response:
        """Send a poster as wide as `?w=` says, or the next wider one, or the widest."""
        return await self._poster(path)

    async def poster_as_jpeg(self, path: str) -> Response:
        """Send the same to those who know no WebP."""
        return await self._poster(path, jpeg=True)

    async def _poster(self, path: str, *, jpeg: bool = False) -> Response:
        subject = self._ready(path, Kind.POSTER)
        widths = [width for width, _ in self._deriver.of(path, Kind.POSTER).sizes]
        wanted = request.args.get("w", "0")
        if not _WIDTH.fullmatch(wanted):
            raise InvalidRequestError("w: should be a number of pixels.")
        number = next((n for n, width in enumerate(widths) if width >= int(wanted)), -1)
        data = await self._deriver.blob(path, Kind.POSTER, number % len(widths))
        if not jpeg:
            return self._answer(subject, Kind.POSTER, data, "image/webp", f"-{widths[number]}")
        part = f"-{widths[number]}-jpeg"
        if data is not None:
            data = await self._jpegs.of(f"{subject.poster}{part}", data)
        return self._answer(subject, Kind.POSTER, data, "image/jpeg", part)

    async def storyboard(self, path: str) -> Response:
        """Tell the tiles of a storyboard, as WebVTT with `#xywh=` (Media Fragments URI 1.0)."""
        subject = self._ready(path, Kind.STORYBOARD)
        version = subject.storyboard or ""
        facts = await self._deriver.facts(path, Kind.STORYBOARD)
        data = None
        if isinstance(facts, StoryboardFacts):
            data = webvtt(facts.layout, lambda n: links.sheet(path, n, version)).encode()
        return self._answer(subject, Kind.STORYBOARD, data, _VTT)

    async def sheet(self, path: str, number: int) -> Response:
        """Send a storyboard's sheet of tiles."""
        subject = self._ready(path, Kind.STORYBOARD)
        sheets = self._deriver.of(path, Kind.STORYBOARD).sheets
        if number >= sheets:
            raise NotFoundError(f"The storyboard has {sheets} sheets, counted from 0.")
        data = await self._deriver.blob(path, Kind.STORYBOARD, number)
        return self._answer(subject, Kind.STORYBOARD, data, "image/webp", f"-{number}")

    async def captions(self, path: str, track: str) -> Response:
        """Send a track of captions, or the chapters."""
        subject = self._ready(path, Kind.CAPTIONS)
        names = [known.name for known in self._deriver.of(path, Kind.CAPTIONS).tracks]
        if track not in names:
            raise NotFoundError("There is no such track.")
        data = await self._deriver.blob(path, Kind.CAPTIONS, names.index(track))
        return self._answer(subject, Kind.CAPTIONS, data, _VTT, f"-{track}")

    def _ready(self, path: str, kind: Kind) -> Subject:
        """Give what is derived from, where that is there. Raises NotFoundError, RefusedError."""
        subject = self._deriver.subject(path)
        if subject is None:
            raise NotFoundError("There is no such video in the library.")
        artefact = self._deriver.of(path, kind)
        match artefact.state:
            case State.READY:
                return subject
            case State.WAITING:
                self._deriver.request(path, kind)
                raise _later()
            case State.FAILED:
                raise NotFoundError(f"It could not be made: {artefact.problem}")
        raise NotFoundError("There is nothing of the kind to be had from this video.")

    def _answer(
        self, subject: Subject, kind: Kind, data: bytes | None, content_type: str, part: str = ""
    ) -> Response:
        """Send `part` of what is kept. Raises RefusedError."""
        if data is None:
            raise _later()
        version, pin = subject.name(kind) or "", request.args.get("v")
        # To the client the tags of parts differ; all are pinned by the one name that they share.
        revision = version + part
        # The date is the video's, which others made of it have, too; it is never later than the
        # message (RFC 9110 §8.8.2.1).
        date = min(math.floor(subject.video.modified), int(time.time()))
        validators = Validators(revision, date, settled=True, dated=False)
        representation = Representation(len(data), content_type, validators)
        return answer(data, representation, revision if pin == version else pin)


def _later() -> RefusedError:
    headers = {"Retry-After": _RETRY_AFTER, "Cache-Control": "no-store"}
    return RefusedError(404, "It is not there yet: it is being made.", headers)
