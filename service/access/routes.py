"""Which routes are open to everybody, and which a share link opens."""

from service.access.grants import Grant

_OPEN = frozenset({"/favicon.ico", "/robots.txt", "/healthz", "/readyz"})
_OPEN_PREFIXES = ("/static/", "/sign-in/")

# Those that a link opens, and that show what its grant contains by themselves: their views read the
# library through `VisibleLibrary`.
_LISTINGS = frozenset({"/", "/videos", "/oembed", "/playlists", "/api/videos"})
_LISTING_PREFIXES = ("/series/",)

# Where players send reports, which name no video.
_REPORTS = "/viewing-reports"

# Those that name a video: the path's ends that are no part of the video's path.
_VIDEO_PREFIXES = (
    "/watch/",
    "/embed/",
    "/media/",
    "/download/",
    "/copies/",
    "/api/videos/",
    "/api/next/",
)
_POSTERS, _STORYBOARDS, _CAPTIONS, _PLAYLISTS = (
    "/posters/",
    "/storyboards/",
    "/captions/",
    "/playlists/",
)
_DOWNLOADS = ("/download/", "/playlists")


def is_open(path: str) -> bool:
    """Return whether a path is answered without any permission."""
    return path in _OPEN or path == "/sign-in" or path.startswith(_OPEN_PREFIXES)


def is_download(path: str) -> bool:
    """Return whether a path is one that a link without downloads does not open."""
    return path.startswith(_DOWNLOADS)


def is_shared(path: str, grant: Grant) -> bool:
    """Return whether a share link opens a path, which is without the link's prefix."""
    if path == _REPORTS or path in _LISTINGS or path.startswith(_LISTING_PREFIXES):
        return True
    for prefix in _VIDEO_PREFIXES:
        if path.startswith(prefix):
            return grant.contains(path.removeprefix(prefix))
    if path.startswith(_POSTERS):
        return _is_poster_shared(path.removeprefix(_POSTERS), grant)
    if path.startswith(_STORYBOARDS):
        rest = path.removeprefix(_STORYBOARDS)
        video = rest.removesuffix(".vtt") if rest.endswith(".vtt") else rest.rpartition("/")[0]
        return grant.contains(video)
    if path.startswith(_CAPTIONS):
        return grant.contains(path.removeprefix(_CAPTIONS).rpartition("/")[0])
    if path.startswith(_PLAYLISTS):
        return grant.contains(path.removeprefix(_PLAYLISTS).removesuffix(".m3u"))
    return False


def _is_poster_shared(path: str, grant: Grant) -> bool:
    """Return whether a poster may be seen: a video's, also as JPEG, or a folder's."""
    if path.endswith("/"):
        return grant.scope is not None and grant.scope.contains_folder(path.removesuffix("/"))
    return grant.contains(path) or grant.contains(path.removesuffix(".jpg"))
