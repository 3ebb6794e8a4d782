"""Share links for people: made by a form, listed, and taken back."""

import json
import time
from dataclasses import dataclass
from http import HTTPStatus

from quart import Response, render_template, request

from service.access.control import AccessControl
from service.access.grants import Scope, current_grant
from service.access.links import USUAL_DURATION, ShareLink, list_links, make_link, parse_duration
from service.api.problems import prefers_html
from service.errors import InvalidRequestError, NotFoundError
from service.http.origins import check_same_origin
from service.items import links
from service.library.visible import VisibleLibrary
from service.listing.titles import folder_title
from service.pages.embed import embed_code
from service.pages.player import format_timestamp, parse_timestamp

MAX_LISTED = 200
"""Links in each list of the page; each has about 1.5 kB."""

WHOLE_LIBRARY = "The whole library"


@dataclass(frozen=True, slots=True)
class LinkRow:
    """A link on the page."""

    link: ShareLink
    title: str
    url: str
    """What it opens, with scheme and host if they are known."""
    page: str | None
    """The page of the video or folder; None if there is no such thing any more."""
    is_over: bool
    embed_code: str | None = None
    """The HTML that embeds a shared video."""


class ShareLinkViews:
    """`/links`."""

    def __init__(self, control: AccessControl, library: VisibleLibrary) -> None:
        self._control = control
        self._library = library

    async def show(self) -> Response:
        """List the links; that of `?made=` first, with the moment `?t=`."""
        _check_permission()
        now = time.time()
        listed = await self._control.use_state(list_links, now)
        made_id, start = request.args.get("made"), request.args.get("t")
        current = [link for link in listed if not link.is_over(now)]
        ended = [link for link in listed if link.is_over(now)]
        made = [self._row(link, now, start) for link in current if link.id == made_id]
        page = await render_template(
            "links.html",
            made=made[0] if made else None,
            current=[self._row(link, now) for link in current[:MAX_LISTED]],
            ended=[self._row(link, now) for link in ended[:MAX_LISTED]],
            more=len(current[MAX_LISTED:]),
        )
        response = Response(page, content_type="text/html; charset=utf-8")
        response.headers["Cache-Control"] = "no-store"  # the links are secrets
        return response

    async def make(self) -> Response:
        """Make a link for the `path` of a video or for a `folder`."""
        _check_permission()
        check_same_origin()
        form = await request.form
        scope = self._scope(form.get("path"), form.get("folder"))
        now = time.time()
        try:
            expiry = parse_duration(form.get("for", USUAL_DURATION), now)
            link = await self._control.use_state(
                make_link,
                scope,
                expiry,
                downloads=form.get("downloads") == "on",
                made_by=current_grant().user or "",
            )
        except ValueError as error:
            raise InvalidRequestError(f"No link can be made: {error}.") from error
        start = form.get("t")
        if prefers_html(request.headers.get("Accept", "")):
            target = f"/links?made={link.id}{_start_query(start, '&')}"
            return Response(status=HTTPStatus.SEE_OTHER, headers={"Location": target})
        body = _to_json(self._row(link, now, start))
        response = Response(body, HTTPStatus.CREATED, content_type="application/json")
        response.headers["Cache-Control"] = "no-store"
        return response

    async def revoke(self, link_id: str) -> Response:
        """Take a link back."""
        _check_permission()
        check_same_origin()
        if not await self._control.revoke_link(link_id):
            raise NotFoundError("There is no such link.")
        return Response(status=HTTPStatus.SEE_OTHER, headers={"Location": "/links"})

    def _scope(self, path: str | None, folder: str | None) -> Scope:
        catalogue = self._library.catalogue
        if path is not None and catalogue.get(path) is not None:
            return Scope("video", path)
        if path is None and folder is not None and catalogue.folders.get(folder) is not None:
            return Scope("folder", folder)
        raise NotFoundError("There is nothing of that name in the library.")

    def _row(self, link: ShareLink, now: float, start: str | None = None) -> LinkRow:
        catalogue, path = self._library.catalogue, link.scope.path
        prefix = self._control.link_url(link)
        url = links.absolute(f"{prefix}{_start_query(start, '?')}")
        is_over = link.is_over(now)
        if link.scope.kind == "folder":
            exists = catalogue.folders.get(path) is not None
            title = folder_title(path) if path else WHOLE_LIBRARY
            page = links.folder(path) if exists else None
            return LinkRow(link, title, url, page, is_over)
        video = catalogue.get(path)
        if video is None:
            return LinkRow(link, path.rpartition("/")[2], url, None, is_over)
        code = embed_code(f"{prefix}{links.embed(path)}{_start_query(start, '?')}", video.title)
        return LinkRow(link, video.title, url, links.watch(path), is_over, code)


def _check_permission() -> None:
    """Raise NotFoundError unless the request may make and take back links."""
    if not current_grant().can_share:
        raise NotFoundError("There is nothing of that name here.")


def _start_query(start: str | None, mark: str) -> str:
    """Return the parameter for the moment at which a film begins; "" without one."""
    second = parse_timestamp(start)
    return f"{mark}t={format_timestamp(second)}" if second else ""


def _to_json(row: LinkRow) -> str:
    return json.dumps(
        {
            "id": row.link.id,
            "title": row.title,
            "url": row.url,
            "expires": row.link.expiry or None,
            "downloads": row.link.downloads,
            "embed": row.embed_code,
        },
        ensure_ascii=False,
    )
