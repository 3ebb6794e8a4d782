"""Causes of the object store's errors, by what obstore reports."""

import pytest

from service.storage.object_store.errors import Cause, RangeMismatchError, cause_of


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (FileNotFoundError("no such object"), Cause.MISSING),
        (
            RuntimeError("InvalidGetRange: StartTooLarge { requested: 9, length: 5 }"),
            Cause.PAST_END,
        ),
        (TimeoutError(), Cause.TIMEOUT),
        (RuntimeError("HTTP error: kind: Timeout"), Cause.TIMEOUT),
        (RuntimeError("HTTP error: kind: Connect"), Cause.UNREACHABLE),
        (RangeMismatchError("bytes (0, 5) instead of (0, 9)"), Cause.WRONG_BYTES),
        (RuntimeError("anything else"), Cause.OTHER),
    ],
)
def test_each_error_has_its_cause(error: Exception, cause: Cause) -> None:
    assert cause_of(error) is cause
