"""What a check knows of a film, and how a partial response is judged."""

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from service.check.results import CannotCheckError, FailedError, NotTriedError, Problem
from service.check.ways.http1 import Answer, Http1, NoAnswerError, Server, Way, target_of
from service.protocol.revisions import REVISION

SAMPLE = 64 * 1024
"""Bytes that are read of the beginning of a response, at most."""

SPAN = 32 * 1024
"""Bytes of a random span."""

_SPANS = 4
_MIN_SIZE = 1000  # as the table of cases requires
_REVISION = re.compile(f'"({REVISION})"', re.ASCII)
_ROUTE = re.compile(r"/(?:media|download)/")
_STRONG_TAG = re.compile(r'"[\x21\x23-\x7e\x80-\xff]*"')


@dataclass(frozen=True, slots=True)
class Options:
    """What the operator has asked for."""

    url: str
    origin: str | None = None
    against: str | None = None
    http_port: int | None = None
    is_insecure: bool = False
    seed: int = 0


@dataclass(slots=True)
class Session:
    """A film, and the way by which it is asked for."""

    options: Options
    server: Server
    way: Way
    target: str
    whole: Answer
    """The response to the request without a range."""
    size: int
    tag: str | None
    modified: str | None
    spans: tuple[tuple[int, int], ...]
    """Random spans: their first bytes and lengths."""
    pinned: str | None = None
    """The target that names the revision, if the server is Reelay."""
    unpinned: str | None = None
    ranges_work: bool = True
    known: dict[tuple[int, int], bytes] = field(default_factory=dict)
    """The bytes of the spans, as the first way has sent them."""

    @property
    def has_strong_tag(self) -> bool:
        return _STRONG_TAG.fullmatch(self.tag or "") is not None

    @property
    def strong_tag(self) -> str:
        """The strong entity tag. Raises NotTriedError."""
        if self.tag is None or not self.has_strong_tag:
            raise NotTriedError("There is no strong entity tag.")
        return self.tag

    def ask(
        self,
        headers: Mapping[str, str] | None = None,
        method: str = "GET",
        limit: int = 0,
        target: str | None = None,
    ) -> Answer:
        """Send a request on the usual way. Raises FailedError if there is no response."""
        return ask(self.way, target or self.target, headers or {}, method, limit)

    def partial(self, value: str, first: int, last: int, target: str | None = None) -> Answer:
        """Request a range, and judge the response. Raises FailedError."""
        where = target or self.target
        answer = self.ask({"Range": value}, limit=SAMPLE, target=where)
        self.judge(answer, value, first, last, where)
        return answer

    def judge(self, answer: Answer, value: str, first: int, last: int, target: str) -> None:
        """Judge the response to a range that means these bytes, inclusive. Raises FailedError.

        RFC 9110 §15.3.7 allows fewer bytes than were requested, not others.
        """
        what = f"Range: {value}"
        if answer.status != HTTPStatus.PARTIAL_CONTENT:
            raise _not_partial(answer, what, self.size)
        found = answer.content_range
        if found is None or (found.first, found.total) != (first, self.size) or found.last > last:
            raise self._wrong_range(answer, what, target)
        if answer.get("content-encoding") not in {None, "identity"}:
            raise FailedError(
                Problem.COMPRESSED,
                f"The 206 has Content-Encoding: {answer.get('content-encoding')}.",
            )
        if answer.length is None:
            raise FailedError(Problem.LENGTH_MISSING, f"The 206 to {what} has no Content-Length.")
        if answer.is_cut or answer.length < found.length:
            raise FailedError(
                Problem.TRUNCATED,
                f"The 206 to {what} has {min(answer.length, len(answer.body))} bytes, and its "
                f"Content-Range says {found.length}.",
            )
        if answer.length > found.length:
            raise FailedError(
                Problem.CONTENT_RANGE_WRONG,
                f"The 206 to {what} has {answer.length} bytes, and its Content-Range says "
                f"{found.length}.",
            )

    def _wrong_range(self, answer: Answer, what: str, target: str) -> FailedError:
        """Find out whether another range gets the same wrong bytes: then they are cached."""
        found = answer.get("content-range")
        start = self.size // 2
        for offset in (start, start + 1):
            other = self.ask({"Range": f"bytes={offset}-{offset}"}, target=target)
            if (
                found
                and other.status == HTTPStatus.PARTIAL_CONTENT
                and other.get("content-range") != found
            ):
                return FailedError(
                    Problem.CONTENT_RANGE_WRONG, f"The 206 to {what} has Content-Range: {found}."
                )
        if not found:
            return FailedError(
                Problem.CONTENT_RANGE_WRONG, f"The 206 to {what} has no Content-Range."
            )
        return FailedError(
            Problem.PARTIAL_CACHED, f"Different ranges get the same response, {found}."
        )

    def read(self, way: Way, target: str, start: int, length: int) -> bytes:
        """Read a span, in several responses if they are shorter. Raises FailedError."""
        data = b""
        while len(data) < length:
            first, last = start + len(data), start + length - 1
            value = f"bytes={first}-{last}"
            answer = ask(way, target, {"Range": value}, limit=length)
            self.judge(answer, value, first, last, target)
            data += answer.body
        return data

    def expected(self, span: tuple[int, int]) -> bytes:
        """Return the bytes of a random span, as the usual way sends them."""
        if span not in self.known:
            self.known[span] = self.read(self.way, self.target, *span)
        return self.known[span]


