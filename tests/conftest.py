"""What holds for every test, and what some of them share: a browser, an object store."""

from collections.abc import Iterator

import pytest
from hypothesis import settings
from playwright.sync_api import Browser
from support.chromium import launched
from support.object_store import bucket, swift

__all__ = ["bucket", "swift"]  # fixtures for all

# No bound on time: these machines are shared.
settings.register_profile("reelay", deadline=None)
settings.load_profile("reelay")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start one. Not for longer: Playwright's event loop would be in the way of other tests'."""
    with launched() as browser:
        yield browser
