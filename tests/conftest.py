"""Settings and fixtures of all tests."""

import os
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from hypothesis import settings
from playwright.sync_api import Browser
from support.chromium import launched
from support.object_store import bucket, swift

from service.probing.prober import Prober

__all__ = ["bucket", "swift"]  # fixtures for all

# Compile modules once, and not in each of the processes that the tests start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# No limit of time: CI machines are shared.
settings.register_profile("reelay", deadline=None)
settings.load_profile("reelay")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start a browser for a module. Playwright's event loop would disturb other modules' tests."""
    with launched() as browser:
        yield browser


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def prober() -> AsyncIterator[Prober]:
    """Start a prober for the tests of a module, which need the module's event loop for it."""
    prober = Prober()
    yield prober
    await prober.close()
