"""Builders of the service's own URLs, with paths percent-encoded.

All begin with the prefix of the request's share link, if it has one.
"""

from functools import lru_cache
from urllib.parse import quote, urlencode

from quart import g

from service.access.grants import current_grant
from service.models import Video
from service.protocol.revisions import remuxed_revision
from service.representations.fast_start import fast_start_revision


@lru_cache(maxsize=64)
def _quoted(path: str) -> str:
    """Return a path percent-encoded, once for all links of a video."""
    return quote(path)


def prefix() -> str:
    """Return what the paths of all links begin with; "" but by a share link."""
    return current_grant().prefix


def home() -> str:
    """Return the home page, or what a share link opens."""
    return f"{prefix()}/"


def videos() -> str:
    """Return the list of all videos."""
    return f"{prefix()}/videos"


def page(name: str) -> str:
    """Return a page that templates name: without parameters."""
    # By a share link there is no way to the last three.
    pages = {"library": home(), "videos": videos()}
    return pages.get(name) or f"/{name}"


def absolute(url: str) -> str:
    """Return a URL with the scheme and host that the client used (`service/http/origins.py`).

    Without a valid host the URL stays relative.
    """
    return f"{g.origin()}{url}"


def watch(path: str) -> str:
    """Return the page that plays a video."""
    return f"{prefix()}/watch/{_quoted(path)}"


def api(path: str) -> str:
    """Return a video's JSON."""
    return f"{prefix()}/api/videos/{_quoted(path)}"


def embed(path: str) -> str:
    """Return the player for embedding in other sites."""
    return f"{prefix()}/embed/{_quoted(path)}"


def media_revision(path: str, revision: str) -> str:
    """Return a video for players by the revision of what they get."""
    return f"{prefix()}/media/{_quoted(path)}?v={revision}"


def media(video: Video, layout: str | None = None) -> str:
    """Return one revision of a video for players, in its fast-start form if it has one.

    `layout` is the name of the layout that makes it an MP4.
    """
    moved = video.metadata is not None and video.metadata.fast_start
    revision = fast_start_revision(video.revision) if moved else video.revision
    if layout is not None:
        revision = remuxed_revision(video.revision, layout)
    return media_revision(video.path, revision)


def download(path: str, revision: str) -> str:
    """Return one revision of a file for saving."""
    return f"{prefix()}/download/{_quoted(path)}?v={revision}"


def poster(path: str, version: str, width: int | None = None) -> str:
    """Return a poster, the narrowest one without a width. A folder's path ends with a slash."""
    query = "" if width is None else f"&w={width}"
    return f"{prefix()}/posters/{_quoted(path)}?v={version}{query}"


def still(path: str, version: str, width: int | None = None) -> str:
    """Return a still."""
    return f"{poster(path, version, width)}&still=1"


def as_jpeg(poster_url: str) -> str:
    """Return the same poster as JPEG."""
    path, _, query = poster_url.partition("?")
    return f"{path}.jpg?{query}"


def storyboard(path: str, version: str) -> str:
    """Return a storyboard's index in WebVTT."""
    return f"{prefix()}/storyboards/{_quoted(path)}.vtt?v={version}"


def sheet(path: str, number: int, version: str) -> str:
    """Return a storyboard's sheet of tiles."""
    return f"{prefix()}/storyboards/{_quoted(path)}/{number}.webp?v={version}"


def captions(path: str, track: str, version: str) -> str:
    """Return a track of captions or the chapters."""
    return f"{prefix()}/captions/{_quoted(path)}/{quote(track)}.vtt?v={version}"


def folder(path: str) -> str:
    """Return a folder's page."""
    return f"{prefix()}/?folder={_quoted(path)}"


def series(title: str, season: str | None = None) -> str:
    """Return the page of a series, or of one of its seasons."""
    query = "" if season is None else f"?season={quote(season)}"
    return f"{prefix()}/series/{quote(title)}{query}"


def copy(path: str) -> str:
    """Return where a film is asked to be made an MP4."""
    return f"{prefix()}/copies/{_quoted(path)}"


def playlist(path: str) -> str:
    """Return a video's playlist for players outside the browser."""
    return f"{prefix()}/playlists/{_quoted(path)}.m3u"


def oembed(page: str) -> str:
    """Return the oEmbed request for a page, which is an absolute URL."""
    return f"{prefix()}/oembed?{urlencode({'url': page})}"
