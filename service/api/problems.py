"""Error responses: an HTML page if the client prefers it, else problem details (RFC 9457)."""

from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field
from quart import Response, render_template, request
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from service.api.videos import MAX_QUERY_LENGTH
from service.http.instrumentation import current_request_context
from service.items import links
from service.listing.titles import video_title

# Titles of the page. Other statuses have HTTP's phrase.
_TITLES = {
    400: "This address is not right",
    404: "Nothing here",
    410: "A newer file is in its place",
    500: "Something went wrong here",
    503: "Not to be had right now",
}
# A browser's Accept has up to 150 characters and 10 members, an old Office's 300 and 17.
_MAX_ACCEPT_LENGTH = 500  # characters
_MAX_ACCEPT_MEMBERS = 25  # members

_MAX_ADDRESS_LENGTH = 1000  # characters that are shown
_MAX_NAME_LENGTH = 300  # characters; file systems allow 255
_FIRST_SERVER_ERROR = 500  # RFC 9110 §15.6


class ProblemDetails(BaseModel):
    """Problem details (RFC 9457)."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="Problem")

    title: str = Field(description="The status in words")
    status: int = Field(ge=400, le=599)
    detail: str = Field(description="A sentence for people")


async def problem_response(
    status: int, detail: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Return an error response. Its `type` is about:blank, its default (RFC 9457 §4.2)."""
    title = HTTPStatus(status).phrase
    if prefers_html(request.headers.get("Accept", "")):
        page = await _page(status, detail, headers or {})
        response = Response(page, status, content_type="text/html; charset=utf-8")
    else:
        body = ProblemDetails(title=title, status=status, detail=detail).model_dump_json()
        response = Response(body, status, content_type="application/problem+json")
    response.headers["Cache-Control"] = "no-store"
    for name, value in (headers or {}).items():
        response.headers[name] = value
    return response


def prefers_html(accept: str) -> bool:
    """Return whether an Accept header prefers HTML to JSON.

    One that is longer than any browser's is ignored, as RFC 9110 §12.5.1 allows, because parsing it
    is slow.
    """
    if len(accept) > _MAX_ACCEPT_LENGTH or accept.count(",") >= _MAX_ACCEPT_MEMBERS:
        return False
    accepted = parse_accept_header(accept, MIMEAccept)
    return accepted["text/html"] > accepted["application/problem+json"]


async def _page(status: int, detail: str, headers: Mapping[str, str]) -> str:
    """Render the page of an error, with links to what the viewer may have looked for."""
    phrase = HTTPStatus(status).phrase
    path = (request.view_args or {}).get("path")
    is_server_error = status >= _FIRST_SERVER_ERROR
    # A file that was moved usually keeps its name: offer a search for it.
    name = path.rpartition("/")[2][:_MAX_NAME_LENGTH] if path else ""
    search_for = video_title(name, None) if name and status == HTTPStatus.NOT_FOUND else ""
    return await render_template(
        "error.html",
        status=status,
        phrase=phrase,
        title=_TITLES.get(status, phrase),
        detail=detail,
        address=request.path[:_MAX_ADDRESS_LENGTH],
        can_retry=is_server_error or "Retry-After" in headers,
        search_for=search_for[:MAX_QUERY_LENGTH],
        watch_url=links.watch(path) if path and status == HTTPStatus.GONE else None,
        current_url=f"{links.prefix()}{quote(request.path)}" if status == HTTPStatus.GONE else None,
        request_id=current_request_context().request_id if is_server_error else None,
    )
