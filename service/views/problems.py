"""Errors for people and for programs: a page where HTML is preferred, else RFC 9457."""

import json
from collections.abc import Mapping
from http import HTTPStatus

from quart import Response, render_template, request


async def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """Render an error. Its `type` is about:blank: the status says its kind (RFC 9457 §4.2)."""
    title = HTTPStatus(status).phrase
    accepted = request.accept_mimetypes
    if accepted["text/html"] > accepted["application/problem+json"]:
        page = await render_template("error.html", status=status, title=title, detail=detail)
        response = Response(page, status, content_type="text/html; charset=utf-8")
    else:
        body = json.dumps({"title": title, "status": status, "detail": detail})
        response = Response(body, status, content_type="application/problem+json")
    response.headers["Cache-Control"] = "no-store"
    for name, value in (headers or {}).items():
        response.headers[name] = value
    return response
