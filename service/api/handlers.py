"""What applies to every route: security headers, cache headers and error responses."""

from collections.abc import ItemsView
from typing import Any

from quart import Quart, Response, request
from quart_schema import RequestSchemaValidationError
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from service.access.grants import current_grant
from service.api.problems import problem_response
from service.api.robots import NOINDEX
from service.errors import NotFoundError, ReelayError
from service.http.instrumentation import current_request_context
from service.http.origins import Origins
from service.http.response_memory import ResponseMemory

ALLOW = "GET, HEAD, OPTIONS"

_BUSY_RETRY_SECONDS = "5"  # Retry-After

# The errors of a query that a response lists, as one query may have thousands.
_MAX_REASONS = 10
_MAX_LENGTH = 100  # characters, and as many of the parameter's name

# The pages load only this origin's files. static/stream.js plays what it has loaded by a blob: URL.
# The edge's own responses have the same headers: nginx/snippets/security-headers.conf.
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; img-src 'self'; media-src 'self' blob:; style-src 'self'; "
        "script-src 'self'; connect-src 'self'; manifest-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}

_NOSNIFF = {"X-Content-Type-Options": "nosniff"}
_DEFAULT_HEADERS = {
    (is_page, is_indexable): {
        **(SECURITY_HEADERS if is_page else _NOSNIFF),
        "Cache-Control": "no-cache",
        **({} if is_indexable else {"X-Robots-Tag": NOINDEX}),
    }.items()
    for is_page in (False, True)
    for is_indexable in (False, True)
}
"""Headers that responses have unless their views set them, by whether they are pages and whether
search engines may list them."""


def embed_policy(origins: str) -> str:
    """Return the policy of the page that other sites may embed: REELAY_EMBED_ORIGINS."""
    policy = SECURITY_HEADERS["Content-Security-Policy"]
    ancestors = {"*": "*", "none": "'self'"}.get(origins, f"'self' {origins}")
    return policy.replace("frame-ancestors 'self'", f"frame-ancestors {ancestors}")


def default_headers(*, is_page: bool, indexable: bool) -> ItemsView[str, str]:
    """Return the headers that a response to the current request has unless its view sets them.

    `indexable` is whether search engines may list the library.
    """
    # A share link is a secret.
    return _DEFAULT_HEADERS[is_page, indexable and not current_grant().prefix]


def register_handlers(app: Quart, origins: Origins, *, indexable: bool) -> None:
    """Register what applies to every route: headers and error pages."""
    memory = ResponseMemory()

    @app.before_request
    async def name_route() -> Response | None:
        origins.set_origin()
        if request.scope["path"].startswith("//"):
            raise NotFoundError("There is nothing of that name here.")  # Werkzeug would strip them
        if request.url_rule is not None:
            current_request_context().route = request.url_rule.endpoint
        elif request.method == "OPTIONS" and isinstance(
            request.routing_exception, MethodNotAllowed
        ):
            allow = _allowed(request.routing_exception)
            return Response(status=204, headers={"Allow": allow})
        return None

    @app.after_request
    async def add_headers(response: Response) -> Response:
        response = await _limit_memory(response, memory)
        if response.status_code == 204:  # noqa: PLR2004 # it has no content
            response.headers.pop("Content-Type", None)
        is_page = response.headers.get("Content-Type", "").startswith("text/html")
        given = {name.lower() for name, _ in response.headers}
        for name, value in default_headers(is_page=is_page, indexable=indexable):
            if name.lower() not in given:
                response.headers.add(name, value)
        return response

    app.register_error_handler(ReelayError, _reelay_error)
    app.register_error_handler(RequestSchemaValidationError, _invalid_query)
    app.register_error_handler(HTTPException, _http_error)


async def _limit_memory(response: Response, memory: ResponseMemory) -> Response:
    """Have a long response sent in chunks, or return 503 if memory is short."""
    if memory.admit(response):
        return response
    reason = "Too many long answers are on their way just now."
    return await problem_response(503, reason, {"Retry-After": _BUSY_RETRY_SECONDS})


async def _reelay_error(error: ReelayError) -> Response:
    return await problem_response(error.status, str(error), error.headers)


async def _http_error(error: HTTPException) -> Response:
    if isinstance(error, NotFound):
        return await problem_response(404, "There is nothing of that name here.")
    if isinstance(error, MethodNotAllowed):
        allow = _allowed(error)
        return await problem_response(405, f"Only {allow} are answered here.", {"Allow": allow})
    return await problem_response(error.code or 500, error.description or "Something went wrong.")


def _allowed(error: MethodNotAllowed) -> str:
    """Return the methods of the route whose method is another."""
    return ALLOW if "GET" in (error.valid_methods or ()) else "POST, OPTIONS"


async def _invalid_query(error: RequestSchemaValidationError) -> Response:
    cause: Any = error.validation_error
    details = cause.errors() if hasattr(cause, "errors") else [{"loc": (), "msg": str(cause)}]
    sentences = [
        f"{'.'.join(map(str, detail['loc']))[:_MAX_LENGTH]}: {detail['msg'][:_MAX_LENGTH]}"
        for detail in details[:_MAX_REASONS]
    ]
    return await problem_response(400, "; ".join(sentences))
