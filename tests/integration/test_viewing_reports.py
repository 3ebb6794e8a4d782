"""Players' reports at the real service: what is counted, and from whom."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.access import FILES, cookie_of, library_with_password, sign_in
from support.raw_http import Answer, ask
from support.server import Server, serve, write
from support.shared_links import KeyHolder

from service.viewing.limit import MAX_REPORTS_AT_ONCE
from service.viewing.report import MAX_LENGTH

FILM = FILES[0]
REPORT = {
    "first_frame": 0.4,
    "played": 55.5,
    "stalled": 2.5,
    "stalls": 2,
    "frames": 1400,
    "dropped": 14,
    "errors": {"network": 1},
}
SUMS = {
    "reelay_viewing_reports_total": 1,
    "reelay_viewing_first_frame_seconds_count": 1,
    "reelay_viewing_first_frame_seconds_sum": 0.4,
    'reelay_viewing_first_frame_seconds_bucket{le="0.25"}': 0,
    'reelay_viewing_first_frame_seconds_bucket{le="0.5"}': 1,
    'reelay_viewing_seconds_total{state="played"}': 55.5,
    'reelay_viewing_seconds_total{state="stalled"}': 2.5,
    "reelay_viewing_stalls_total": 2,
    'reelay_viewing_errors_total{kind="network"}': 1,
    'reelay_viewing_frames_total{outcome="shown"}': 1386,
    'reelay_viewing_frames_total{outcome="dropped"}': 14,
}


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, state: Path) -> Iterator[Server]:
    with library_with_password(tmp_path_factory.mktemp("library"), state) as server:
        yield server


@pytest.fixture(scope="module")
def cookie(server: Server) -> str:
    return cookie_of(sign_in(server.base))


def send(
    server: Server,
    body: bytes | None = None,
    prefix: str = "",
    method: str = "POST",
    **headers: str,
) -> Answer:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    data = json.dumps(REPORT).encode() if body is None else body
    return ask(server.base, f"{prefix}/viewing-reports", fields, method, data)


def sums(server: Server, cookie: str) -> dict[str, float]:
    text = ask(server.base, "/metrics", {"Cookie": cookie}).body.decode()
    series = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name: float(series.get(name, 0)) for name in SUMS}


def test_a_report_is_counted_by_cookie_and_by_link(
    server: Server, state: Path, cookie: str
) -> None:
    key = (state / "key").read_text(encoding="ascii")
    link = KeyHolder(bytes.fromhex(key)).link(f"v{FILM}")
    before = sums(server, cookie)
    assert send(server, Cookie=cookie, Sec_Fetch_Site="same-origin").status == 204
    added = {name: value - before[name] for name, value in sums(server, cookie).items()}
    assert added == pytest.approx(SUMS)
    assert send(server, prefix=link).status == 204
    added = {name: value - before[name] for name, value in sums(server, cookie).items()}
    assert added == pytest.approx({name: 2 * value for name, value in SUMS.items()})
    assert not server.logged(route="viewing_reports")
    # The pages name the address that their viewers may use.
    page = ask(server.base, f"{link}/embed/{FILM}").body.decode()
    assert f'data-reports="{link}/viewing-reports"' in page


def test_what_is_not_counted(server: Server, cookie: str) -> None:
    before = sums(server, cookie)
    assert send(server).status == 401
    assert send(server, Cookie=cookie, Sec_Fetch_Site="cross-site").status == 403
    assert send(server, Cookie=cookie, method="PUT").headers["Allow"] == "POST, OPTIONS"
    assert send(server, Cookie=cookie, Sec_GPC="1").status == 204
    assert send(server, Cookie=cookie, DNT="1").status == 204
    for body, status in ((b'{"played": -1}', 400), (b" " * (MAX_LENGTH + 1), 413)):
        refused = send(server, body, Cookie=cookie)
        assert refused.status == status
        assert refused.headers["Content-Type"] == "application/problem+json"
    assert sums(server, cookie) == before
    assert send(server, Cookie=cookie, DNT="0").status == 204
    assert sums(server, cookie) != before


def test_reports_can_be_switched_off_and_are_limited(tmp_path: Path) -> None:
    write(tmp_path / "media", "film.mp4", b"no film")
    with serve(tmp_path / "media", VIEWING_REPORTS="off") as server:
        assert send(server).status == 404
        assert b"data-reports" not in ask(server.base, "/embed/film.mp4").body
    with serve(tmp_path / "media") as server:
        # The limit allows one more each second.
        statuses = [send(server, b"{}").status for _ in range(4 * MAX_REPORTS_AT_ONCE)]
        assert statuses[:MAX_REPORTS_AT_ONCE] == [204] * MAX_REPORTS_AT_ONCE
        assert set(statuses) == {204, 429}
