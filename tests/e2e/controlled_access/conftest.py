"""A stack whose library is not open to everybody."""

from collections.abc import Iterator

import pytest
from support.access import PASSWORD
from support.stack import Stack, running


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    media = tmp_path_factory.mktemp("controlled") / "media"
    media.mkdir()
    with running(media, PASSWORD=PASSWORD) as stack:
        yield stack


@pytest.fixture(scope="session")
def edge_image(stack: Stack) -> str:
    """Return the name of the edge's image."""
    return f"{stack.project}-nginx"
