"""A browser that knows H.264, which the one that Playwright brings does not."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]


@contextmanager
def launched() -> Iterator[Browser]:
    """Start it; it ends with the block. Where there is none, the test is skipped, or fails where
    nothing may be skipped."""
    names = ("chromium", "google-chrome", "chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        missing = f"none of {', '.join(names)} is installed"
        assert os.environ.get("REELAY_REQUIRE_STACK") != "1", missing
        pytest.skip(missing)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def flawless(browser: Browser, base: str) -> Iterator[Page]:
    """Open a page on which nothing may go wrong: no error in the console, no violated policy."""
    context = browser.new_context(ignore_https_errors=True, base_url=base)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert complaints == []


def network_is_quiet() -> bool | None:
    """Say whether the new containers' links have got their addresses (Linux' IFA_F_TENTATIVE).

    A browser on the machine drops its connections when they do: net::ERR_NETWORK_CHANGED.
    """
    table = Path("/proc/net/if_inet6")
    lines = table.read_text(encoding="ascii").splitlines() if table.exists() else []
    return all(int(line.split()[4], 16) & 0x40 == 0 for line in lines) or None