def ask(
    way: Way, target: str, headers: Mapping[str, str], method: str = "GET", limit: int = 0
) -> Answer:
    """Send a request on any way. Raises FailedError if there is no response."""
    try:
        return way.ask(target, headers, method, limit)
    except NoAnswerError as error:
        raise FailedError(Problem.NO_ANSWER, str(error)) from error


def _not_partial(answer: Answer, what: str, size: int) -> FailedError:
    if answer.status != HTTPStatus.OK:
        return FailedError(Problem.RANGE_REFUSED, f"{what} gets {answer.status} instead of 206.")
    length = answer.length
    if answer.get("content-range") or (length is not None and length != size):
        return FailedError(
            Problem.STATUS_REWRITTEN, f"{what} gets the part with the status 200 instead of 206."
        )
    return FailedError(Problem.RANGE_DROPPED, f"{what} gets 200 and the whole film.")


def begin(options: Options, server: Server) -> Session:
    """Ask for the film, and learn its size and validators.

    Raises CannotCheckError, and FailedError if nothing else can be checked.
    """
    way = Http1(server)
    try:
        return _begin(options, server, way)
    except NoAnswerError as error:
        way.close()
        raise CannotCheckError(str(error)) from error
    except BaseException:
        way.close()
        raise


def _begin(options: Options, server: Server, way: Way) -> Session:
    target = target_of(options.url)
    # Like a player: a cache that stores 206s by the URL alone has then stored this one.
    part = way.ask(target, {"Range": "bytes=0-0"}, limit=1)
    whole = way.ask(target, {}, limit=SAMPLE)
    if whole.status in {301, 302, 303, 307, 308}:
        raise CannotCheckError(f"The URL leads to {whole.get('location')}: check that one.")
    if whole.status not in {200, 206}:
        raise CannotCheckError(f"The URL is answered with {whole.status}.")
    size = whole.length if whole.status == HTTPStatus.OK else None
    if size is None and part.content_range:
        size = part.content_range.total
    if size is None:
        size = way.ask(target, {}, "HEAD").length
    if size is None:
        raise FailedError(Problem.LENGTH_MISSING, "No response says how long the film is.")
    if size < _MIN_SIZE:
        raise CannotCheckError(f"The file has {size} bytes: that is no film.")
    spans = _random_spans(size, random.Random(options.seed))  # noqa: S311 # repeatable on purpose
    tag, modified = whole.get("etag"), whole.get("last-modified")
    session = Session(options, server, way, target, whole, size, tag, modified, spans)
    revision = _REVISION.fullmatch(tag or "")
    if revision and _ROUTE.search(target):
        session.unpinned = _with_query(target, None)
        session.pinned = _with_query(target, revision[1])
    return session


def _random_spans(size: int, source: random.Random) -> tuple[tuple[int, int], ...]:
    length = min(SPAN, size)
    return tuple((source.randrange(size - length + 1), length) for _ in range(_SPANS))


def _with_query(target: str, pin: str | None) -> str:
    """Return a target with another `v` in its query, or without one."""
    parts = urlsplit(target)
    pairs = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] != "v"]
    if pin is not None:
        pairs.append(("v", pin))
        pairs = [pair for pair in pairs if pair[0] != "sound"]  # the revision names the sound
    query = urlencode(pairs, quote_via=quote)
    return parts.path + (f"?{query}" if query else "")


def with_pin(target: str, pin: str) -> str:
    """Return a target that names this revision."""
    return _with_query(target, pin)


def way_to(url: str, server: Server) -> tuple[Way, str]:
    """Return another way to the film, by its own URL with the same budget, and the target there.

    Another host does not get the headers that the user named, which may have secrets.
    """
    parts = urlsplit(url)
    other = replace(
        server,
        headers=server.headers if parts.hostname == server.host else (),
        scheme=parts.scheme,
        host=parts.hostname or "",
        port=parts.port or {"https": 443, "http": 80}[parts.scheme],
    )
    return Http1(other), target_of(url)
