"""Which files beside a video belong to it, by their names alone. Pure: names in, names out.
Law: a file belongs to the video with the longest name that its own begins with."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from service.protocol.media_types import media_type

TEXTS = (".vtt", ".srt")
"""Endings of captions and chapters; of two that tell the same, the first wins."""
IMAGES = (".jpg", ".jpeg", ".png", ".webp")
"""Endings of pictures, likewise."""
ENDINGS = TEXTS + IMAGES
"""What a scan has to list beside media files, in any case."""

MOST = 64
"""Captions of one video; more are left out. The longest lists on discs have 32."""

_FOR_ALL = ("poster", "folder", "cover")  # as media players name a folder's picture
_CHAPTERS = "chapters"


@dataclass(frozen=True, slots=True)
class Sidecars:
    """Names of files in a video's folder that belong to it."""

    image: str | None = None
    chapters: str | None = None
    captions: tuple[str, ...] = ()


class Folder:
    """The names in one folder, prepared: to build it takes a while, to ask it takes none."""

    def __init__(self, names: Iterable[str]) -> None:
        """Take all names of media files and sidecars in a folder; others do no harm."""
        listed = sorted(set(names))  # the same answers on every replica
        self._videos = {_key(_stem(name)) for name in listed if media_type(name)}
        self._texts: defaultdict[str, list[str]] = defaultdict(list)
        self._images: dict[str, str] = {}
        for name in listed:
            stem, ending = _stem(name), _ending(name)
            if ending in TEXTS:
                owner = self._owner(_key(stem))
                if owner is not None:
                    self._texts[owner].append(name)
            elif ending in IMAGES:
                before = self._images.get(_key(stem))
                if before is None or IMAGES.index(ending) < IMAGES.index(_ending(before)):
                    self._images[_key(stem)] = name
        shared = (stem for stem in _FOR_ALL if stem not in self._videos)
        self._for_all = next(filter(None, map(self._images.get, shared)), None)

    def beside(self, video: str) -> Sidecars:
        """Give what belongs to the video of that file name."""
        key = _key(_stem(video))
        poster = f"{key}-poster"
        if poster in self._videos:
            poster = ""  # it is another video's
        image = self._images.get(key) or self._images.get(poster) or self._for_all
        texts = self._texts.get(key, ())
        chapters = [name for name in texts if is_chapters(video, name)]
        return Sidecars(
            image,
            min(chapters, key=_preference, default=None),
            tuple(name for name in texts if name not in chapters)[:MOST],
        )

    def _owner(self, key: str) -> str | None:
        """Give the longest stem of a video that a sidecar's is, or goes on from with a dot."""
        while key not in self._videos:
            key, dot, _ = key.rpartition(".")
            if not dot:
                return None
        return key


def words(video: str, sidecar: str) -> tuple[str, ...]:
    """Give what a sidecar's name tells beyond its video's: `en`, `forced` of film.en.forced.srt."""
    rest = unicodedata.normalize("NFC", _stem(sidecar))
    dots = _key(_stem(video)).count(".") + 1  # keys have as many as names
    return tuple(word.strip() for word in rest.split(".")[dots:] if word.strip())


def is_chapters(video: str, sidecar: str) -> bool:
    """Whether a sidecar names the chapters of its video."""
    return _CHAPTERS in map(str.lower, words(video, sidecar))


def _preference(name: str) -> tuple[int, int, str]:
    return name.count("."), TEXTS.index(_ending(name)), name


def _key(stem: str) -> str:
    """Drop what file systems do not agree on: case, and how accents are composed."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", stem).casefold())


def _stem(name: str) -> str:
    return name.rpartition(".")[0]


def _ending(name: str) -> str:
    return f".{name.rpartition('.')[2].lower()}"
