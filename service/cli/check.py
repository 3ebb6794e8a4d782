"""The command `check`: probes a film's URL as a demanding player would, through all proxies."""

import argparse
import re
import secrets
import sys
from collections.abc import Sequence
from urllib.parse import urlsplit

from tqdm import tqdm

from service.check.results import CannotCheckError, FailedError, Result, State
from service.check.run import CHECKS, connect, run
from service.check.session import Options, Session
from service.check.ways.http1 import Budget
from service.cli import check_report as report

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130
"""Exit statuses: nothing has failed, something has, there is no film to check, Ctrl-C."""

# RFC 9110 §5.1, §5.5
_FIELD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e]*", re.ASCII)

# What a check of a film of any length may take by default; usually it is half of that.
_MAX_MEBIBYTES, _MAX_SECONDS = 16, 120


def check(arguments: Sequence[str]) -> int:
    """Check a URL and print what was found. Return the exit status."""
    options = _parse(arguments)
    budget = Budget(options.max_mib * 1024 * 1024, options.max_seconds)
    wanted = Options(
        url=options.url,
        origin=options.origin,
        against=options.against,
        http_port=options.http_port,
        is_insecure=options.insecure,
        seed=options.seed,
    )
    # What servers send must not end the check.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    results: list[Result] = []
    session = None
    try:
        session = connect(wanted, tuple(options.headers), budget)
        _check_all(session, results, as_json=options.json)
    except FailedError as error:
        results.append(Result(CHECKS[0][0], State.FAILED, str(error), error.problem))
        if not options.json:
            print(report.line(results[0]))
    except CannotCheckError as error:
        print(report.printable(str(error)), file=sys.stderr)
        return EXIT_USAGE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    if options.json:
        print(report.as_json(wanted, results, session, budget))
    else:
        print(*report.conclusions(results, session, budget), sep="\n")
    return EXIT_FAILED if any(one.state == State.FAILED for one in results) else EXIT_OK


def _check_all(session: Session, results: list[Result], *, as_json: bool) -> None:
    """Make all checks, and print the table unless JSON was asked for."""
    if not as_json:
        print(report.title(session))
    hidden = not sys.stderr.isatty()
    with tqdm(total=len(CHECKS), unit="check", disable=hidden, leave=False) as bar:
        for result in run(session):
            results.append(result)
            bar.update()
            if not as_json:
                tqdm.write(report.line(result), file=sys.stdout)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m service check",
        description="Ask for a film as a demanding player would, through all proxies and CDNs in "
        "front: ranges, validators, caching, compression, bytes, speed, certificate. Any server's "
        "file can be checked. Exits with 0 if nothing has failed, 1 if something has, 2 if there "
        "is no film to check.",
    )
    parser.add_argument("url", metavar="URL", type=_url, help="the address of a film")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--origin", metavar="ORIGIN", help="a site whose pages play the film: check CORS for it"
    )
    parser.add_argument(
        "--against",
        metavar="URL",
        type=_url,
        help="the same film on another way, such as the service's own address: compare the bytes",
    )
    parser.add_argument(
        "--header",
        dest="headers",
        metavar="'NAME: VALUE'",
        type=_header,
        action="append",
        default=[],
        help="send this header field with each request, such as a Cookie",
    )
    parser.add_argument(
        "--insecure", action="store_true", help="accept certificates that are not trusted"
    )
    parser.add_argument(
        "--http-port",
        type=int,
        metavar="PORT",
        help="where http leads to https (default: 80, if https is at 443)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=secrets.randbelow(10**6),
        help="choose the same random spans again: the checksum is the same for the same film",
    )
    parser.add_argument(
        "--max-mib",
        type=int,
        default=_MAX_MEBIBYTES,
        metavar="MIB",
        help="read so much at most (default: %(default)s)",
    )
    parser.add_argument(
        "--max-seconds",
        type=float,
        default=_MAX_SECONDS,
        metavar="SECONDS",
        help="take so long at most (default: %(default)s)",
    )
    return parser.parse_args(arguments)


def _url(text: str) -> str:
    parts = urlsplit(text)
    try:
        if parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0:
            # The fragment is for browsers; other characters have to be escaped in a request.
            if text.isascii() and text.isprintable() and " " not in text:
                return text.partition("#")[0]
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is no URL such as https://host/media/film.mp4")


def _header(text: str) -> tuple[str, str]:
    name, _, value = text.partition(":")
    if not _FIELD.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no header field such as 'Cookie: a=b'")
    return name, value.strip()
