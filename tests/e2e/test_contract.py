import pytest
from support.http_contract import Contract

pytestmark = pytest.mark.stack


class TestStack(Contract):
    """The same through TLS, the edge and its cache, with all of its state from test to test."""

    # nginx itself refuses what would lead above the root, or holds a NUL.
    refusals = frozenset({400, 404})
    unescaped = {"GET": {206}, "HEAD": {200}}  # noqa: RUF012 # nginx escapes it
