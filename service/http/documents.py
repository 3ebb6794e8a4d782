"""Texts made for each request, with a strong entity tag, so that a client that polls gets 304."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from quart import Response, request

from service.errors import HTTPError
from service.http.media import conditional_headers
from service.protocol.conditions import PreconditionResult, Validators, evaluate

CONTENT_TYPE = "application/json"

# There is no Last-Modified: conditions with a date are ignored (RFC 9110 §13.1.3).
_ETAG_HEADERS = ("if-match", "if-none-match")


@dataclass(frozen=True, slots=True)
class Document:
    """A text, by default JSON, and the strong entity tag of its bytes, equal on every replica."""

    body: bytes
    validators: Validators
    content_type: str = CONTENT_TYPE

    @classmethod
    def from_text(cls, text: str, content_type: str = CONTENT_TYPE) -> Self:
        """Return the document of a text."""
        body = text.encode()
        revision = hashlib.sha256(body).hexdigest()[:32]
        return cls(body, Validators(revision, last_modified=0, is_stable=False), content_type)

    def is_known_to(self, scope: Mapping[str, Any]) -> bool:
        """Return whether a request's client has the text (RFC 9110 §13.2.2).

        Raises HTTPError with 412.
        """
        given = conditional_headers(scope)
        headers = {name: given[name] for name in _ETAG_HEADERS if name in given}
        result = evaluate(headers, self.validators)
        if result is PreconditionResult.FAILED:
            reason = "The answer is not, or no longer, the one that the request expects."
            raise HTTPError(412, reason, {"Cache-Control": "no-store"})
        return result is PreconditionResult.NOT_MODIFIED

    def to_response(self) -> Response:
        """Return 200, or 304 if the client has the text. Raises HTTPError with 412."""
        if self.is_known_to(request.scope):
            response = Response(b"", 304, content_type=self.content_type)
            del response.headers["Content-Length"]  # RFC 9110 §8.6: would be that of the 200
        else:
            response = Response(self.body, content_type=self.content_type)
        response.headers["ETag"] = self.validators.entity_tag
        return response
