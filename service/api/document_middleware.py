"""ASGI middleware that serves `/api/videos/<path>` from what is rendered already.

It runs before Quart, whose request context and tasks take more time than the response. Quart
answers what has a query or a body, what is long, and all errors.
"""

from collections.abc import Callable
from typing import Any

from service.api.handlers import default_headers
from service.errors import HTTPError
from service.http.documents import Document
from service.http.instrumentation import ASGIApp, Receive, RequestContext, Send
from service.storage.base import MIN_CHUNK

ROUTE = "api_video"
"""The name of Quart's route for the same, in metrics and logs."""

_PREFIX = "/api/videos/"


class DocumentMiddleware:
    """Serves the documents of videos, the rest by `app`."""

    def __init__(
        self,
        app: ASGIApp,
        find: Callable[[str], Document | None],
        *,
        indexable: bool,
    ) -> None:
        """`find` returns the document of a video; `indexable` is as in `default_headers`."""
        self._app = app
        self._find = find
        self._indexable = indexable

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        document = self._document(scope)
        if document is None:
            await self._app(scope, receive, send)
            return
        try:
            is_known = document.is_known_to(scope)
        except HTTPError:
            await self._app(scope, receive, send)
            return
        scope["state"]["request_context"].route = ROUTE
        body = b"" if is_known else document.body
        fields = {"Content-Type": document.content_type}
        if not is_known:
            fields["Content-Length"] = str(len(body))
        fields["ETag"] = document.validators.entity_tag
        fields |= default_headers(is_page=False, indexable=self._indexable)
        headers = [(name.lower().encode(), value.encode()) for name, value in fields.items()]
        status = 304 if is_known else 200
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    def _document(self, scope: Any) -> Document | None:
        """Return the document to send; None if Quart is to answer."""
        if scope["type"] != "http" or not scope["path"].startswith(_PREFIX):
            return None
        context: RequestContext = scope["state"]["request_context"]
        if scope["method"] != "GET" or scope["query_string"] or context.body_headers:
            return None
        document = self._find(scope["path"].removeprefix(_PREFIX))
        return document if document and len(document.body) <= MIN_CHUNK else None
