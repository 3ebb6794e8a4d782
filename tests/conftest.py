"""What holds for every test, and the browser and the object store that some of them share."""

from collections.abc import Iterator

import pytest
from chromium import launched
from hypothesis import settings
from object_store import bucket, swift
from playwright.sync_api import Browser

__all__ = ["browser", "bucket", "swift"]

# No bound on time: these machines are shared.
settings.register_profile("reelay", deadline=None)
settings.load_profile("reelay")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start one. Not for longer: Playwright's event loop would be in the way of other tests'."""
    with launched() as browser:
        yield browser
