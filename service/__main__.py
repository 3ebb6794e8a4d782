"""From the environment to a running server, and from a signal to its end."""

import argparse
import asyncio
import ctypes
import gc
import os
import resource
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog
from hypercorn.asyncio import serve
from hypercorn.config import Config
from quart import Quart

from service import __version__, logs
from service.app import Services, create_app
from service.cli import doctor
from service.event_loop import LowBufferLoop
from service.http.http1 import install_protocol
from service.settings import PREFIX, Settings, SettingsError, listen_source, load
from service.storage.object_store.config import StoreError, check_store
from service.storage.send_pacing import MAX_CHUNK

_log = structlog.get_logger()

# A Range header of more than 8 KiB is to be answered, not refused with its connection; nginx's
# large_client_header_buffers (nginx/nginx.conf) let no more through.
_MAX_HEADER_BYTES = 64 * 1024

# Connections that wait to be accepted. The kernel's own bound (net.core.somaxconn) is 4,096.
_BACKLOG = 4096

# Bytes; no network's segments are larger, but those of the loopback are (64 KiB): there the window
# of a slow reader never opens by a whole one, so that it would look stalled.
_MAX_MSS = 8960

# Bytes that the kernel takes ahead of what it may send: a fast client is kept busy meanwhile, and a
# stalled one costs no more; without this the kernel took 2 MiB for it. What is on its way is not
# counted, so that long links are as fast as ever.
_NOTSENT_LOWAT = 128 * 1024

# Seconds for which an idle connection is kept, and the most that a request's headers may take.
# Hypercorn 0.18 lets go of a connection that its client has closed only then, so not for long.
# uvicorn's default is the same; the edge's own limit is a second less.
_KEEP_ALIVE_TIMEOUT = 5

# Bytes of freed memory that are kept, at the heap's end.
_MAX_FREE_BYTES = 16 * 1024**2
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h

# Seconds for which a thread that computes may keep the others waiting; CPython's default is ten
# times that, which the loop waits anew for each of the few steps of a request.
_SWITCH_INTERVAL = 0.0005


def main() -> int:
    """Run the service until a signal ends it. Gives the exit status where it could not start."""
    if sys.argv[1:2] == ["doctor"]:
        doctor_arguments = _parse_doctor_arguments(sys.argv[2:])
        return _run_doctor(doctor_arguments.path, as_json=doctor_arguments.json)
    _parse_arguments()
    try:
        settings = load(os.environ)
        for where in (settings.media, settings.derived):
            if isinstance(where, str):
                check_store(where, os.environ, timeout=settings.store_timeout)
        listener = listen(settings)
    except (SettingsError, StoreError) as error:
        print(error, file=sys.stderr)
        return 2
    logs.configure(settings.log_level)
    _raise_nofile_limit()
    _tune_malloc()
    shown = _address(*listener.getsockname()[:2])
    print(f"Reelay {__version__} serves {settings.media} on http://{shown}/", flush=True)
    with asyncio.Runner(loop_factory=LowBufferLoop) as runner:
        app = create_app(settings)
        gc.collect()
        sys.setswitchinterval(_SWITCH_INTERVAL)
        gc.freeze()  # not to go through what stays: at times that held everyone up for 85 ms
        runner.run(run(app, settings, listener))
        sys.stdout.flush()
        os._exit(0)  # threads that wait for a disk must not hold up the end


def _run_doctor(path: Path | None, *, as_json: bool) -> int:
    """Examine files instead of serving them: those at `path`, else the library."""
    environment = dict(os.environ)
    if path is not None:  # then it does not matter whether there is a library
        environment.pop(f"{PREFIX}MEDIA_FILE", None)
        environment[f"{PREFIX}MEDIA"] = os.curdir
    try:
        settings = load(environment)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return doctor.EXIT_USAGE
    return doctor.run(path or settings.media, settings.max_partial_size, as_json=as_json)


def _parse_arguments() -> None:
    lines = [
        f"  {PREFIX}{name.upper():18} {field.description}"
        for name, field in Settings.model_fields.items()
    ]
    parser = argparse.ArgumentParser(
        prog="python -m service",
        usage="%(prog)s [-h] [--version] | %(prog)s doctor [-h] [--json] [PATH]",
        description="Put a folder of videos on the web; or, as a doctor, examine videos.",
        epilog="Settings, each an environment variable, or NAME_FILE naming a file that holds it:\n"
        + "\n".join(lines),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"Reelay {__version__}")
    parser.parse_args()


