"""Style sheet, script and icon: few and small, so they are kept in memory."""

import hashlib
import mimetypes
from dataclasses import dataclass
from importlib.resources import files

from quart import Response, request
from werkzeug.datastructures import Headers

from service.errors import NotFoundError, RefusedError
from service.protocol.conditions import Validators
from service.protocol.plan import Policy, Representation, plan
from service.protocol.ranges import Span
from service.views.media import decisive_headers


@dataclass(frozen=True, slots=True)
class _File:
    data: bytes
    representation: Representation


class StaticViews:
    """`/static/<name>`."""

    def __init__(self, started: int) -> None:
        """Read the files. `started`, in seconds since the epoch, is their Last-Modified."""
        self._files = {}
        for file in files("service").joinpath("static").iterdir():
            data = file.read_bytes()
            digest = hashlib.sha256(data).hexdigest()[:16]
            content_type = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
            if content_type.startswith("text/"):
                content_type += "; charset=utf-8"
            validators = Validators(digest, started, settled=True)
            self._files[file.name] = _File(
                data, Representation(len(data), content_type, validators)
            )

    def url(self, name: str) -> str:
        """Name a file by its content, so that browsers can keep it."""
        return f"/static/{name}?v={self._files[name].representation.validators.revision}"

    async def static(self, name: str) -> Response:
        """Send a file."""
        file = self._files.get(name)
        if file is None:
            raise NotFoundError("There is no such file.")
        policy = Policy(pin=request.args.get("v"))
        headers = decisive_headers(request.scope)
        decision = plan(request.method, headers, file.representation, policy)
        if decision.problem is not None:
            raise RefusedError(decision.status, decision.problem, decision.headers)
        body = b"".join(
            file.data[part.start : part.end] if isinstance(part, Span) else part
            for part in decision.parts
        )
        response = Response(body, decision.status)
        response.headers = Headers(list(decision.headers.items()))
        return response
