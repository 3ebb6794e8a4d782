"""The entry point: start the server, and stop it on a signal."""

import argparse
import asyncio
import ctypes
import gc
import os
import resource
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

import structlog
from hypercorn.asyncio import serve
from hypercorn.config import Config
from quart import Quart

from service import __version__, logs
from service.access.control import StateError
from service.cli.output import output_failed, run_command
from service.composition.access import open_control
from service.composition.app import Services, create_app
from service.event_loop import LowBufferLoop
from service.http.http1 import install_protocol
from service.settings.environment import PREFIX, Settings, SettingsError, load
from service.settings.listen import listen_source
from service.storage.base import MAX_CHUNK
from service.storage.object_store.config import StoreError, verify_access
from service.tracing.provider import check_tracing

_log = structlog.get_logger()

# A Range header of more than 8 KiB gets a response instead of a closed connection. The edge passes
# no larger heads (large_client_header_buffers in nginx/snippets/client-limits.conf).
_MAX_HEADER_BYTES = 64 * 1024

# Connections waiting to be accepted. The kernel's limit (net.core.somaxconn) is 4,096.
_BACKLOG = 4096

# Bytes. Only the loopback has larger segments (64 KiB): the window of a slow reader never opens by
# a whole one there, so that it would look stalled.
_MAX_MSS = 8960

# Unsent bytes that the kernel buffers for a connection: enough to keep a fast client busy. Without
# it the kernel took 2 MiB for a stalled client. Bytes in flight are not counted, so that links with
# a high latency stay fast.
_NOTSENT_LOWAT = 128 * 1024

# Seconds for which an idle connection is kept, and for which a request's head may take to arrive.
# Hypercorn 0.18 frees a connection that its client has closed only then, so it is short.
# uvicorn's default is the same; the edge's limit is one second less.
_KEEP_ALIVE_TIMEOUT = 5

# Bytes of freed memory that are kept at the end of the heap.
_MAX_FREE_BYTES = 16 * 1024**2
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # malloc.h

# Without it, each of the threads that read would keep freed memory of its own.
_MAX_ARENAS = 2

# Seconds for which a computing thread may hold the interpreter's lock. With CPython's default, ten
# times this, the event loop would wait that long several times for each request.
_SWITCH_INTERVAL = 0.0005

# What runs instead of the service. It is imported only then: the start costs nothing by it.
_COMMANDS = {
    "check": ("service.cli.check", "check"),
    "doctor": ("service.cli.doctor", "doctor"),
    "share": ("service.cli.share", "share"),
    "sign-out-everywhere": ("service.cli.share", "run_sign_out_everywhere"),
}

_STDOUT, _STDERR = 1, 2


def main() -> int:
    """Run the service until a signal ends it. Return the exit status if it could not start."""
    _open_closed_streams()
    if (place := _COMMANDS.get("".join(sys.argv[1:2]))) is not None:
        module, name = place
        return run_command(getattr(import_module(module), name), sys.argv[2:])
    if status := run_command(_parse_arguments, sys.argv[1:]):
        return status
    try:
        settings = load(os.environ)
        for where in (settings.media, settings.derived):
            if isinstance(where, str):
                verify_access(where, os.environ, timeout=settings.store_timeout)
        open_control(settings)
        check_tracing(os.environ)
        listener = listen(settings)
    except (SettingsError, StateError, StoreError) as error:
        print(error, file=sys.stderr)
        return 2
    logs.configure(settings.log_level)
    _raise_nofile_limit()
    _tune_malloc()
    shown = _address(*listener.getsockname()[:2])
    try:
        print(f"Reelay {__version__} serves {settings.media} on http://{shown}/", flush=True)
    except OSError as error:
        return output_failed(error)
    with asyncio.Runner(loop_factory=LowBufferLoop) as runner:
        app = create_app(settings)
        gc.collect()
        sys.setswitchinterval(_SWITCH_INTERVAL)
        gc.freeze()  # a collection of the permanent objects blocked the loop for up to 85 ms
        runner.run(run(app, settings, listener))
        with suppress(OSError):
            sys.stdout.flush()
        os._exit(0)  # threads that wait for a disk must not delay the exit


