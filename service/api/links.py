"""Our own URLs. Every character of a file's name that means something in a URL is escaped."""

from urllib.parse import quote, urlencode

from quart import g

from service.models import Video
from service.representations.fast_start import laid_out_revision


def absolute(url: str) -> str:
    """Add scheme and host to one of these, as the client knows them: for what is read elsewhere.

    `service/http/origins.py` says which they are. Where there is no host that could be one, the
    URL stays as it is.
    """
    return f"{g.origin}{url}"


def watch(path: str) -> str:
    """Give the page that plays a video."""
    return f"/watch/{quote(path)}"


def api(path: str) -> str:
    """Give what is known of a video, as JSON."""
    return f"/api/videos/{quote(path)}"


def embed(path: str) -> str:
    """Give the player alone, for pages elsewhere."""
    return f"/embed/{quote(path)}"


def media(video: Video) -> str:
    """Give the bytes of one revision, for players: with the index in front, where that is known."""
    moved = video.metadata is not None and video.metadata.fast_start
    revision = laid_out_revision(video.revision) if moved else video.revision
    return f"/media/{quote(video.path)}?v={revision}"


def download(path: str, revision: str) -> str:
    """Give the bytes of one revision, to be saved."""
    return f"/download/{quote(path)}?v={revision}"


def poster(path: str, version: str, width: int) -> str:
    """Give one of the pictures that stand for a video."""
    return f"/posters/{quote(path)}?v={version}&w={width}"


def as_jpeg(poster_url: str) -> str:
    """Give the same picture as JPEG, for those who know no WebP."""
    path, _, query = poster_url.partition("?")
    return f"{path}.jpg?{query}"


def storyboard(path: str, version: str) -> str:
    """Give the WebVTT that tells the tiles of a storyboard."""
    return f"/storyboards/{quote(path)}.vtt?v={version}"


def sheet(path: str, number: int, version: str) -> str:
    """Give a storyboard's sheet of tiles."""
    return f"/storyboards/{quote(path)}/{number}.webp?v={version}"


def captions(path: str, track: str, version: str) -> str:
    """Give a track of captions, or the chapters."""
    return f"/captions/{quote(path)}/{quote(track)}.vtt?v={version}"


def folder(path: str) -> str:
    """Give the page of a folder."""
    return f"/?folder={quote(path)}"


def playlist(path: str) -> str:
    """Give a playlist of one video, for players outside the browser."""
    return f"/playlists/{quote(path)}.m3u"


def oembed(page: str) -> str:
    """Give where to ask for the frame that shows what a page of ours plays; `page` is absolute."""
    return f"/oembed?{urlencode({'url': page})}"
