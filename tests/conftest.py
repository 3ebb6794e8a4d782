"""Settings and fixtures of all tests."""

from collections.abc import Iterator

import pytest
from hypothesis import settings
from playwright.sync_api import Browser
from support.chromium import launched
from support.object_store import bucket, swift

__all__ = ["bucket", "swift"]  # fixtures for all

# No limit of time: CI machines are shared.
settings.register_profile("reelay", deadline=None)
settings.load_profile("reelay")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep tests that share an expensive fixture in one of pytest-xdist's processes."""
    for item in items:
        if item.get_closest_marker("stack"):
            group = "compose stack"  # two stacks at once would overload a small machine
        elif "swift" in getattr(item, "fixturenames", ()):
            group = "object store"
        elif "integration" in item.path.parts:
            group = item.path.name
        else:
            continue
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start a browser for a module. Playwright's event loop would disturb other modules' tests."""
    with launched() as browser:
        yield browser
