"""Which reports of players are accepted, and how many of one address."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import ReelayError
from service.viewing.limit import MAX_REPORTS_AT_ONCE, ReportLimit
from service.viewing.report import MAX_LENGTH, ViewingReport, parse

FULL = (
    b'{"first_frame": 0.412, "played": 58.25, "stalled": 1, "stalls": 2, "frames": 1480,'
    b' "dropped": 3, "errors": {"network": 1}}'
)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{}", ViewingReport()),
        (b' {"played": 300} ', ViewingReport(played=300)),
        (b'{"first_frame": null}', ViewingReport()),
        (b'{"frames": 5, "dropped": 5}', ViewingReport(frames=5, dropped=5)),
        (
            FULL,
            ViewingReport(
                first_frame=0.412,
                played=58.25,
                stalled=1,
                stalls=2,
                frames=1480,
                dropped=3,
                errors={"network": 1},
            ),
        ),
    ],
    ids=["empty", "longest", "no first frame", "all dropped", "full"],
)
def test_a_report_is_read(body: bytes, expected: ViewingReport) -> None:
    assert parse(body) == expected


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"played=1", 400),
        (b"[]", 400),
        (b'{"played": 1} {}', 400),
        (b'{"played": "1"}', 400),
        (b'{"played": true}', 400),
        (b'{"played": -0.001}', 400),
        (b'{"played": 300.001}', 400),
        (b'{"played": 1e400}', 400),
        (b'{"played": NaN}', 400),
        (b'{"first_frame": Infinity}', 400),
        (b'{"stalls": 1.5}', 400),
        (b'{"stalls": 1001}', 400),
        (b'{"frames": 4, "dropped": 5}', 400),
        (b'{"errors": {"other": 1}}', 400),
        (b'{"errors": {"network": -1}}', 400),
        (b'{"errors": []}', 400),
        (b'{"path": "film.mp4"}', 400),  # no identity, and no film
        (b'{"played": 1, "\xff": 1}', 400),
        (b" " * (MAX_LENGTH - 2) + b"{}", 200),
        (b" " * (MAX_LENGTH - 1) + b"{}", 413),
        (b"[" * MAX_LENGTH, 400),
    ],
)
def test_what_is_refused(body: bytes, status: int) -> None:
    if status == 200:
        assert parse(body) == ViewingReport()
        return
    with pytest.raises(ReelayError) as error:
        parse(body)
    assert error.value.status == status
    assert 0 < len(str(error.value)) < 500


_NUMBERS = st.integers() | st.floats() | st.booleans() | st.none() | st.text(max_size=5)
_FIELDS = st.sampled_from([*ViewingReport.model_fields, "path"])


@given(st.binary(max_size=MAX_LENGTH) | st.dictionaries(_FIELDS, _NUMBERS).map(json.dumps))
def test_a_report_is_in_range_or_refused(body: bytes | str) -> None:
    try:
        report = parse(body.encode() if isinstance(body, str) else body)
    except ReelayError:
        return
    sums = (report.first_frame or 0, report.played, report.stalled, report.stalls, report.frames)
    assert all(math.isfinite(one) and 0 <= one <= 300_000 for one in sums)
    assert 0 <= report.dropped <= report.frames


def test_an_address_sends_sixty_reports_at_once_and_then_one_a_second() -> None:
    now = [0.0]
    limit = ReportLimit(lambda: now[0])
    assert all(limit.admit("2001:db8::1") for _ in range(MAX_REPORTS_AT_ONCE))
    assert not limit.admit("2001:db8::2")  # one /64
    assert limit.admit("192.0.2.1")
    now[0] = 1
    assert limit.admit("2001:db8::1")
    assert not limit.admit("2001:db8::1")
    now[0] = 120
    assert all(limit.admit("2001:db8::1") for _ in range(MAX_REPORTS_AT_ONCE))
    assert not limit.admit("2001:db8::1")
