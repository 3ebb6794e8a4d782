"""A stack with the default settings, which these tests share."""

from collections.abc import Iterator

import pytest
from support.http_contract import Origin, fill
from support.stack import Stack, running


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    media = tmp_path_factory.mktemp("stack") / "media"
    fill(media)
    with running(media) as stack:
        yield stack


@pytest.fixture(scope="session")
def origin(stack: Stack) -> Origin:
    return Origin(stack.base, stack.media)
