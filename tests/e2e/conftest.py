"""One stack for all tests here that do not need one of their own, and one behind proxies."""

from collections.abc import Iterator

import pytest
from contract import Origin, fill
from stack import Stack, running
from trust import YEAR, in_front, trust


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    media = tmp_path_factory.mktemp("stack") / "media"
    fill(media)
    with running(media) as stack:
        yield stack


@pytest.fixture(scope="session")
def origin(stack: Stack) -> Origin:
    return Origin(stack.base, stack.media)


@pytest.fixture(scope="session")
def behind_proxies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, str]]:
    media = tmp_path_factory.mktemp("behind") / "media"
    fill(media)
    with running(media, HSTS_MAX_AGE=YEAR) as stack, in_front(stack) as balancer:
        trust(stack, balancer)
        yield stack, balancer


@pytest.fixture(scope="session")
def trusting(behind_proxies: tuple[Stack, str]) -> Stack:
    return behind_proxies[0]


@pytest.fixture(scope="session")
def balancer(behind_proxies: tuple[Stack, str]) -> str:
    return behind_proxies[1]
