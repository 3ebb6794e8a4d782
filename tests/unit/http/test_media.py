"""The media middleware's ASGI messages."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from support.server import content, write

from service.composition.app import create_app
from service.errors import BadGatewayError
from service.http import media as media_views
from service.settings.environment import load
from service.storage.base import MIN_CHUNK
from service.storage.local import nonblocking
from service.storage.local.folder import LocalStorage
from service.workers.playback_activity import PlaybackActivity

DATA = content(3 * MIN_CHUNK)


def scope(path: str, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"x"), *headers],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
        "state": {},
        "extensions": {},
    }


async def answer(
    folder: Path, request_scope: dict[str, Any], disconnect_after: int | None = None
) -> list[dict[str, Any]]:
    """Return the messages that the application sends to a client without a request body.

    No send waits. The client disconnects after `disconnect_after` messages, if that is set, else
    when the response has been sent, as ASGI has it.
    """
    settings = load({"REELAY_MEDIA": str(folder), "REELAY_DERIVED": str(folder.parent / "derived")})
    app: Any = create_app(settings)
    messages: list[dict[str, Any]] = []
    forwarded, disconnected = asyncio.Event(), asyncio.Event()

    async def receive() -> dict[str, Any]:
        if not forwarded.is_set():
            forwarded.set()
            return {"type": "http.request", "body": b"", "more_body": False}
        await disconnected.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        messages.append(message)
        is_sent = message["type"] == "http.response.body" and not message.get("more_body", False)
        if is_sent or len(messages) == disconnect_after:
            disconnected.set()

    await app(request_scope, receive, send)
    return messages


@pytest.fixture
def media(tmp_path: Path) -> Path:
    write(tmp_path / "media", "film.mp4", DATA)
    return tmp_path / "media"


async def test_serving_bytes_records_playback(media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded: list[str] = []
    for target, count in (("/media/film.mp4", 1), ("/download/film.mp4", 2), ("/healthz", 2),
                            ("/media/none.mp4", 2)):  # fmt: skip
        monkeypatch.setattr(
            PlaybackActivity, "record", lambda _, target=target: recorded.append(target)
        )
        await answer(media, scope(target))
        assert len(recorded) == count


async def test_a_read_error_ends_the_body_and_sends_no_second_response(
    media: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pread = os.pread

    def failing(descriptor: int, length: int, position: int) -> bytes:
        if position >= MIN_CHUNK:
            raise OSError(5, "Input/output error")
        return pread(descriptor, length, position)

    monkeypatch.setattr(nonblocking, "_NO_WAIT", None)
    monkeypatch.setattr(os, "pread", failing)
    start, *body = await answer(media, scope("/media/film.mp4"))
    assert start["status"] == 200
    assert dict(start["headers"])[b"content-length"] == str(len(DATA)).encode()
    assert [message["type"] for message in body] == ["http.response.body"]
    assert body[0]["body"] == DATA[:MIN_CHUNK]
    assert body[0]["more_body"]  # the server closes the connection
    assert "Input/output error" in capsys.readouterr().out


async def test_a_read_error_before_the_first_byte_is_503(
    media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object, **__: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "open", failing)
    start, *body = await answer(media, scope("/media/film.mp4"))
    assert start["status"] == 503
    assert b"cannot be" in b"".join(message["body"] for message in body)


@pytest.mark.parametrize("target", ["/media/film.mp4", "/download/film.mp4"])
async def test_many_short_ranges_are_sent_together(media: Path, target: str) -> None:
    spans = [(start, start + start % 7) for start in range(0, 2000, 10)]
    value = "bytes=" + ",".join(f"{first}-{last}" for first, last in spans)
    start, *body = await answer(media, scope(target, (b"range", value.encode())))
    assert start["status"] == 206
    assert len(body) == 1
    headers = dict(start["headers"])
    parts = body[0]["body"].split(b"--" + headers[b"content-type"].partition(b"=")[2])[1:-1]
    bodies = [part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for part in parts]
    assert bodies == [DATA[first : last + 1] for first, last in spans]
    assert len(body[0]["body"]) == int(headers[b"content-length"])


async def test_long_and_short_ranges_are_sent_in_order(media: Path) -> None:
    value = f"bytes=5-9,{MIN_CHUNK}-{3 * MIN_CHUNK - 1},0-2"
    start, *body = await answer(media, scope("/download/film.mp4", (b"range", value.encode())))
    assert start["status"] == 206
    whole = b"".join(message["body"] for message in body)
    assert whole.index(DATA[5:10]) < whole.index(DATA[MIN_CHUNK : 3 * MIN_CHUNK])
    assert max(len(message["body"]) for message in body) <= MIN_CHUNK
    assert len(whole) == int(dict(start["headers"])[b"content-length"])
    assert [message["more_body"] for message in body] == [True] * (len(body) - 1) + [False]


async def revision_headers(media: Path) -> dict[bytes, bytes]:
    request_scope = scope("/_revision") | {"query_string": b"path=/media/film.mp4"}
    start, *_ = await answer(media, request_scope)
    assert start["status"] == 204
    return dict(start["headers"])


async def test_an_unavailable_store_is_reported_to_the_edge(
    media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = await revision_headers(media)
    assert b"x-revision" in headers
    assert b"x-unavailable" not in headers

    async def away(*_: object) -> None:
        raise BadGatewayError("The object store cannot be reached.")

    async def silent(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(media_views, "_REVISION_TIMEOUT", 0.01)
    for failing in (away, silent):
        monkeypatch.setattr(LocalStorage, "open", failing)
        async with asyncio.timeout(300):
            headers = await revision_headers(media)
        assert headers[b"x-unavailable"] == b"storage"
        assert b"x-revision" not in headers


async def test_a_disconnected_client_gets_no_further_chunk_even_if_no_send_waits(
    media: Path,
) -> None:
    write(media, "film.mp4", content(9 * MIN_CHUNK))
    start, *body = await answer(media, scope("/media/film.mp4"), disconnect_after=4)
    assert start["status"] == 200
    assert [len(message["body"]) for message in body] == [MIN_CHUNK] * 3
    assert body[-1]["more_body"]


async def test_a_body_of_one_chunk_is_one_final_message(media: Path) -> None:
    start, body = await answer(media, scope("/media/film.mp4", (b"range", b"bytes=5-9")))
    assert start["status"] == 206
    assert (body["body"], body["more_body"]) == (DATA[5:10], False)


async def test_header_names_are_case_insensitive(media: Path) -> None:
    """ASGI header names are in lower case, but Quart's test client does not convert them."""
    start, _ = await answer(media, scope("/media/film.mp4", (b"Range", b"bytes=5-9")))
    assert start["status"] == 206
