"""`/robots.txt` and the X-Robots-Tag header."""

from quart import Response

from service.http.documents import Document

NOINDEX = "noindex, nofollow"
"""The X-Robots-Tag of pages that search engines should not list."""

# Media and JSON are no search results. Pages are allowed even if they should not be listed: sites
# that show link previews must read them, and obey this file too.
_RULES = "User-agent: *\nDisallow: /api/\nDisallow: /download/\n"
_NO_BYTES = "Disallow: /captions/\nDisallow: /media/\nDisallow: /storyboards/\n"


class RobotsView:
    """`/robots.txt`."""

    def __init__(self, *, indexable: bool) -> None:
        """`indexable`: search engines may list the pages."""
        self._document = Document.from_text(
            _RULES if indexable else _RULES + _NO_BYTES, "text/plain; charset=utf-8"
        )

    async def show(self) -> Response:
        """Send the rules."""
        return self._document.to_response()
