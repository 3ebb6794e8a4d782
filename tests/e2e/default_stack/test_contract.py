import pytest
from support.http_contract import Contract

pytestmark = pytest.mark.stack


class TestStack(Contract):
    """The HTTP contract through TLS, the edge and its cache, which is never emptied."""

    # nginx itself refuses targets that contain a NUL or lead above the root.
    refusals = frozenset({400, 404})
    unescaped = {"GET": {206}, "HEAD": {200}}  # noqa: RUF012 # nginx escapes it
