"""What the operators' page makes of the metrics of all replicas and edges."""

import math
from collections.abc import Mapping
from typing import Any

import pytest

from service.operators.charts import HEIGHT, WIDTH, charts
from service.operators.history import INTERVAL, MOMENTS, History, Moment
from service.operators.members import Member, parse

PLAYED = 'reelay_viewing_seconds_total{state="played"}'
STALLED = 'reelay_viewing_seconds_total{state="stalled"}'
HIT = 'reelay_edge_media_sent_bytes_total{source="hit"}'
MISS = 'reelay_edge_media_sent_bytes_total{source="miss"}'
SENT = 'reelay_sent_bytes_total{route="media"}'


def replica(address: str, **series: float) -> Member:
    return Member("replica", address, {PLAYED: 0, STALLED: 0, SENT: 0, **series})


def member(address: str, series: Mapping[str, float] | None) -> Member:
    return Member("replica", address, series)


def test_metrics_are_read_as_prometheus_writes_them() -> None:
    text = '# TYPE a counter\na_total{task="probing videos"} 2.0\n\nb_bucket{le="+Inf"} 1e+06\n'
    assert parse(text) == {'a_total{task="probing videos"}': 2, 'b_bucket{le="+Inf"}': 1e6}


@pytest.mark.parametrize(
    ("first", "second", "played"),
    [
        ({"a": 5}, {"a": 9}, 4),
        ({"a": 5, "b": 100}, {"a": 6, "b": 102}, 3),
        ({"a": 5}, {"a": 2}, 2),  # its process has begun anew
        ({"a": 5}, {"a": 6, "b": 100}, 1),  # b may have counted for days
        ({"a": 5, "b": 7}, {"a": 6, "b": None}, 1),  # b does not answer
        ({}, {"a": 5}, 0),
    ],
    ids=["one", "two", "restarted", "new", "silent", "first"],
)
def test_changes_are_summed_over_members(
    first: dict[str, float], second: dict[str, float | None], played: float
) -> None:
    history = History()
    for at, counts in ((100.0, first), (115.0, second)):
        history.add(
            at, [member(name, None if n is None else {PLAYED: n}) for name, n in counts.items()]
        )
    (moment,) = history.moments
    assert (moment.seconds, moment.played) == (15, played)


def test_a_member_that_was_silent_does_not_count_what_it_missed_as_a_change() -> None:
    history = History()
    for at, series in enumerate(({PLAYED: 10.0}, None, {PLAYED: 5000.0}, {PLAYED: 5001.0})):
        history.add(at, [member("a", series)])
    assert [moment.played for moment in history.moments] == [0, 0, 1]


def test_the_bytes_are_those_of_the_edges_if_there_are_any() -> None:
    history = History()
    for at in (0, 15):
        edge = Member("edge", "e", {HIT: at * 3, MISS: at})
        history.add(at, [replica("a", **{SENT: at * 100}), edge])
    assert (history.moments[0].sent, history.moments[0].cached) == (60, 45)
    alone = History()
    for at in (0, 15):
        alone.add(at, [replica("a", **{SENT: at * 100})])
    assert (alone.moments[0].sent, alone.moments[0].cached) == (1500, 0)


def test_only_the_last_hour_is_kept() -> None:
    history = History()
    for number in range(MOMENTS + 10):
        history.add(number * INTERVAL, [])
    assert len(history.moments) == MOMENTS
    assert MOMENTS * INTERVAL == 3600


def moment(starts: Mapping[float, float] | None = None, **values: float) -> Moment:
    fields: dict[str, Any] = {**dict.fromkeys(Moment.__slots__, 0.0), "seconds": INTERVAL, **values}
    return Moment(**(fields | {"starts": starts or {}, "failures": {}}))


def test_first_frames_and_failures_are_told_apart_by_bound_and_kind() -> None:
    bucket, failed = "reelay_viewing_first_frame_seconds_bucket", "reelay_viewing_errors_total"
    history = History()
    for at in (0, 1):
        series = {
            f'{bucket}{{le="2.0"}}': at * 3.0,
            f'{bucket}{{le="+Inf"}}': at * 4.0,
            f'{failed}{{kind="decode"}}': at * 5.0,
            f'{failed}{{kind="network"}}': 7.0,
        }
        history.add(at, [member(name, series) for name in "ab"])
    (moment,) = history.moments
    assert moment.starts == {2: 6, math.inf: 8}
    assert moment.failures == {"decode": 10, "network": 0}


@pytest.mark.parametrize(
    ("starts", "half", "most"),
    [
        # As in the manual of Prometheus, histogram_quantile(): interpolated within a bucket,
        # and the last bound if it is above that.
        ({1.0: 10, 2.0: 20, math.inf: 20}, "1.0", "1.9"),
        ({1.0: 0, 2.0: 4, math.inf: 10}, "2.0", "2.0"),
        ({1.0: 0, 2.0: 0, math.inf: 0}, None, None),
        ({}, None, None),
    ],
)
def test_the_time_to_the_first_frame_is_that_of_half_and_of_most_films(
    starts: dict[float, float], half: str | None, most: str | None
) -> None:
    shown = {chart.title: chart.now for chart in charts([moment(starts)])}
    assert shown["Half of films began within"] == half
    assert shown["95 % of films began within"] == most


def test_charts_have_the_newest_value_at_the_right_and_gaps_where_nothing_is_known() -> None:
    # Of 15 s, one viewer has played 12 and waited 3: a fifth of the time.
    shown = {chart.title: chart for chart in charts([moment(played=12, stalled=3, sent=7.5e6)])}
    assert shown["Watching now"].now == "1.0"
    assert shown["Watching now"].lines == (f"{WIDTH}.0,0.0 {WIDTH}.0,0.0",)
    assert shown["Sent"].now == "4.0"  # 60 Mbit in 15 s
    assert shown["Stalled"].now == "20.00"
    assert shown["From the cache"].now == "0.0"
    assert shown["Began within 2 s"].lines == ()
    assert shown["Began within 2 s"].now is None
    line = next(one for one in charts([moment(sent=3.75e6), moment()]) if one.title == "Sent")
    (points,) = line.lines
    before = WIDTH - WIDTH / (MOMENTS - 1)
    assert points == f"{before:.1f},0.0 {WIDTH}.0,{HEIGHT}.0"
    assert [chart.lines for chart in charts([])] == [()] * 8
