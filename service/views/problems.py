"""Errors for people and for programs: a page where HTML is preferred, else RFC 9457."""

from collections.abc import Mapping
from http import HTTPStatus

from pydantic import BaseModel, ConfigDict, Field
from quart import Response, render_template, request


class Problem(BaseModel):
    """Why there is no other answer (RFC 9457)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = Field(description="The status in words")
    status: int = Field(ge=400, le=599)
    detail: str = Field(description="A sentence for people")


async def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """Render an error. Its `type` is about:blank: the status says its kind (RFC 9457 §4.2)."""
    title = HTTPStatus(status).phrase
    accepted = request.accept_mimetypes
    if accepted["text/html"] > accepted["application/problem+json"]:
        page = await render_template("error.html", status=status, title=title, detail=detail)
        response = Response(page, status, content_type="text/html; charset=utf-8")
    else:
        body = Problem(title=title, status=status, detail=detail).model_dump_json()
        response = Response(body, status, content_type="application/problem+json")
    response.headers["Cache-Control"] = "no-store"
    for name, value in (headers or {}).items():
        response.headers[name] = value
    return response
