"""Media playlists of HTTP Live Streaming (RFC 8216), for films with a fragmented form."""

import math

from quart import Response, request

from service.api import links
from service.api.videos import get_video
from service.artefacts.remux_headers import RemuxHeaders
from service.errors import HTTPError, NotFoundError
from service.http.documents import Document
from service.library.library import Library
from service.mp4.fragment_table import FragmentTable
from service.protocol.media_types import HLS_TYPE
from service.protocol.revisions import fragmented_revision
from service.representations.fragmented import FragmentedRepresentation
from service.representations.remuxed import Remuxed

_VERSION = 7  # §7: EXT-X-MAP and EXT-X-BYTERANGE need 6; 7 is what Apple asks of fragmented MP4


class HlsView:
    """`/playlists/<path>.m3u8`."""

    def __init__(self, library: Library, headers: RemuxHeaders, files: Remuxed) -> None:
        self._library = library
        self._headers = headers
        self._files = files

    async def show(self, path: str) -> Response:
        """Send the playlist of the revision `?v=`; without it, of the current one."""
        pin = request.args.get("v")
        table, revision = await self._open(path, pin or self._current(path))
        response = Document.from_text(
            media_playlist(table, links.fragments(path, revision)), HLS_TYPE
        ).to_response()
        response.headers["Cache-Control"] = "no-cache"
        return response

    def _current(self, path: str) -> str:
        video = get_video(self._library, path)
        digest = self._headers.fragments_digest(path, video.revision)
        if digest is None:
            raise NotFoundError("This file has no HLS playlist: see its findings.")
        return fragmented_revision(video.revision, digest)

    async def _open(self, path: str, revision: str) -> tuple[FragmentTable, str]:
        source = await self._files.open(path, revision)
        try:
            current = source.representation.validators.revision
            if not isinstance(source, FragmentedRepresentation) or current != revision:
                reason = "This revision of the file has been superseded."
                raise HTTPError(410, reason, {"Cache-Control": "no-store"})
            return source.table, revision
        finally:
            source.close()


def media_playlist(table: FragmentTable, url: str) -> str:
    """Return the playlist of fragments of the resource `url`: a segment for each."""
    starts, times = table.starts, table.times
    lengths = [(times[n + 1] - times[n]) / 1e6 for n in range(1, len(starts) - 1)]
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{_VERSION}",
        f"#EXT-X-TARGETDURATION:{math.ceil(max(lengths))}",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        f'#EXT-X-MAP:URI="{url}",BYTERANGE="{starts[1]}@0"',
    ]
    for number, length in enumerate(lengths, 1):
        size = starts[number + 1] - starts[number]
        lines += [f"#EXTINF:{length:.6f},", f"#EXT-X-BYTERANGE:{size}@{starts[number]}", url]
    return "\n".join([*lines, "#EXT-X-ENDLIST", ""])