def _open_closed_streams() -> None:
    """Open the null device for standard streams that are closed, as by `>&-` in a shell.

    Otherwise files that are opened later would get their descriptors, and worker processes would
    not start.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        os.set_inheritable(descriptor, True)  # noqa: FBT003 # it has no names
    os.close(descriptor)
    sys.stdout = sys.stdout or os.fdopen(_STDOUT, "w")
    sys.stderr = sys.stderr or os.fdopen(_STDERR, "w")


def _parse_arguments(arguments: Sequence[str]) -> int:
    """Exit if arguments ask for help, or are wrong. Otherwise return 0."""
    lines = [
        f"  {PREFIX}{name.upper():18} {field.description}"
        for name, field in Settings.model_fields.items()
    ]
    parser = argparse.ArgumentParser(
        prog="python -m service",
        usage="%(prog)s [-h] [--version]\n"
        "       %(prog)s check [-h] URL\n"
        "       %(prog)s doctor [-h] [--json] [PATH]\n"
        "       %(prog)s share [-h] PATH | list | revoke ID\n"
        "       %(prog)s sign-out-everywhere [-h]",
        description="Put a folder of videos on the web; or, as a doctor, examine videos; or share "
        "some of them by links; or check how a film arrives through all proxies in front.",
        epilog="Settings, each an environment variable, or NAME_FILE naming a file that holds it:\n"
        + "\n".join(lines),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"Reelay {__version__}")
    parser.parse_args(arguments)
    return 0


def listen(settings: Settings) -> socket.socket:
    """Open the listening socket. Raises SettingsError if it fails.

    Connections inherit its options. With TCP_USER_TIMEOUT (RFC 5482, tcp(7)) the kernel closes a
    connection whose peer has acknowledged nothing for the stall timeout. A slow one that reads a
    little now and then stays open, which a timer in this process could not distinguish.
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
    """Raise the limit on open files and connections, often 1,024, to the hard limit."""
    _, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard_limit, hard_limit))


def _tune_malloc() -> None:
    """Have glibc keep freed chunks for the next ones instead of returning them to the system.

    Page faults took longer than reading the bytes: ranges of 1 MiB are 1.25 times as fast with it.
    See mallopt(3). Other C libraries are left as they are.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, 4 * MAX_CHUNK)
        libc.mallopt(_M_TRIM_THRESHOLD, _MAX_FREE_BYTES)
        libc.mallopt(_M_ARENA_MAX, _MAX_ARENAS)


def _address(host: str, port: int) -> str:
    """Return an address as in a URL, with `localhost` for addresses of all interfaces."""
    if host in ("0.0.0.0", "::", "127.0.0.1"):  # noqa: S104
        host = "localhost"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def run(app: Quart, settings: Settings, listener: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT, then drain.

    On SIGTERM `/readyz` fails at once; after the drain delay no connections are accepted; requests
    in progress may end within the drain timeout, counted from the signal. SIGINT, from a terminal,
    does the same without the delay. A second signal ends the process at once.
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
        await serving  # raises the error that stopped it
        return
    services: Services = app.extensions["reelay"]
    services.ops.draining = True
    received = signalled.result()
    _log.info("stopping", signal=received.name, seconds_at_most=settings.drain_timeout)
    delay = settings.drain_delay if received == signal.SIGTERM else 0.0
    delay = min(delay, settings.drain_timeout)
    await asyncio.sleep(delay)
    stopping.set()
    # Hypercorn stops accepting, but the socket listens as long as a descriptor of it is open.
    with suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)
    # Hypercorn does not limit the drain: it waits until every connection is closed, or until one
    # fails. Wait here until no request is in progress.
    try:
        async with asyncio.timeout(settings.drain_timeout - delay):
            await asyncio.wait({serving})
            await services.instrumentation.idle.wait()
    except TimeoutError:
        _log.warning("cut what had not ended", seconds=settings.drain_timeout)
    serving.cancel()
    await app.shutdown()
    _log.info("stopped")


def _on_loop_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Drop errors of connections that the kernel or the drain closed: their requests are logged."""
    if not isinstance(context.get("exception"), (OSError, asyncio.CancelledError)):
        loop.default_exception_handler(context)


def _server_config(settings: Settings, listener: socket.socket) -> Config:
    config = Config()
    config.bind = [f"fd://{os.dup(listener.fileno())}"]
    config.backlog = _BACKLOG
    config.keep_alive_timeout = _KEEP_ALIVE_TIMEOUT
    config.h11_max_incomplete_size = _MAX_HEADER_BYTES
    config.graceful_timeout = settings.drain_timeout  # `run` enforces the limit
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
