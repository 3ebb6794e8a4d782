"""Settings and fixtures of all tests."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings
from playwright.sync_api import Browser
from support.chromium import launched
from support.object_store import bucket, swift
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

__all__ = ["bucket", "swift"]  # fixtures for all

# Compile modules once, and not in each of the processes that the tests start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# No limit of time: CI machines are shared.
settings.register_profile("reelay", deadline=None)
settings.load_profile("reelay")


class _OneProcessPerFile(LoadScopeScheduling):
    """Runs each file's tests in one process, as they share fixtures, and the stack's in one in all.

    Two stacks at once would overload a small machine.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "tests/e2e" if file.startswith("tests/e2e/") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Distribute the tests over pytest-xdist's processes."""
    return _OneProcessPerFile(config, log)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start a browser for a module. Playwright's event loop would disturb other modules' tests."""
    with launched() as browser:
        yield browser
