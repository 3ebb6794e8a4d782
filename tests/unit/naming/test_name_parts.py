import re

import pytest

from service.naming.name_parts import TimeLimitError, find_parts, processor_time_limit


def test_the_parts_of_a_name_have_positions() -> None:
    name = "Film.1999.1080p"
    parts = find_parts(name)
    assert parts is not None
    [year], [size] = parts["year"], parts["screen_size"]
    assert (year.value, name[year.start : year.end], size.raw) == (1999, "1999", "1080p")
    assert parts["episode"] == []


def test_what_takes_too_long_is_stopped() -> None:
    with pytest.raises(TimeLimitError), processor_time_limit(0.01):
        re.fullmatch("(a+)+b", "a" * 60)  # would take centuries