def _parse_doctor_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m service doctor",
        description="Examine videos as the service does: will browsers play them, and well? "
        "Exits with 0 if nothing is unplayable, 1 if something is, 2 if there is nothing to "
        "examine.",
    )
    parser.add_argument(
        "path", nargs="?", type=Path, help="a file or a folder; without it, the library"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a file")
    return parser.parse_args(arguments)


def listen(settings: Settings) -> socket.socket:
    """Open the listening socket. Raises SettingsError where that cannot be.

    Connections inherit its options. TCP_USER_TIMEOUT (RFC 5482, tcp(7)) lets the kernel end one
    whose peer has taken nothing for the stall timeout, however much is buffered on the way, and
    leaves alone one that takes a little now and then: no timer of ours could tell the two apart.
    """
    host, port = settings.listen
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        milliseconds = int(settings.stall_timeout * 1000)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _MAX_MSS)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _NOTSENT_LOWAT)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise SettingsError(f"{listen_source(os.environ)}: {error.strerror or error}") from error
    return listener


def _raise_nofile_limit() -> None:
    """Raise the bound on open files and connections, often 1,024, as far as this user may."""
    _, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard_limit, hard_limit))


def _tune_malloc() -> None:
    """Have glibc keep freed pieces for the next ones, instead of giving each back to the system.

    To get a piece's pages anew took longer than to read it: spans of 1 MiB are 1.25 times as fast.
    mallopt(3); other C libraries do as they do.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, 4 * MAX_CHUNK)
        libc.mallopt(_M_TRIM_THRESHOLD, _MAX_FREE_BYTES)


def _address(host: str, port: int) -> str:
    """Write an address as it stands in a URL; one that means every interface is this machine."""
    if host in ("0.0.0.0", "::", "127.0.0.1"):  # noqa: S104
        host = "localhost"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def run(app: Quart, settings: Settings, listener: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT, then drain.

    SIGTERM: not ready at once; after the drain delay nothing new is accepted; what is under way may
    end within the drain timeout, which counts from the signal. SIGINT, someone at a terminal: the
    same without the delay. A second signal: at once.
    """
    asyncio.get_running_loop().set_exception_handler(_on_loop_error)
    stopping = asyncio.Event()
    install_protocol()
    config = _server_config(settings, listener)
    serving = asyncio.create_task(serve(app, config, shutdown_trigger=stopping.wait))
    signalled = _first_signal()
    either: set[asyncio.Future[Any]] = {serving, signalled}
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        await serving  # it could not start: this raises why
        return
    services: Services = app.extensions["reelay"]
    services.ops.draining = True
    received = signalled.result()
    _log.info("stopping", signal=received.name, seconds_at_most=settings.drain_timeout)
    delay = settings.drain_delay if received == signal.SIGTERM else 0.0
    delay = min(delay, settings.drain_timeout)
    await asyncio.sleep(delay)
    stopping.set()
    # Hypercorn's loop stops accepting, but the socket goes on listening while a descriptor is open.
    with suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)
    # Nor does Hypercorn bound the end itself: it waits for every connection to be closed, and for
    # none any more once one has failed. What counts is that no request is in progress.
    try:
        async with asyncio.timeout(settings.drain_timeout - delay):
            await asyncio.wait({serving})
            await services.instrumentation.idle.wait()
    except TimeoutError:
        _log.warning("cut what had not ended", seconds=settings.drain_timeout)
    if not serving.done():
        serving.cancel()
        await app.shutdown()
    _log.info("stopped")


def _on_loop_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Leave out what Hypercorn says of a connection that the kernel cut, or that was cut at the
    end: the request is logged.
    """
    if not isinstance(context.get("exception"), (OSError, asyncio.CancelledError)):
        loop.default_exception_handler(context)


def _server_config(settings: Settings, listener: socket.socket) -> Config:
    config = Config()
    config.bind = [f"fd://{os.dup(listener.fileno())}"]
    config.backlog = _BACKLOG
    config.keep_alive_timeout = _KEEP_ALIVE_TIMEOUT
    config.h11_max_incomplete_size = _MAX_HEADER_BYTES
    config.graceful_timeout = settings.drain_timeout  # at the most: `run` sees to the bound
    config.include_server_header = False
    config.errorlog = None
    return config


def _first_signal() -> asyncio.Future[signal.Signals]:
    loop = asyncio.get_running_loop()
    first: asyncio.Future[signal.Signals] = loop.create_future()

    def on_signal(number: signal.Signals) -> None:
        if first.done():
            _log.warning("stopped at once by a second signal")
            os._exit(128 + number)
        first.set_result(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    return first


if __name__ == "__main__":
    sys.exit(main())
