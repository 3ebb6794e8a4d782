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


# Chromium fails its requests when a network is created, as a stack does ("ERR_NETWORK_CHANGED").
_STACK_AND_CHROMIUM = (
    "tests/e2e/",
    "tests/integration/test_clocks.py",
    "tests/integration/test_cors.py",
    "tests/integration/test_containers.py",
    "tests/integration/test_fast_start.py",
    "tests/integration/test_library_page.py",
    "tests/integration/test_odd_visits.py",
    "tests/integration/test_refused_files.py",
    "tests/integration/test_static_files.py",
    "tests/integration/test_track_choice.py",
)


class _OneProcessPerFile(LoadScopeScheduling):
    """Runs each file's tests in one process, as they share fixtures. Those of the stack and of
    Chromium run one after another, but for the slow ones, which do not use Chromium.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        in_turn = self.config.option.markexpr != "slow" and file.startswith(_STACK_AND_CHROMIUM)
        return "stack and Chromium" if in_turn else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Distribute the tests over pytest-xdist's processes."""
    return _OneProcessPerFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse slow tests that use Chromium: slow tests of the stack run beside each other."""
    for item in items:
        if item.get_closest_marker("slow") and "browser" in getattr(item, "fixturenames", ()):
            raise pytest.UsageError(f"{item.nodeid}: a slow test must not use Chromium.")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start a browser for a module. Playwright's event loop would disturb other modules' tests."""
    with launched() as browser:
        yield browser
