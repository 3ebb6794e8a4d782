"""The commands `share` and `sign-out-everywhere`: they change the state that services read."""

import argparse
import json
import os
import posixpath
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from service.access.control import AccessControl, StateError, sign_out_everywhere
from service.access.grants import Scope
from service.access.links import (
    FOREVER,
    USUAL_DURATION,
    ShareLink,
    list_links,
    make_link,
    parse_duration,
    revoke,
    revoke_token,
)
from service.access.tokens import is_id
from service.composition.access import open_control
from service.composition.stores import open_media
from service.metrics import Metrics
from service.pages.player import format_timestamp, parse_timestamp
from service.protocol.media_types import media_type
from service.settings.environment import PREFIX, Settings, SettingsError, load
from service.storage.left_out import LibraryFilter
from service.storage.object_store.config import StoreError

EXIT_OK, EXIT_UNKNOWN, EXIT_USAGE = 0, 1, 2
"""Exit statuses: done, there is no such video, folder or link, invalid arguments or settings."""

_PROGRAM = "python -m service"
_BASE_HELP = (
    f"what the URL begins with, such as https://video.example.org (default: {PREFIX}HOSTNAME)"
)
_HTTPS_PORT = "443"


class _UnknownError(Exception):
    """There is no such video, folder or link."""


def share(arguments: Sequence[str]) -> int:
    """Make, list or take back share links. Return the exit status."""
    commands = {"list": _list, "revoke": _revoke}
    command = commands.get(arguments[0]) if arguments else None
    if command is None:
        return _with_errors(_make, arguments)
    return _with_errors(command, arguments[1:])


def run_sign_out_everywhere(arguments: Sequence[str]) -> int:
    """End all sessions. Return the exit status."""
    return _with_errors(_sign_out_everywhere, arguments)


