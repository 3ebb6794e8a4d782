"""The part of the library that the current request may see."""

from cachetools import LRUCache

from service.access.grants import Scope, current_grant
from service.catalogue.catalogue import Catalogue
from service.library.library import Library
from service.models import Video

# Catalogues of share links that are kept. One has 40 bytes a video.
_MAX_CATALOGUES = 16

_WHOLE = Scope("folder", "")


class VisibleLibrary:
    """Reads the library as the current request's grant allows.

    For a share link the catalogue holds the link's videos alone, so that nothing that reads it can
    show others.
    """

    def __init__(self, library: Library) -> None:
        self._library = library
        self._catalogues: LRUCache[Scope, tuple[Catalogue, Catalogue]] = LRUCache(_MAX_CATALOGUES)
        """The whole catalogue, and the one that was made of it, by the link's scope."""

    @property
    def scanned(self) -> bool:
        """Whether a scan has finished."""
        return self._library.scanned

    @property
    def catalogue(self) -> Catalogue:
        """What is listed now."""
        whole, scope = self._library.catalogue, current_grant().scope
        if scope is None or scope == _WHOLE:
            return whole
        source, catalogue = self._catalogues.get(scope, (None, None))
        if catalogue is None or source is not whole:
            is_folder = scope.kind == "folder"
            catalogue = whole.within(scope.path) if is_folder else whole.of_video(scope.path)
            self._catalogues[scope] = whole, catalogue
        return catalogue

    @property
    def recent(self) -> tuple[Video, ...]:
        """The videos that were added last, the latest first."""
        grant = current_grant()
        return tuple(video for video in self._library.recent if grant.contains(video.path))

    def folder_image(self, folder: str) -> str | None:
        """Return the path of a folder's picture; None if it has none that may be seen."""
        scope = current_grant().scope
        if scope is not None and not scope.contains_folder(folder):
            return None
        return self._library.folder_image(folder)
