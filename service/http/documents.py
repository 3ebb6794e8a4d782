"""Texts that are made as they are asked for: each has a revision, and who polls is told of changes
alone."""

import hashlib
from dataclasses import dataclass
from typing import Self

from quart import Response, request

from service.errors import HTTPError
from service.http.media import conditional_headers
from service.protocol.conditions import Validators, Verdict, evaluate

CONTENT_TYPE = "application/json"

# There is no date of the last change: conditions that name one are ignored (RFC 9110 §13.1.3).
_ETAG_HEADERS = ("if-match", "if-none-match")


@dataclass(frozen=True, slots=True)
class Document:
    """A text, by default a model's JSON, and the strong entity tag of its bytes: the same on every
    replica.
    """

    body: bytes
    validators: Validators
    content_type: str = CONTENT_TYPE

    @classmethod
    def from_text(cls, text: str, content_type: str = CONTENT_TYPE) -> Self:
        """Make it of what a model was rendered to: it was checked when it was made."""
        body = text.encode()
        revision = hashlib.sha256(body).hexdigest()[:32]
        return cls(body, Validators(revision, last_modified=0, settled=False), content_type)

    def to_response(self) -> Response:
        """Answer the request: 200, or 304 where the client has it. Raises HTTPError for 412."""
        found = conditional_headers(request.scope)
        headers = {name: found[name] for name in _ETAG_HEADERS if name in found}
        verdict = evaluate(headers, self.validators)
        if verdict is Verdict.FAILED:
            reason = "The answer is not, or no longer, the one that the request expects."
            raise HTTPError(412, reason, {"Cache-Control": "no-store"})
        if verdict is Verdict.NOT_MODIFIED:
            response = Response(b"", 304, content_type=self.content_type)
            del response.headers["Content-Length"]  # RFC 9110 §8.6: it would be that of a 200
        else:
            response = Response(self.body, content_type=self.content_type)
        response.headers["ETag"] = self.validators.entity_tag
        return response