def _with_errors(command: Callable[[Sequence[str]], None], arguments: Sequence[str]) -> int:
    """Run a command, and print its errors. Return the exit status."""
    try:
        command(arguments)
    except _UnknownError as error:
        print(error, file=sys.stderr)
        return EXIT_UNKNOWN
    except (SettingsError, StateError, StoreError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return EXIT_USAGE
    return EXIT_OK


def _sign_out_everywhere(arguments: Sequence[str]) -> None:
    argparse.ArgumentParser(
        prog=f"{_PROGRAM} sign-out-everywhere",
        description="End the sessions of everybody who has signed in: the key of sessions changes. "
        "Running services notice it within ten seconds. Share links stay.",
    ).parse_args(arguments)
    sign_out_everywhere(_open()[1].state)
    print("Everybody has to sign in again.")


def _make(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog=f"{_PROGRAM} share",
        usage="%(prog)s [-h] PATH [--for DURATION] [--at TIME] [--no-downloads] [--base URL]\n"
        "       %(prog)s list [-h] [--json] [--base URL]\n"
        "       %(prog)s revoke [-h] ID",
        description="Make a link that opens one video, or one folder with all below it, without "
        "signing in; or list the links, or take one back. Prints the link.",
    )
    parser.add_argument(
        "path",
        metavar="PATH",
        help="a video or a folder: relative to the library, or its path in the file system. "
        "A folder named list or revoke is ./list or ./revoke",
    )
    parser.add_argument(
        "--for",
        dest="expiry",
        metavar="DURATION",
        type=_expiry,
        default=USUAL_DURATION,
        help=f"how long the link works: 30m, 12h, 7d, 4w or {FOREVER}, until it is taken back "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--at",
        dest="second",
        metavar="TIME",
        type=_second,
        help="where the video begins, such as 1:10",
    )
    parser.add_argument(
        "--no-downloads",
        dest="downloads",
        action="store_false",
        help="without the button and the address that save the file",
    )
    parser.add_argument("--base", metavar="URL", type=_base, help=_BASE_HELP)
    options = parser.parse_args(arguments)
    settings, control = _open()
    scope = _find(settings, options.path)
    if options.second and scope.kind == "folder":
        parser.error(f"argument --at: {options.path} is a folder")
    link = make_link(
        control.state,
        scope,
        options.expiry,
        downloads=options.downloads,
        made_by="the command line",
    )
    moment = f"?t={format_timestamp(options.second)}" if options.second else ""
    print(f"{_origin(options.base)}{control.link_url(link)}{moment}")


def _list(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog=f"{_PROGRAM} share list",
        description="List the links, the latest first. Those that ended are listed for 30 days.",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a link")
    parser.add_argument("--base", metavar="URL", type=_base, help=_BASE_HELP)
    options = parser.parse_args(arguments)
    now = time.time()
    _, control = _open()
    links = list_links(control.state, now)
    if options.json:
        for link in links:
            url = f"{_origin(options.base)}{control.link_url(link)}"
            print(json.dumps(_to_json(link, url, now), ensure_ascii=False))
    elif links:
        rows: list[tuple[str, ...]] = [("ID", "WORKS UNTIL", "LAST USED", "DOWNLOADS", "PATH")]
        rows += [_row(link, now) for link in links]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
        for *cells, path in rows:
            padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
            print("  ".join([*padded, path]))
    else:
        print("There are no links.")


def _revoke(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog=f"{_PROGRAM} share revoke",
        description="Take a link back. It opens nothing after ten seconds at the latest.",
    )
    parser.add_argument("id", metavar="ID", help="as `share list` prints it")
    options = parser.parse_args(arguments)
    state = _open()[1].state
    link = revoke(state, options.id)
    if link is None:
        if is_id(options.id):  # its file may be damaged or lost, and its token still valid
            revoke_token(state, options.id, 0)
        raise _UnknownError(
            f"{options.id}: there is no record of such a link. If somebody has it, it opens "
            "nothing any more."
        )
    print(f"The link to {_path(link)} is taken back.")


def _open() -> tuple[Settings, AccessControl]:
    """Return the settings and the access control. Raises SettingsError, StateError."""
    settings = load(os.environ)
    control = open_control(settings)
    if control is None:
        raise SettingsError(
            "The library is open to everybody: there is nothing to share or to end. "
            f"{PREFIX}PASSWORD, {PREFIX}OIDC_ISSUER or {PREFIX}AUTH_HEADER changes that."
        )
    return settings, control


def _find(settings: Settings, text: str) -> Scope:
    """Return what a path names. Raises _UnknownError, OSError."""
    storage = open_media(settings, LibraryFilter(settings.ignore), Metrics())
    try:
        paths = {entry.path for entry in storage.list_entries() if media_type(entry.path)}
    finally:
        storage.close()
    for path in _candidates(settings.media, text):
        if path in paths:
            return Scope("video", path)
        if not path or any(video.startswith(f"{path}/") for video in paths):
            return Scope("folder", path)
    raise _UnknownError(f"{text}: there is no video or folder of videos of that name.")


def _candidates(media: Path | str, text: str) -> list[str]:
    """Return what a path may be in the library: "" is the library itself."""
    candidates = [] if posixpath.isabs(text) else [posixpath.normpath(text or ".")]
    if isinstance(media, Path):
        for root, path in (
            (media.absolute(), Path(os.path.normpath(Path(text).absolute()))),
            (media.resolve(), Path(text).resolve()),
        ):
            if path.is_relative_to(root):
                candidates.append(path.relative_to(root).as_posix())
    return ["" if path == "." else path for path in candidates]


def _expiry(text: str) -> int:
    try:
        return parse_duration(text, time.time())
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _second(text: str) -> float:
    second = parse_timestamp(text)
    if second is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 1:10 or 90")
    return second


def _base(text: str) -> str:
    if not text.startswith(("https://", "http://")):
        raise argparse.ArgumentTypeError(f"{text!r} does not begin with https:// or http://")
    return text.rstrip("/")


def _origin(base: str | None) -> str:
    """Return what URLs begin with; "" if neither `base` nor the environment says it."""
    host = os.environ.get(f"{PREFIX}HOSTNAME")
    if base is not None or not host:
        return base or ""
    port = os.environ.get(f"{PREFIX}HTTPS_PORT") or _HTTPS_PORT
    return f"https://{host}" if port == _HTTPS_PORT else f"https://{host}:{port}"


def _path(link: ShareLink) -> str:
    return link.scope.path or "the whole library"


def _row(link: ShareLink, now: float) -> tuple[str, ...]:
    if link.revoked_at is not None:
        until = f"taken back {_time(link.revoked_at)}"
    elif link.is_over(now):
        until = f"ended {_time(link.expiry)}"
    else:
        until = _time(link.expiry) if link.expiry else "no end"
    used = "never" if link.used is None else _time(link.used)
    path = _path(link) if link.scope.kind == "video" or not link.scope.path else f"{_path(link)}/"
    return link.id, until, used, "yes" if link.downloads else "no", path


def _time(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


def _to_json(link: ShareLink, url: str, now: float) -> dict[str, object]:
    """Return a link for programs. Times are in Unix seconds; null: none."""
    return {
        "id": link.id,
        "kind": link.scope.kind,
        "path": link.scope.path,
        "url": url,
        "made": link.created,
        "made_by": link.made_by,
        "expires": link.expiry or None,
        "downloads": link.downloads,
        "used": link.used,
        "revoked": link.revoked_at,
        "works": not link.is_over(now),
    }
