"""What holds for every test, and the browser that some of them share."""

from collections.abc import Iterator

import pytest
from chromium import launched
from hypothesis import settings
from playwright.sync_api import Browser

# No bound on time: these machines are shared.
settings.register_profile("reelay", deadline=None)
settings.load_profile("reelay")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start one. Not for longer: Playwright's event loop would be in the way of other tests'."""
    with launched() as browser:
        yield browser
