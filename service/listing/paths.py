"""Paths of folders: a folder is named by its path from the root, which is ""."""


def parent(path: str) -> str:
    """Return the path of the folder that contains a file or folder."""
    return path.rpartition("/")[0]


def parents(path: str) -> list[str]:
    """Return the paths between the root and a folder, without both."""
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]
