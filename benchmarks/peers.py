"""The servers that `service.py` compares the service with, each as in its documentation.

    .venv/bin/python benchmarks/peers.py NAME PORT FOLDER

They serve FOLDER/film.mp4 under /media/film.mp4 until a signal ends them.
"""

import asyncio
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

PATCH = Path(__file__).resolve().parent.parent / "docs" / "hypercorn-zero-copy.patch"

CONSTANT = {"path": "film.mp4", "title": "film", "size": 1 << 30, "state": "probed"}
PAGE = "<!doctype html><title>film</title><video src=/media/film.mp4 controls></video>"


def hypercorn(app: Any, port: int) -> None:
    """Serve with Hypercorn, on uvloop as the service does."""
    import uvloop  # noqa: PLC0415 # each peer needs its own
    from hypercorn.asyncio import serve  # noqa: PLC0415
    from hypercorn.config import Config  # noqa: PLC0415

    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.errorlog = None
    uvloop.run(serve(app, config))


def tutorial(port: int, folder: Path) -> None:
    """Run Quart's video tutorial: a page, and `send_file` with `conditional`."""
    from quart import Quart, Response, send_file  # noqa: PLC0415

    app = Quart(__name__)
    app.config["RESPONSE_TIMEOUT"] = None

    @app.get("/")
    async def index() -> str:
        return PAGE

    @app.get("/media/film.mp4")
    async def media() -> Response:
        return await send_file(folder / "film.mp4", conditional=True)

    @app.get("/constant")
    async def constant() -> dict[str, Any]:
        return CONSTANT

    hypercorn(app, port)


def minimal(send_span: Any) -> Any:
    """Return an ASGI application that answers each request with the span that it names."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        span = dict(scope["headers"]).get(b"range", b"bytes=0-4194303").decode()
        first, last = map(int, span.removeprefix("bytes=").split("-"))
        head = [(b"content-length", str(last - first + 1).encode())]
        await send({"type": "http.response.start", "status": 206, "headers": head})
        await send_span(send, first, last - first + 1)

    return app


def bare(port: int, _: Path) -> None:
    """Send zeros of the requested length: the cost of Hypercorn without a framework."""
    data = memoryview(bytes(4 << 20))

    async def send_span(send: Any, _first: int, left: int) -> None:
        while left:
            chunk = data[: min(left, 256 * 1024)]
            left -= len(chunk)
            await send({"type": "http.response.body", "body": chunk, "more_body": left > 0})

    hypercorn(minimal(send_span), port)


def zerocopy(port: int, folder: Path) -> None:
    """Send the film by sendfile(2): Hypercorn with PATCH, without a framework."""
    with tempfile.TemporaryDirectory() as copy:
        installed = Path(sysconfig.get_path("purelib")) / "hypercorn"
        shutil.copytree(installed, Path(copy) / "src" / "hypercorn")
        subprocess.run(["patch", "-s", "-p1", "-d", copy, "-i", PATCH], check=True)
        sys.path.insert(0, f"{copy}/src")
        film = os.open(folder / "film.mp4", os.O_RDONLY)

        async def send_span(send: Any, first: int, count: int) -> None:
            await send(
                {
                    "type": "http.response.zerocopysend",
                    "file": film,
                    "offset": first,
                    "count": count,
                }
            )

        hypercorn(minimal(send_span), port)


def starlette(port: int, folder: Path) -> None:
    """Run Starlette's FileResponse under uvicorn with uvloop and httptools."""
    import uvicorn  # noqa: PLC0415
    from starlette.applications import Starlette  # noqa: PLC0415
    from starlette.requests import Request  # noqa: PLC0415
    from starlette.responses import FileResponse  # noqa: PLC0415
    from starlette.routing import Route  # noqa: PLC0415

    async def media(_: Request) -> FileResponse:
        return FileResponse(folder / "film.mp4")

    app = Starlette(routes=[Route("/media/film.mp4", media)])
    uvicorn.run(
        app, port=port, loop="uvloop", http="httptools", access_log=False, log_level="error"
    )


def aiohttp(port: int, folder: Path) -> None:
    """Run aiohttp's FileResponse, which uses sendfile."""
    from aiohttp import web  # noqa: PLC0415

    async def media(_: web.Request) -> web.FileResponse:
        return web.FileResponse(folder / "film.mp4")

    app = web.Application()
    app.router.add_get("/media/film.mp4", media)
    loop = asyncio.new_event_loop()
    web.run_app(app, host="127.0.0.1", port=port, access_log=None, print=None, loop=loop)


if __name__ == "__main__":
    name, port, folder = sys.argv[1:]
    {f.__name__: f for f in (tutorial, bare, zerocopy, starlette, aiohttp)}[name](
        int(port), Path(folder)
    )
