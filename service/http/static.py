"""Style sheet, script and icon: few and small, so they are kept in memory."""

import hashlib
import mimetypes
from dataclasses import dataclass
from importlib.resources import files

from quart import Response, request

from service.errors import NotFoundError
from service.http.responses import bytes_response
from service.protocol.conditions import Validators
from service.protocol.plan import Representation


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
            # Replicas of two releases may have started in one second.
            validators = Validators(digest, started, settled=True, dated=False)
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
        return bytes_response(file.data, file.representation, request.args.get("v"))

    async def favicon(self) -> Response:
        """Send the icon to those who ask for it without having read a page."""
        return await self.static("favicon.ico")
