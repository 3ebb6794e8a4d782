"""The text of a page: its HTML, style sheets and scripts, without pictures and data."""

from playwright.sync_api import Page, Request

TEXT = {"document", "stylesheet", "script"}  # Playwright's resource types


class SentText:
    """The text that a page gets from now on."""

    def __init__(self, page: Page) -> None:
        self._requests: list[Request] = []
        page.on("requestfinished", self._add)

    def _add(self, request: Request) -> None:
        if request.resource_type in TEXT:
            self._requests.append(request)

    def count(self) -> int:
        """Return its bytes so far as they were sent, with the heads of responses."""
        sizes = [request.sizes() for request in self._requests]
        return sum(size["responseHeadersSize"] + size["responseBodySize"] for size in sizes)
