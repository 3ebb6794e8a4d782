import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.protocol.conditions import (
    MAX_LIST_LENGTH,
    MAX_TAGS,
    PreconditionResult,
    Validators,
    evaluate,
    http_date,
    last_modified_of,
    nearest_date,
    range_applies,
)
from service.protocol.range_cases import ConditionCase, condition_cases

# RFC 9110 §5.6.7's own example: Sun, 06 Nov 1994 08:49:37 GMT.
EXAMPLE = 784111777
DAY = 86400
CURRENT = Validators("1f-a", EXAMPLE, is_stable=True)
DATES = http_date(EXAMPLE), http_date(EXAMPLE - DAY), http_date(EXAMPLE + DAY)


def status_of(case: ConditionCase, current: Validators) -> int:
    headers = {name.lower(): value for name, value in case.headers.items()}
    result = evaluate(headers, current)
    status = {PreconditionResult.FAILED: 412, PreconditionResult.NOT_MODIFIED: 304}.get(result)
    return status or (206 if range_applies(headers, current) else 200)


@pytest.mark.parametrize("case", condition_cases('"1f-a"', *DATES), ids=lambda case: case.name)
def test_preconditions_are_evaluated_in_the_order_of_the_rfc(case: ConditionCase) -> None:
    assert status_of(case, CURRENT) == case.status


@pytest.mark.parametrize(
    "case", condition_cases('"1f-a-f1"', *DATES, dated=False), ids=lambda case: case.name
)
def test_rearranged_bytes_are_validated_only_by_their_tag(case: ConditionCase) -> None:
    derived = Validators("1f-a-f1", EXAMPLE, is_stable=True, date_is_validator=False)
    assert status_of(case, derived) == case.status


def test_a_date_has_the_format_of_the_rfc() -> None:
    assert http_date(EXAMPLE) == "Sun, 06 Nov 1994 08:49:37 GMT"


@pytest.mark.parametrize(
    "date",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",  # IMF-fixdate
        "Sunday, 06-Nov-94 08:49:37 GMT",  # RFC 850
        "Sun Nov  6 08:49:37 1994",  # asctime
    ],
)
def test_all_three_date_formats_are_parsed(date: str) -> None:
    assert evaluate({"if-modified-since": date}, CURRENT) is PreconditionResult.NOT_MODIFIED
    assert range_applies({"if-range": date}, CURRENT)


def test_a_date_is_no_strong_validator_during_its_second() -> None:
    just_written = Validators("1f-a", EXAMPLE, is_stable=False)
    assert not range_applies({"if-range": http_date(EXAMPLE)}, just_written)
    assert range_applies({"if-range": '"1f-a"'}, just_written)


def test_a_future_date_is_no_strong_validator_but_the_revision_is_one() -> None:
    """RFC 9110 §8.8.2.2: the date of the message is sent instead."""
    from_the_future = Validators("1f-a", EXAMPLE, is_stable=True, date_is_validator=False)
    assert not range_applies({"if-range": http_date(EXAMPLE)}, from_the_future)
    assert range_applies({"if-range": '"1f-a"'}, from_the_future)


@pytest.mark.parametrize("seconds", [-(10**12), -62135596801, -62135596800, -1, 0, 2**33])
def test_every_timestamp_can_be_formatted(seconds: int) -> None:
    """RFC 9110 §5.6.7: a year has four digits."""
    assert re.fullmatch(
        r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT", http_date(seconds)
    )


@pytest.mark.parametrize(
    ("seconds", "nearest"),
    [
        # The first second of year 1 and the last of year 9999; beyond them, the nearest of the two.
        (-62_135_596_801, -62_135_596_800),
        (-62_135_596_800, -62_135_596_800),
        (-0.5, -0.5),
        (EXAMPLE, EXAMPLE),
        (253_402_300_799, 253_402_300_799),
        (253_402_300_799.5, 253_402_300_799),
        (float("inf"), 253_402_300_799),
    ],
)
def test_dates_are_limited_to_years_of_four_digits(seconds: float, nearest: float) -> None:
    assert nearest_date(seconds) == nearest


@pytest.mark.parametrize(
    ("modified", "now", "expected"),
    [
        (EXAMPLE, EXAMPLE + 0.5, EXAMPLE),
        (EXAMPLE + 0.9, EXAMPLE + 5, EXAMPLE),  # rounded down
        (-0.5, EXAMPLE, -1),  # before 1970 as well
        (EXAMPLE, EXAMPLE, EXAMPLE),
        (EXAMPLE + 0.9, EXAMPLE + 0.5, EXAMPLE),
        (EXAMPLE + 1, EXAMPLE + 0.9, EXAMPLE),
        (EXAMPLE + DAY, EXAMPLE + 0.9, EXAMPLE),
    ],
)
def test_last_modified_is_never_later_than_the_message(
    modified: float, now: float, expected: int
) -> None:
    """RFC 9110 §8.8.2.1."""
    assert last_modified_of(modified, now) == expected


def test_a_list_of_tags_is_parsed_up_to_its_limits() -> None:
    others = ['"x"'] * (MAX_TAGS - 1)
    for tags, matches in (
        (", ".join([*others, '"1f-a"']), True),
        (", ".join([*others, '"y"', '"1f-a"']), False),
        ("*".rjust(MAX_LIST_LENGTH), True),
        ("*".rjust(MAX_LIST_LENGTH + 1), False),
        ('"1f-a"'.rjust(MAX_LIST_LENGTH, ","), True),
        ('"1f-a"'.rjust(MAX_LIST_LENGTH + 1, ","), False),
    ):
        # A tag that is not found leaves the response unchanged or refuses it: both are safe.
        expected = PreconditionResult.NOT_MODIFIED if matches else PreconditionResult.PROCEED
        assert evaluate({"if-none-match": tags}, CURRENT) is expected
        expected = PreconditionResult.PROCEED if matches else PreconditionResult.FAILED
        assert evaluate({"if-match": tags}, CURRENT) is expected


@pytest.mark.parametrize("name", ["if-modified-since", "if-unmodified-since", "if-range"])
def test_text_longer_than_any_date_is_no_date(name: str) -> None:
    text = f"{http_date(EXAMPLE - DAY)}{' ' * 60}"
    assert evaluate({name: text}, CURRENT) is PreconditionResult.PROCEED
    assert range_applies({name: text}, CURRENT) is (name != "if-range")


NAMES = st.sampled_from(
    ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range"]
)


@given(st.dictionaries(NAMES, st.text() | st.text('W/"1f-a*, ')))
def test_arbitrary_headers_have_a_precondition_result(headers: dict[str, str]) -> None:
    assert evaluate(headers, CURRENT) in PreconditionResult
    assert range_applies(headers, CURRENT) in {True, False}


@given(st.lists(st.text("abW/,x", max_size=4), max_size=5), st.booleans())
def test_a_tag_is_found_after_any_others(others: list[str], weak: bool) -> None:  # noqa: FBT001
    tags = [*(f'"{text}"' for text in others), 'W/"1f-a"' if weak else '"1f-a"']
    header = " , ".join(tags)
    assert evaluate({"if-none-match": header}, CURRENT) is PreconditionResult.NOT_MODIFIED
    expected = PreconditionResult.FAILED if weak else PreconditionResult.PROCEED
    assert evaluate({"if-match": header}, CURRENT) is expected
