"""Builders of the service's own URLs, with paths percent-encoded."""

from urllib.parse import quote, urlencode

from quart import g

from service.models import Video
from service.protocol.revisions import remuxed_revision
from service.representations.fast_start import fast_start_revision


def absolute(url: str) -> str:
    """Return a URL with the scheme and host that the client used (`service/http/origins.py`).

    Without a valid host the URL stays relative.
    """
    return f"{g.origin}{url}"


def watch(path: str) -> str:
    """Return the page that plays a video."""
    return f"/watch/{quote(path)}"


def api(path: str) -> str:
    """Return a video's JSON."""
    return f"/api/videos/{quote(path)}"


def embed(path: str) -> str:
    """Return the player for embedding in other sites."""
    return f"/embed/{quote(path)}"


def media(video: Video, layout: str | None = None) -> str:
    """Return one revision of a video for players, in its fast-start form if it has one.

    `layout` is the name of the layout that makes it an MP4.
    """
    moved = video.metadata is not None and video.metadata.fast_start
    revision = fast_start_revision(video.revision) if moved else video.revision
    if layout is not None:
        revision = remuxed_revision(video.revision, layout)
    return f"/media/{quote(video.path)}?v={revision}"


def download(path: str, revision: str) -> str:
    """Return one revision of a file for saving."""
    return f"/download/{quote(path)}?v={revision}"


def poster(path: str, version: str, width: int) -> str:
    """Return a poster."""
    return f"/posters/{quote(path)}?v={version}&w={width}"


def as_jpeg(poster_url: str) -> str:
    """Return the same poster as JPEG."""
    path, _, query = poster_url.partition("?")
    return f"{path}.jpg?{query}"


def storyboard(path: str, version: str) -> str:
    """Return a storyboard's index in WebVTT."""
    return f"/storyboards/{quote(path)}.vtt?v={version}"


def sheet(path: str, number: int, version: str) -> str:
    """Return a storyboard's sheet of tiles."""
    return f"/storyboards/{quote(path)}/{number}.webp?v={version}"


def captions(path: str, track: str, version: str) -> str:
    """Return a track of captions or the chapters."""
    return f"/captions/{quote(path)}/{quote(track)}.vtt?v={version}"


def folder(path: str) -> str:
    """Return a folder's page."""
    return f"/?folder={quote(path)}"


def copy(path: str) -> str:
    """Return where a film is asked to be made an MP4."""
    return f"/copies/{quote(path)}"


def playlist(path: str) -> str:
    """Return a video's playlist for players outside the browser."""
    return f"/playlists/{quote(path)}.m3u"


def oembed(page: str) -> str:
    """Return the oEmbed request for a page, which is an absolute URL."""
    return f"/oembed?{urlencode({'url': page})}"
