"""Style sheets, scripts and icons, kept in memory as they are few and small."""

import hashlib
import mimetypes
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import PurePath

import rcssmin
import rjsmin
from quart import Response

from service.errors import NotFoundError
from service.http.responses import bytes_response
from service.protocol.conditions import Validators
from service.protocol.plan import Representation

# Without comments and layout: two thirds of the bytes.
_MINIFIERS = {".css": rcssmin.cssmin, ".js": rjsmin.jsmin}
# Biome writes every import of a script in this form.
_IMPORT = re.compile(r'^(?:import|\}) [^;"]*from "\./([^"]+)";$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _File:
    data: bytes
    representation: Representation


class StaticViews:
    """`/static/<version>/<name>` and `/static/<name>`."""

    def __init__(self, started: int) -> None:
        """Read the files. `started`, in seconds since the epoch, is their Last-Modified."""
        self._files = {}
        imports: dict[str, list[str]] = {}
        for file in sorted(files("service").joinpath("static").iterdir(), key=lambda f: f.name):
            data = file.read_bytes()
            if file.name.endswith(".js"):
                imports[file.name] = _IMPORT.findall(data.decode())
            if minify := _MINIFIERS.get(PurePath(file.name).suffix):
                data = minify(data.decode()).encode()
            digest = hashlib.sha256(data).hexdigest()[:16]
            content_type = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
            if content_type.startswith("text/"):
                content_type += "; charset=utf-8"
            # Replicas of two releases may have started in one second.
            validators = Validators(digest, started, is_stable=True, date_is_validator=False)
            self._files[file.name] = _File(
                data, Representation(len(data), content_type, validators)
            )
        digests = [(name, _digest(file)) for name, file in self._files.items()]
        self._version = hashlib.sha256(repr(digests).encode()).hexdigest()[:16]
        self._modules = {name: _imported_by(name, imports) for name in imports}

    def url(self, name: str) -> str:
        """Return the URL of a file, which names the version of all files.

        A module imports others by relative URLs, so that they have the same version.
        """
        return f"/static/{self._version}/{name}"

    def modules(self, script: str) -> list[str]:
        """Return the URLs of the modules to preload with a script."""
        return [self.url(name) for name in self._modules[script]]

    async def static(self, name: str, version: str = "") -> Response:
        """Send a file.

        A page and its files may come from replicas of two releases. A file of another version is
        sent as it is here, to be cached only with revalidation.
        """
        file = self._files.get(name)
        if file is None:
            raise NotFoundError("There is no such file.")
        pin = _digest(file) if version == self._version else None
        return bytes_response(file.data, file.representation, pin)

    async def favicon(self) -> Response:
        """Send the icon at its well-known path, which browsers request without reading a page."""
        return await self.static("favicon.ico")


def _imported_by(script: str, imports: Mapping[str, list[str]]) -> list[str]:
    """Return the names of the modules that a script imports, directly or through others."""
    found = [script]
    for name in found:
        found += [module for module in imports[name] if module not in found]
    return found[1:]


def _digest(file: _File) -> str:
    return file.representation.validators.revision
