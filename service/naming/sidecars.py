"""The sidecar files of videos, matched by name.

A sidecar belongs to the video with the longest name that its own name begins with.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from service.protocol.media_types import UNSUPPORTED_SUBTITLES, media_type
from service.storage.base import Entry

CONVERTED_EXTENSIONS = (".vtt", ".srt", ".ass", ".ssa")
"""Extensions of captions and chapters. If two files are equivalent, the first extension wins."""
UNSUPPORTED_EXTENSIONS = tuple(f".{extension}" for extension in UNSUPPORTED_SUBTITLES)
"""Extensions of subtitles that are mentioned, but not shown."""
TEXT_EXTENSIONS = (*CONVERTED_EXTENSIONS, *UNSUPPORTED_EXTENSIONS)
IMAGE_EXTENSIONS = (
    *(".jpg", ".jpeg", ".png", ".webp", ".avif", ".gif", ".bmp", ".tiff", ".tif"),
    *(".heic", ".heif"),  # not converted, but the page says so
)
"""Extensions of images, with the same preference."""

MAX_TEXTS = 256
"""Captions and chapters of one video that are read. YouTube translates captions into some 130
languages."""

# As Kodi and Jellyfin name the pictures of a folder and of a video, the first ones first.
_FOLDER_IMAGES = ("poster", "folder", "cover")
_FOLDER_STILLS = ("thumb", "landscape", "fanart", "backdrop")
_POSTER_SUFFIXES = ("-poster", "")
_STILL_SUFFIXES = ("-thumb", "-landscape", "-fanart", "-backdrop", "")

_CHAPTERS = "chapters"


@dataclass(frozen=True, slots=True)
class SidecarNames:
    """The names of a video's sidecars."""

    image: str | None = None
    """For cards; it may be upright."""
    chapters: str | None = None
    captions: tuple[str, ...] = ()
    still: str | None = None
    """For players; it is not the same file as the image."""


@dataclass(frozen=True, slots=True)
class Sidecars:
    """The sidecars of a video."""

    image: Entry | None = None
    chapters: Entry | None = None
    captions: tuple[Entry, ...] = ()
    still: Entry | None = None

    @property
    def texts(self) -> tuple[Entry, ...]:
        """The files of chapters and captions."""
        return self.captions if self.chapters is None else (self.chapters, *self.captions)


NO_SIDECARS = Sidecars()


class SidecarMatcher:
    """An index of the names in one folder, by the video they belong to."""

    def __init__(self, names: Iterable[str], *, of_one_film: bool = False) -> None:
        """Index the names of a folder; those of other files are ignored.

        With `of_one_film` the folder is that of a single film, and its pictures are the film's.
        """
        ordered = sorted(set(names))  # every replica must find the same
        self._videos = {_key(_stem(name)) for name in ordered if media_type(name)}
        self._texts: defaultdict[str, list[str]] = defaultdict(list)
        self._images: dict[str, str] = {}
        for name in ordered:
            stem, extension = _stem(name), extension_of(name)
            if extension in TEXT_EXTENSIONS:
                owner = self._owner(_key(stem))
                if owner is not None:
                    self._texts[owner].append(name)
            elif extension in IMAGE_EXTENSIONS:
                previous = self._images.get(_key(stem))
                if previous is None or IMAGE_EXTENSIONS.index(extension) < IMAGE_EXTENSIONS.index(
                    extension_of(previous)
                ):
                    self._images[_key(stem)] = name
        self._of_one_film = of_one_film
        self.folder_image = self._first_image(_FOLDER_IMAGES)
        """The name of the folder's picture."""

    def match(self, video: str) -> SidecarNames:
        """Return the names of the sidecars of the video with this file name."""
        key = _key(_stem(video))
        image = self._first_image((f"{key}{suffix}" for suffix in _POSTER_SUFFIXES), key)
        still = self._first_image((f"{key}{suffix}" for suffix in _STILL_SUFFIXES), key)
        if still == image:
            still = None
        # A track of an album has no other picture than the album's cover.
        if self._of_one_film or (media_type(video) or "").startswith("audio/"):
            image = image or self.folder_image
        if self._of_one_film:
            still = still or self._first_image(_FOLDER_STILLS)
        texts = self._texts.get(key, ())
        chapters = [
            name
            for name in texts
            if is_chapters(video, name) and extension_of(name) in CONVERTED_EXTENSIONS
        ]
        return SidecarNames(
            image,
            min(chapters, key=_preference, default=None),
            tuple(name for name in texts if name not in chapters),
            still,
        )

    def _first_image(self, stems: Iterable[str], video: str = "") -> str | None:
        """Return the first image with one of these stems, except those of other videos."""
        return next(
            (
                self._images[stem]
                for stem in stems
                if stem in self._images and (stem == video or stem not in self._videos)
            ),
            None,
        )

    def _owner(self, key: str) -> str | None:
        """Return the longest video stem that equals the key or precedes a dot in it."""
        while key not in self._videos:
            key, dot, _ = key.rpartition(".")
            if not dot:
                return None
        return key


def name_tags(video: str, sidecar: str) -> tuple[str, ...]:
    """Return the parts of a sidecar's name after its video's: `en`, `forced` in a.en.forced.srt."""
    rest = unicodedata.normalize("NFC", _stem(sidecar))
    dots = _key(_stem(video)).count(".") + 1  # keys have as many as names
    return tuple(word.strip() for word in rest.split(".")[dots:] if word.strip())


def is_chapters(video: str, sidecar: str) -> bool:
    """Return whether a sidecar contains the chapters of its video."""
    return _CHAPTERS in map(str.lower, name_tags(video, sidecar))


def _preference(name: str) -> tuple[int, int, str]:
    return name.count("."), TEXT_EXTENSIONS.index(extension_of(name)), name


def _key(stem: str) -> str:
    """Remove differences between file systems: case, and the composition of accents."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", stem).casefold())


def _stem(name: str) -> str:
    return name.rpartition(".")[0]


def extension_of(name: str) -> str:
    """Return the extension of a file name in lower case, with its dot."""
    return f".{name.rpartition('.')[2].lower()}"
