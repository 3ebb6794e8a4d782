"""The request to make a film play: the one that changes something on the server."""

from functools import partial

from quart import Response

from service.api.videos import get_video
from service.artefacts.metadata import ArtefactKind
from service.artefacts.status import ArtefactState
from service.errors import HTTPError
from service.http.origins import check_same_origin
from service.items import links
from service.library.visible import VisibleLibrary
from service.scheduling.scheduler import ArtefactScheduler
from service.served.representations import copy_status

_KIND = ArtefactKind.COPIED

# Films that wait for the one that is being made. Each may take an hour and a part of the store.
_MAX_REQUESTED = 20
_BUSY_RETRY_SECONDS = "60"


class CopyViews:
    """`/copies/<path>`."""

    def __init__(self, library: VisibleLibrary, scheduler: ArtefactScheduler) -> None:
        self._library = library
        self._scheduler = scheduler

    async def make(self, path: str) -> Response:
        """Have a film copied into an MP4 next, and show its page."""
        check_same_origin()
        video = get_video(self._library, path)
        status = copy_status(partial(self._scheduler.status, path), video)
        if status.state in {ArtefactState.POSSIBLE, ArtefactState.FAILED}:
            if self._scheduler.requested(_KIND) >= _MAX_REQUESTED:
                headers = {"Retry-After": _BUSY_RETRY_SECONDS}
                raise HTTPError(503, "Too many films wait to be made playable.", headers)
            self._scheduler.retry(path, _KIND)
        return Response(status=303, headers={"Location": links.watch(path)})
