import pytest
from support.http_contract import Contract

pytestmark = pytest.mark.stack


class TestStack(Contract):
    """The HTTP contract through TLS, the edge and its cache, whose state lasts between tests."""

    # nginx itself refuses what would lead above the root, or holds a NUL.
    refusals = frozenset({400, 404})
    unescaped = {"GET": {206}, "HEAD": {200}}  # noqa: RUF012 # nginx escapes it
