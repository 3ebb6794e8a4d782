"""What programs that read the web by themselves are asked to leave alone."""

from quart import Response

from service.http.documents import Document

NOINDEX = "noindex, nofollow"
"""X-Robots-Tag of all that search engines are not to list."""

# Bytes and answers for programs are nobody's search result. Pages may be read even where none are
# to be listed: who shows a link to one has to read it, and heeds this as well.
_RULES = "User-agent: *\nDisallow: /api/\nDisallow: /download/\n"
_NO_BYTES = "Disallow: /captions/\nDisallow: /media/\nDisallow: /storyboards/\n"


class RobotsView:
    """`/robots.txt`."""

    def __init__(self, *, indexable: bool) -> None:
        """Take whether search engines may list the pages."""
        self._document = Document.from_text(
            _RULES if indexable else _RULES + _NO_BYTES, "text/plain; charset=utf-8"
        )

    async def show(self) -> Response:
        """Say what is to be left alone."""
        return self._document.to_response()
