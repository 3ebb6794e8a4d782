"""Errors for people and for programs: a page where HTML is preferred, else RFC 9457."""

from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field
from quart import Response, render_template, request
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from service.api import links
from service.api.videos import MAX_QUERY_LENGTH
from service.http.instrumentation import current_request_context
from service.library.titles import video_title

# For people; of the others HTTP's own phrase.
_TITLES = {
    400: "This address is not right",
    404: "Nothing here",
    410: "A newer file is in its place",
    500: "Something went wrong here",
    503: "Not to be had right now",
}
# A browser's Accept has up to 150 characters and 10 members, and Office's of old 300 and 17.
_LONGEST_ACCEPT = 500  # characters
_MOST_ACCEPTED = 25  # members

_LONGEST_ADDRESS = 1000  # characters that are shown
_LONGEST_NAME = 300  # characters; file systems allow 255
_FIRST_OF_OURS = 500  # statuses from here on are no fault of who asks (RFC 9110 §15.6)


class Problem(BaseModel):
    """Why there is no other answer (RFC 9457)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = Field(description="The status in words")
    status: int = Field(ge=400, le=599)
    detail: str = Field(description="A sentence for people")


async def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """Render an error. Its `type` is about:blank: the status says its kind (RFC 9457 §4.2)."""
    title = HTTPStatus(status).phrase
    if _prefers_page(request.headers.get("Accept", "")):
        page = await _page(status, detail, headers or {})
        response = Response(page, status, content_type="text/html; charset=utf-8")
    else:
        body = Problem(title=title, status=status, detail=detail).model_dump_json()
        response = Response(body, status, content_type="application/problem+json")
    response.headers["Cache-Control"] = "no-store"
    for name, value in (headers or {}).items():
        response.headers[name] = value
    return response


def _prefers_page(accept: str) -> bool:
    """Return whether HTML is preferred to JSON, by the value of an Accept header.

    One that is longer than any browser's is disregarded, as RFC 9110 §12.5.1 allows: to parse it
    takes longer than the answer.
    """
    if len(accept) > _LONGEST_ACCEPT or accept.count(",") >= _MOST_ACCEPTED:
        return False
    accepted = parse_accept_header(accept, MIMEAccept)
    return accepted["text/html"] > accepted["application/problem+json"]


async def _page(status: int, detail: str, headers: Mapping[str, str]) -> str:
    """Say it to people, and where to go from here."""
    phrase = HTTPStatus(status).phrase
    path = (request.view_args or {}).get("path")
    ours = status >= _FIRST_OF_OURS
    # A file that was moved has kept its name, or some of it.
    name = path.rpartition("/")[2][:_LONGEST_NAME] if path else ""
    sought = video_title(name, None) if name and status == HTTPStatus.NOT_FOUND else ""
    return await render_template(
        "error.html",
        status=status,
        phrase=phrase,
        title=_TITLES.get(status, phrase),
        detail=detail,
        address=request.path[:_LONGEST_ADDRESS],
        again=ours or "Retry-After" in headers,
        sought=sought[:MAX_QUERY_LENGTH],
        longest_query=MAX_QUERY_LENGTH,
        watch_url=links.watch(path) if path and status == HTTPStatus.GONE else None,
        current_url=quote(request.path) if status == HTTPStatus.GONE else None,
        request_id=current_request_context().request_id if ours else None,
    )
