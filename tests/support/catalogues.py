"""Catalogues of given videos, in a database in memory."""

import weakref
from collections.abc import Iterable

from service.catalogue.catalogue import Catalogue
from service.catalogue.writer import Writer
from service.database.database import Database
from service.database.rows import Version
from service.models import Video

_writers: "weakref.WeakKeyDictionary[Catalogue, Writer]" = weakref.WeakKeyDictionary()


def catalogue_of(videos: Iterable[Video] = (), previous: Catalogue | None = None) -> Catalogue:
    """Return a catalogue of these videos; as the one that follows on `previous`, if given."""
    writer = Writer(Database(":memory:")) if previous is None else _writers[previous]
    some = list(videos)
    known = {}
    if previous is not None:
        known = {video.path: video for video in writer.catalogue.videos}
    kept = {video.path for video in some if known.get(video.path) == video}
    folders = {path.rpartition("/")[0] for path in known}
    stored = [row for folder in folders for row in writer.stored(folder)]
    gone = [(row, None) for row in stored if row.path not in kept]
    new = ((None, Version(video, video.modified)) for video in some if video.path not in kept)
    catalogue = writer.update([*gone, *new])
    _writers[catalogue] = writer
    return catalogue
