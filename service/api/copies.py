"""The request to make a film play: the one that changes something on the server."""

from quart import Response, g, request

from service.api import links
from service.api.videos import get_video
from service.artefacts.metadata import ArtefactKind, ArtefactState
from service.artefacts.scheduler import ArtefactScheduler
from service.errors import HTTPError
from service.library.library import Library

_KIND = ArtefactKind.COPIED

# Films that wait for the one that is being made. Each may take an hour and a part of the store.
_MAX_REQUESTED = 20
_BUSY_RETRY_SECONDS = "60"


class CopyViews:
    """`/copies/<path>`."""

    def __init__(self, library: Library, scheduler: ArtefactScheduler) -> None:
        self._library = library
        self._scheduler = scheduler

    async def make(self, path: str) -> Response:
        """Have a film copied into an MP4 next, and show its page."""
        _check_same_origin()
        get_video(self._library, path)
        status = self._scheduler.status(path, _KIND)
        if status.state in {ArtefactState.POSSIBLE, ArtefactState.FAILED}:
            if self._scheduler.requested(_KIND) >= _MAX_REQUESTED:
                headers = {"Retry-After": _BUSY_RETRY_SECONDS}
                raise HTTPError(503, "Too many films wait to be made playable.", headers)
            self._scheduler.retry(path, _KIND)
        return Response(status=303, headers={"Location": links.watch(path)})


def _check_same_origin() -> None:
    """Refuse what another site's page sends. Raises HTTPError.

    Browsers say where a request comes from (Fetch Metadata, and Origin in RFC 6454 §7), and other
    clients do not act for somebody else.
    """
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if site not in {None, "same-origin"} or (site is None and origin not in {None, g.origin}):
        raise HTTPError(403, "Only a page of this site may ask for that.", {})
