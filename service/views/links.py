"""Our own URLs. Every character of a file's name that means something in a URL is escaped."""

from urllib.parse import quote


def watch(path: str) -> str:
    """Give the page that plays a video."""
    return f"/watch/{quote(path)}"


def media(path: str, revision: str) -> str:
    """Give the bytes of one revision, for players."""
    return f"/media/{quote(path)}?v={revision}"


def download(path: str, revision: str) -> str:
    """Give the bytes of one revision, to be saved."""
    return f"/download/{quote(path)}?v={revision}"


def folder(path: str) -> str:
    """Give the page of a folder."""
    return f"/?folder={quote(path)}"
