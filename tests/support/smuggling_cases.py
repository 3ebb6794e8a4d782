"""Requests whose end two parsers might find at different positions (RFC 9112 §11.2).

Each hides a second request where a wrong parser would find it. A parser that follows RFC 9112
finds one request or refuses it.
"""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """A template for a request with a visible and a hidden target."""

    name: str
    head: str
    """The lines between the request line and the empty line; {size} is the length of the body."""
    body: str = "{hidden}"
    """{hidden} is the second request, and {hidden_size} its size in hexadecimal."""
    refused: bool = False
    """Whether the RFC requires a refusal; else any single answer is right."""
    line: str = "GET {first} HTTP/1.1"
    end: str = "\r\n"

    def request(self, first: str, hidden: str) -> bytes:
        second = f"GET {hidden} HTTP/1.1\r\nHost: localhost\r\n\r\n"
        body = self.body.format(hidden=second, hidden_size=f"{len(second):x}")
        head = self.head.format(size=len(body), half=len(body) // 2, target=hidden)
        line = self.line.format(first=first, hidden=hidden)
        lines = (
            [line, "Host: localhost", head, "", ""] if head else [line, "Host: localhost", "", ""]
        )
        return (self.end.join(lines) + body).encode("latin-1")


LENGTH = "Content-Length: {size}"
CHUNKED = "Transfer-Encoding: chunked"
ENDED = "0\r\n\r\n{hidden}"  # the second request follows the last chunk
IN_A_CHUNK = "{hidden_size}\r\n{hidden}\r\n0\r\n\r\n"


def shapes() -> list[Shape]:
    """Return the table. Names are unique and consist of ASCII letters and spaces."""
    return [*_lengths(), *_codings(), *_chunks(), *_lines(), *_others()]


def _lengths() -> Iterator[Shape]:
    # RFC 9112 §6.3, 3: the server may refuse these; otherwise it ignores the length and closes the
    # connection after the answer.
    yield Shape("length and coding", f"{LENGTH}\r\n{CHUNKED}", ENDED)
    yield Shape("coding and length", f"{CHUNKED}\r\n{LENGTH}", ENDED)
    yield Shape(
        "coding and a length that ends early", f"{CHUNKED}\r\nContent-Length: 4", IN_A_CHUNK
    )
    # §6.3, 5: differing or invalid lengths are an unrecoverable error.
    yield Shape("zero and a length", f"Content-Length: 0\r\n{LENGTH}", refused=True)
    yield Shape("a length and zero", f"{LENGTH}\r\nContent-Length: 0", refused=True)
    yield Shape("half a length and a length", f"Content-Length: {{half}}\r\n{LENGTH}", refused=True)
    yield Shape("a list of two lengths", "Content-Length: 0, {size}", refused=True)
    for name, value in [
        ("with a plus", "+{size}"),
        ("with a minus", "-{size}"),
        ("in hexadecimal", "0x10"),
        ("with a fraction", "{size}.0"),
        ("with an exponent", "1e1"),
        ("with an underscore", "1_0"),
        ("with a blank inside", "1 0"),
        ("with a letter", "{size}a"),
        ("with a null byte", "{size}\0"),
        ("with a foreign digit", "\xb2"),
        ("that is empty", ""),
    ]:
        yield Shape(f"a length {name}", f"Content-Length: {value}", refused=True)
    yield Shape("a length that overflows", f"Content-Length: {2**64 + 2}")
    yield Shape("a list of the same length", "Content-Length: {size}, {size}")
    yield Shape("the same length twice", f"{LENGTH}\r\n{LENGTH}")
    yield Shape("a length with a leading zero", "Content-Length: 0{size}")
    yield Shape("a length and zero under an underscore", f"{LENGTH}\r\nContent_Length: 0")


def _codings() -> Iterator[Shape]:
    # §6.3, 4: if chunked is not the last coding, the end is unknown.
    for name, value in [
        ("with a letter before", "xchunked"),
        ("with a letter behind", "chunkedx"),
        ("cut short", "chunk"),
        ("before identity", "chunked, identity"),
        ("in quotes", '"chunked"'),
        ("behind a vertical tab", "\x0bchunked"),
        ("before a null byte", "chunked\0"),
        ("identity alone", "identity"),
        ("gzip alone", "gzip"),
        ("in a line of its own before identity", "chunked\r\nTransfer-Encoding: identity"),
        ("with a bare carriage return", "\rchunked"),
    ]:
        yield Shape(f"a coding {name}", f"Transfer-Encoding: {value}", ENDED, refused=True)
    # §7.1: coding names are case-insensitive; §5.1: a value excludes surrounding blanks.
    for name, value in [("in capitals", "CHUNKED"), ("behind a tab", "\tchunked"),
                        ("before blanks", "chunked \t "), ("behind gzip", "gzip, chunked"),
                        ("behind itself", "chunked, chunked"), ("behind a comma", ", chunked"),
                        ("with a parameter", "chunked;q=1")]:  # fmt: skip
        yield Shape(f"a coding {name}", f"Transfer-Encoding: {value}", IN_A_CHUNK)
    # §6.1: a coding in HTTP/1.0 means faulty framing.
    yield Shape("a coding in an older version", f"{CHUNKED}\r\nConnection: keep-alive", ENDED,
                line="GET {first} HTTP/1.0")  # fmt: skip
    # Similar names of other fields: only the length counts.
    for name in ("Transfer_Encoding", "Transfer-Encoding-", "X-Transfer-Encoding", "TE", "Trailer"):
        yield Shape(f"a coding under {name}", f"{LENGTH}\r\n{name}: chunked", ENDED)


def _chunks() -> Iterator[Shape]:
    # §7.1: a size consists of hexadecimal digits; its line and the data end with CRLF.
    for name, body in [
        ("with a prefix", "0x5\r\nhello\r\n" + ENDED),
        ("with a minus", "-5\r\nhello\r\n" + ENDED),
        ("with a plus", "+5\r\nhello\r\n" + ENDED),
        ("with an underscore", "0_5\r\nhello\r\n" + ENDED),
        ("that is no number", "g\r\nhello\r\n" + ENDED),
        ("that is empty", "\r\nhello\r\n" + ENDED),
        ("that is too small", "3\r\nhello\r\n" + ENDED),
        ("before a null byte", "5\0\r\nhello\r\n" + ENDED),
        ("with a bare carriage return", "5\rX\r\nhello\r\n" + ENDED),
        ("whose data has no end", "5\r\nhello" + ENDED),
    ]:
        yield Shape(f"a chunk size {name}", CHUNKED, body, refused=True)
    for name, body in [
        ("that overflows", f"{2**64 + 5:x}\r\nhello\r\n" + ENDED),
        ("in capitals with zeros", "000A\r\nhellohello\r\n{hidden_size}\r\n{hidden}\r\n0\r\n\r\n"),
        ("with an extension", "{hidden_size};a=b\r\n{hidden}\r\n0\r\n\r\n"),
        ("with an extension in quotes", '{hidden_size};a="\\"0"\r\n{hidden}\r\n0\r\n\r\n'),
        ("before a blank", "{hidden_size} \r\n{hidden}\r\n0\r\n\r\n"),
        ("before a bare line feed", "{hidden_size}\n{hidden}\r\n0\r\n\r\n"),
        ("with an extension before a bare line feed", "{hidden_size};a\n{hidden}\r\n0\r\n\r\n"),
        ("of zero in many digits", "{hidden_size}\r\n{hidden}\r\n0000\r\n\r\n"),
    ]:
        yield Shape(f"a chunk size {name}", CHUNKED, body)
    # §7.1.2: trailer fields follow the last chunk; a request line there does not end the body.
    yield Shape("a request among the trailer fields", CHUNKED, "0\r\nX: y\r\n{hidden}")
    yield Shape("a request for the trailer fields", CHUNKED, "0\r\n{hidden}")
    yield Shape("a length among the trailer fields", CHUNKED,
                "{hidden_size}\r\n{hidden}\r\n0\r\nContent-Length: 1\r\n\r\n")  # fmt: skip


def _lines() -> Iterator[Shape]:
    # §5.1: no blank between name and colon; §5.2: no line folding in requests; §2.2: no bare CR.
    # RFC 9110 §5.5: no NUL.
    yield Shape("a blank before the colon of a length", "Content-Length : {size}", refused=True)
    yield Shape("a tab before the colon of a coding", f"{LENGTH}\r\nTransfer-Encoding\t: chunked",
                ENDED, refused=True)  # fmt: skip
    yield Shape(
        "a blank before the name of a coding", f"{LENGTH}\r\n Transfer-Encoding: chunked", ENDED
    )
    yield Shape("a folded length", "Content-Length:\r\n {size}")
    yield Shape("a folded coding", f"{LENGTH}\r\nTransfer-Encoding:\r\n chunked", ENDED)
    yield Shape("a folded list of codings", "Transfer-Encoding: chunked,\r\n identity", ENDED)
    yield Shape("a carriage return in a name", "Content\r-Length: {size}", refused=True)
    yield Shape("a null byte in a name", "Content\0-Length: {size}", refused=True)
    yield Shape("a null byte in a value", f"X: a\0b\r\n{LENGTH}", refused=True)
    yield Shape("a line without a colon", f"X\r\n{LENGTH}")
    yield Shape("a name that is empty", f": x\r\n{LENGTH}", refused=True)
    yield Shape("a length behind a bare carriage return", f"X: y\r{LENGTH}", refused=True)
    # §2.2: a recipient may accept a lone LF as the end of a line.
    yield Shape("a length behind a bare line feed", f"X: y\n{LENGTH}")
    yield Shape("line feeds alone", LENGTH, end="\n")
    yield Shape("a second host", f"Host: other\r\n{LENGTH}", refused=True)  # RFC 9112 §3.2
    yield Shape(
        "a request in a line of its own", f"GET {{target}} HTTP/1.1\r\n{LENGTH}", refused=True
    )


def _others() -> Iterator[Shape]:
    # RFC 9110 §9.3.1: the body of a GET has no meaning.
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "MADEUP"):
        yield Shape(f"a body of {method}", LENGTH, line=f"{method} {{first}} HTTP/1.1")
        yield Shape(f"a chunked body of {method}", CHUNKED, IN_A_CHUNK,
                    line=f"{method} {{first}} HTTP/1.1")  # fmt: skip
    yield Shape("a body that is waited for", f"{LENGTH}\r\nExpect: 100-continue")
    yield Shape("a body that is expected wrongly", f"{LENGTH}\r\nExpect: 200-ok")
    for field in ("Content-Length", "Transfer-Encoding", "close, Content-Length"):
        yield Shape(f"the connection lists {field}", f"{LENGTH}\r\nConnection: {field}")
    for name, protocol, more in [
        ("version two", "h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"),
        ("a web socket", "websocket", "Sec-WebSocket-Version: 13"),
    ]:
        head = f"{LENGTH}\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n{more}"
        yield Shape(f"an upgrade to {name}", head)
    yield Shape("an older version with a body", f"{LENGTH}\r\nConnection: keep-alive",
                line="GET {first} HTTP/1.0")  # fmt: skip
    for version in ("HTTP/1.2", "HTTP/1.10", "HTTP/2.0", "HTTP/11", "http/1.1", "HTTP /1.1"):
        yield Shape(f"version {version}", LENGTH, line=f"GET {{first}} {version}")
    yield Shape("no version", LENGTH, line="GET {first}")
    yield Shape("a target with a blank", LENGTH, line="GET {first} {hidden} HTTP/1.1", refused=True)
    yield Shape("a target with a carriage return", LENGTH, refused=True,
                line="GET {first}\rGET {hidden} HTTP/1.1")  # fmt: skip
    yield Shape("a query with an escaped request", "", "",
                line="GET {first}?x=%20HTTP/1.1%0d%0a%0d%0aGET%20{hidden} HTTP/1.1")  # fmt: skip
    yield Shape("a path with an escaped request", "", "",
                line="GET {first}%20HTTP/1.1%0d%0a%0d%0aGET%20{hidden} HTTP/1.1")  # fmt: skip
