from collections.abc import Iterator

import pytest
from support.http_contract import Contract, Origin, fill
from support.server import serve


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Origin]:
    media = tmp_path_factory.mktemp("service") / "media"
    fill(media)
    with serve(media) as server:
        yield Origin(server.base, media)


class TestService(Contract):
    """The range contract for the service without an edge."""
