"""The system's Chromium, which plays H.264; that of Playwright does not."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Error,
    Page,
    Playwright,
    Request,
    expect,
    sync_playwright,
)

from support.server import until

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

TIMEOUT = 120_000
"""Milliseconds after which a wait for a page fails. The machine may be busy."""

_WITHOUT_NETLINK = Path(__file__).with_name("chromium_without_netlink.py")


@contextmanager
def launched(*, complete: bool = False, strict_autoplay: bool = False) -> Iterator[Browser]:
    """Start Playwright and Chromium for the block, as `launch` does."""
    with (
        sync_playwright() as playwright,
        launch(playwright, complete=complete, strict_autoplay=strict_autoplay) as browser,
    ):
        yield browser


@contextmanager
def launch(
    playwright: Playwright, *, complete: bool = False, strict_autoplay: bool = False
) -> Iterator[Browser]:
    """Start Chromium for the block.

    Its headless shell is the same engine and player without a desktop browser around it, and needs
    half the processor time. With `complete` it is the browser that viewers have.
    With `strict_autoplay` sound plays only after a click or a key, as viewers have it.
    If it is not installed, skip the test, or fail where skipping is not allowed.
    """
    names = ("chromium-headless-shell", "chromium", "google-chrome", "chrome")[complete:]
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        missing = f"none of {', '.join(names)} is installed"
        assert os.environ.get("REELAY_REQUIRE_STACK") != "1", missing
        pytest.skip(missing)
    expect.set_options(timeout=TIMEOUT)
    browser = playwright.chromium.launch(
        executable_path=_WITHOUT_NETLINK,
        args=ARGUMENTS[:-1] if strict_autoplay else ARGUMENTS,
        env={**os.environ, "REELAY_CHROMIUM": path},
    )
    yield browser
    browser.close()


def until_true(page: Page, expression: str, timeout: float = 60) -> None:
    """Evaluate the expression until it is true, also while the page changes to another one.

    `Page.wait_for_function` evaluates a string again within the page, which the content security
    policy of the service forbids: it fails wherever the first evaluation is false.
    """

    def is_true() -> bool:
        try:
            return bool(page.evaluate(expression))
        except Error as error:
            if "context was destroyed" in str(error):
                return False
            raise

    until(is_true, expression, timeout)


VIOLATION = """document.addEventListener("securitypolicyviolation", (event) =>
    complain(`policy: ${event.effectiveDirective} ${event.blockedURI} ${event.sample}`));"""


@contextmanager
def watched(browser: Browser, base: str, **options: Any) -> Iterator[tuple[Page, list[str]]]:
    """Open a page; yield it with a list of its faults.

    Faults are console errors, uncaught exceptions, violations of the content security policy, and
    requests to other hosts.
    """
    context = browser.new_context(ignore_https_errors=True, base_url=base, **options)
    context.set_default_timeout(TIMEOUT)
    complaints: list[str] = []

    def record_console_error(message: ConsoleMessage) -> None:
        # The console also reports the 4xx status of the page itself.
        own = message.page is not None and message.location["url"] == message.page.url
        if message.type == "error" and not (own and "status of 4" in message.text):
            complaints.append(f"{message.text} {message.location['url']}")

    def complain(complaint: str) -> None:
        complaints.append(complaint)

    def record_foreign_request(request: Request) -> None:
        if not request.url.startswith((f"{base}/", f"blob:{base}/")):
            complaints.append(f"elsewhere: {request.url}")

    context.expose_function("complain", complain)
    context.add_init_script(VIOLATION)
    context.on("console", record_console_error)
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    context.on("request", record_foreign_request)
    try:
        yield context.new_page(), complaints
    finally:
        context.close()


@contextmanager
def flawless(browser: Browser, base: str, **options: Any) -> Iterator[Page]:
    """Open a page on which any fault fails the test."""
    with watched(browser, base, **options) as (page, complaints):
        yield page
    assert complaints == [], complaints
