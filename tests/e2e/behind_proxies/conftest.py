"""A stack that trusts the proxies in front of it, which these tests share."""

from collections.abc import Iterator

import pytest
from support.http_contract import fill
from support.stack import Stack, running
from support.trusted_proxies import YEAR, balancer_in_front, trust


@pytest.fixture(scope="session")
def behind_proxies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, str]]:
    media = tmp_path_factory.mktemp("behind") / "media"
    fill(media)
    with running(media, HSTS_MAX_AGE=YEAR) as stack, balancer_in_front(stack) as balancer:
        trust(stack, balancer)
        yield stack, balancer


@pytest.fixture(scope="session")
def trusting(behind_proxies: tuple[Stack, str]) -> Stack:
    return behind_proxies[0]


@pytest.fixture(scope="session")
def balancer(behind_proxies: tuple[Stack, str]) -> str:
    return behind_proxies[1]
