"""`/openapi.json`: the JSON interface with all its responses. Tests compare it to the service."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from quart import Response
from quart.json import dumps
from quart_schema import OpenAPIProvider, QuartSchema
from werkzeug.routing import Rule

from service.api.problems import ProblemDetails
from service.http.documents import Document

_ROUTES = frozenset({"api_videos", "api_video", "api_next"})

# Errors of every operation: an invalid or too large request, a foreign host, too many long
# responses. There is no 405, as each takes GET.
_ERRORS = (400, 404, 412, 414, 421, 431, 503)

_ENTITY_TAG = {
    "ETag": {
        "description": "The strong entity tag of the response; it changes with the response",
        "required": True,
        "schema": {"type": "string", "pattern": '^"[0-9a-f]{32}"$'},
    }
}
_CONDITIONS = [
    {
        "name": name,
        "in": "header",
        "required": False,
        "description": f"Entity tags: {what} (RFC 9110)",
        "schema": {"type": "string"},
    }
    for name, what in (("If-None-Match", "304 if one matches"), ("If-Match", "412 if none matches"))
]


class OpenapiView:
    """`/openapi.json`, built at the first request."""

    def __init__(self, schema: QuartSchema) -> None:
        self._schema = schema
        self._document: Document | None = None

    async def show(self) -> Response:
        """Send the description."""
        if self._document is None:
            self._document = Document.from_text(dumps(self._schema.openapi_provider.schema()))
        return self._document.to_response()


class JSONRoutes(OpenAPIProvider):
    """Describes the routes whose names begin with `api_`."""

    def generate_rules(self) -> Iterable[Rule]:
        """Return the rules of the JSON interface."""
        return [rule for rule in super().generate_rules() if rule.endpoint in _ROUTES]

    def build_paths(self, rule: Rule) -> tuple[dict[str, Any], dict[str, Any]]:
        """Add the conditional headers, entity tags and errors that all operations share."""
        paths, components = super().build_paths(rule)
        components["Problem"] = ProblemDetails.model_json_schema(mode="serialization")
        for path in paths.values():
            for operation in path.values():
                operation["parameters"] = [*operation["parameters"], *_CONDITIONS]
                answers = operation["responses"]
                answers[200]["headers"] = _ENTITY_TAG
                answers[304] = {
                    "description": "The client has the current response",
                    "headers": _ENTITY_TAG,
                }
                answers |= {status: _error(status) for status in _ERRORS}
        return paths, components


def _error(status: int) -> dict[str, Any]:
    return {
        "description": HTTPStatus(status).phrase,
        "content": {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}},
            "text/html": {"schema": {"type": "string"}},  # if Accept prefers it
        },
    }
