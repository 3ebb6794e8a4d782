"""Settings and fixtures of all tests, and how they are divided among processes."""

import gc
import os
import sys
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import settings
from playwright.sync_api import Browser, Playwright, sync_playwright
from support import firefox
from support.chromium import launch
from support.object_store import bucket, swift
from support.own_prober import OwnProber
from xdist.scheduler import LoadFileScheduling

__all__ = ["bucket", "swift"]  # fixtures for all

# Compile modules once, instead of in each process that runs tests or is started by one.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# The kernel divides processors among sessions first (sched(7), autogroup). Workers of the service
# have idle priority: in one session with all tests, they would hardly run on a busy machine.
if "PYTEST_XDIST_WORKER" in os.environ:
    with suppress(PermissionError):  # it has a session of its own
        os.setsid()

# No limit of time: CI machines are shared.
settings.register_profile("reelay", deadline=None)
settings.load_profile("reelay")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Spare the garbage collector the tests that are collected: a million objects that all stay."""
    gc.disable()
    collected = yield
    gc.freeze()
    gc.enable()
    return collected


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Pass over files without slow tests if only those run: each process collects all files."""
    is_passed_over = (
        config.option.markexpr == "slow"
        and collection_path.match("test_*.py")
        and "mark.slow" not in collection_path.read_text(encoding="utf-8")
    )
    return is_passed_over or None


# Of these, `pytest -m slow` has minutes: the last file would else run alone at the end.
_LONGEST = (
    "test_failures", "test_fragments", "test_made_fragments", "test_min_uses", "test_refused_files",
    "test_slow_clients", "test_sound_choice", "test_track_choice",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files."""
    items.sort(key=lambda item: item.path.stem not in _LONGEST)


class StackScheduling(LoadFileScheduling):
    """Runs each file in one process.

    The files of a folder of tests/e2e share a stack, so they run in the same process.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = PurePosixPath(super()._split_scope(nodeid))
        return str(file.parent if file.parent.parent.name == "e2e" else file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> StackScheduling:
    """Return the scheduler of the processes that run tests."""
    return StackScheduling(config, log)


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """Start Playwright for a module. Its event loop would disturb other modules' tests."""
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """Start Chromium's headless shell."""
    with launch(playwright) as browser:
        yield browser


@pytest.fixture(scope="module")
def complete_browser(playwright: Playwright) -> Iterator[Browser]:
    """Start the Chromium that viewers have."""
    with launch(playwright, complete=True) as browser:
        yield browser


@pytest.fixture(scope="session")
def running_firefox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[firefox.Tab]:
    """Start Firefox for all tests of a process: a start takes 3 s of a processor."""
    with firefox.tab("", tmp_path_factory.mktemp("firefox")) as tab:
        yield tab


@pytest.fixture(scope="module")
def firefox_tab(running_firefox: firefox.Tab) -> Iterator[firefox.Tab]:
    """Return Firefox for tests that call `at` or `renew`. Nothing plays after the module."""
    with running_firefox.at("") as tab:
        yield tab


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def prober() -> AsyncIterator[OwnProber]:
    """Start a prober for the tests of a module, which need the module's event loop for it."""
    prober = OwnProber()
    yield prober
    await prober.close()
