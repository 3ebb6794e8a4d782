"""The rows of the database: a version of a video each, with what is needed of all videos."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import astuple
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError

from service.artefacts.source import ArtefactSource, dump_artefacts
from service.listing.collation import natural_sort_key
from service.listing.dates import date_of
from service.listing.folder_kinds import TrackFacts, track_facts
from service.listing.paths import parent
from service.listing.recognition import is_media
from service.listing.search import search_text
from service.listing.titles import video_title
from service.models import Metadata, ParsedName, ProbeState, Video
from service.naming.sidecars import NO_SIDECARS, Sidecars
from service.probing.prober import ProbeFailure
from service.protocol.media_types import media_type
from service.storage.base import Entry

Result = Metadata | ProbeFailure

Form = Literal["file", "fast_start", "made"]
"""What players get of a video: the file, the file with its index in front, or perhaps something
that is made of it."""

COLUMNS = (
    *("id", "path", "folder", "size", "revision", "modified", "changed_at", "sidecars", "state"),
    *("is_settled", "is_listed", "title", "content_type", "form", "name", "date", "duration"),
    *(
        "episode",
        "disc",
        "track",
        "is_named",
        "is_clip",
        "artist",
        "year",
        "text",
        "failure",
        "artefacts",
        "metadata",
    ),
)

INSERT = f"INSERT INTO video ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608 # constants


class Version(NamedTuple):
    """A version of a video, as it is written."""

    video: Video
    changed_at: float
    sidecars: Sidecars = NO_SIDECARS
    failure: ProbeFailure | None = None
    """The result, if there are no metadata."""
    is_listed: bool = True

    @classmethod
    def of(cls, entry: Entry, sidecars: Sidecars, result: Result | None) -> "Version":
        """Return what is known of a file."""
        metadata = result if isinstance(result, Metadata) else None
        failure = result if isinstance(result, ProbeFailure) else None
        title = metadata.title if metadata else None
        video = Video(
            path=entry.path,
            title=video_title(entry.path, title, metadata.parsed_name if metadata else None),
            content_type=media_type(entry.path) or "application/octet-stream",
            size=entry.size,
            revision=entry.revision,
            modified=entry.modified,
            state=ProbeState.PROBED
            if metadata
            else ProbeState.FAILED
            if failure
            else ProbeState.PENDING,
            problem=failure.reason if failure else None,
            metadata=metadata,
        )
        return cls(video, entry.changed_at, sidecars, failure, is_media(entry.path, result))


class Stored(NamedTuple):
    """What a row says of a file, for the comparison with the storage."""

    number: int
    path: str
    size: int
    revision: str
    modified: float
    changed_at: float
    sidecars: str | None
    state: ProbeState
    failure: str | None
    metadata: str | None
    is_listed: int
    is_settled: int

    @property
    def loaded_sidecars(self) -> Sidecars:
        return load_sidecars(self.sidecars)

    @property
    def entry(self) -> Entry:
        return Entry(self.path, self.size, self.revision, self.modified, self.changed_at)

    @property
    def result(self) -> Result | None:
        return load_result(self.failure, self.metadata)


STORED = (
    "SELECT id, path, size, revision, modified, changed_at, sidecars, state, failure, metadata,"
    " is_listed, is_settled FROM video"
)

VIDEO = (
    "SELECT path, title, content_type, size, revision, modified, state, failure, metadata"
    " FROM video WHERE id = ?"
)
VIDEOS = VIDEO.replace("SELECT ", "SELECT id, sidecars, ").removesuffix("= ?") + "IN ({})"
"""The same of several videos, with their numbers and sidecars before it."""


def values_of(number: int, version: Version) -> dict[str, Any]:
    """Return the values of a row, in the order of COLUMNS."""
    video, metadata = version.video, version.video.metadata
    facts: TrackFacts = track_facts(video)
    source = ArtefactSource.of(video, version.sidecars)
    name = metadata.parsed_name if metadata else None
    failure = version.failure
    if failure is None and video.problem is not None:
        failure = ProbeFailure(video.problem, "failed")
    values = {
        "id": number,
        "path": video.path,
        "folder": parent(video.path),
        "size": video.size,
        "revision": video.revision,
        "modified": video.modified,
        "changed_at": version.changed_at,
        "sidecars": dump_sidecars(version.sidecars),
        "state": video.state.value,
        "is_settled": metadata is not None or bool(failure and failure.lasting),
        "is_listed": version.is_listed,
        "title": video.title,
        "content_type": video.content_type,
        "form": form_of(source),
        "artefacts": dump_artefacts(source),
        "name": natural_sort_key(video.title),
        "date": date_of(video),
        "duration": metadata.duration or 0.0 if metadata else 0.0,
        "episode": _dump(name) if name is not None and name.series else None,
        **facts._asdict(),
        "text": search_text(video),
        "failure": json.dumps(astuple(failure)) if failure else None,
        "metadata": _dump(metadata) if metadata else None,
    }
    return {column: values[column] for column in COLUMNS}


def form_of(source: ArtefactSource) -> Form:
    """Return what players may get of a video."""
    metadata = source.video.metadata
    if metadata is None:
        return "file"
    if source.remux or source.sound or source.copied:
        return "made"
    return "fast_start" if metadata.fast_start else "file"


def read_video(row: Sequence[Any]) -> Video:
    """Return the video of a row of VIDEO. Raises sqlite3.DatabaseError if it is damaged."""
    path, title, content_type, size, revision, modified, state, failure, metadata = row
    result = load_result(failure, metadata)
    try:
        return Video(
            path=path,
            title=title,
            content_type=content_type,
            size=size,
            revision=revision,
            modified=modified,
            state=state,
            problem=result.reason if isinstance(result, ProbeFailure) else None,
            metadata=result if isinstance(result, Metadata) else None,
        )
    except ValidationError as error:
        raise sqlite3.DatabaseError("a damaged row") from error


def load_result(failure: str | None, metadata: str | None) -> Result | None:
    """Return the result of probing. Raises sqlite3.DatabaseError if it is damaged."""
    try:
        if metadata is not None:
            return Metadata.model_validate_json(metadata)
        if failure is not None:
            return ProbeFailure(*json.loads(failure))
    except ValueError as error:
        raise sqlite3.DatabaseError("a damaged row") from error
    return None


def load_name(text: str) -> ParsedName:
    """Return the parsed name of an episode. Raises sqlite3.DatabaseError if it is damaged."""
    try:
        return ParsedName.model_validate_json(text)
    except ValidationError as error:
        raise sqlite3.DatabaseError("a damaged row") from error


_SIDECARS: tuple[Literal["image", "chapters", "still"], ...] = ("image", "chapters", "still")


def dump_sidecars(sidecars: Sidecars) -> str | None:
    """Return sidecars as JSON; None if there are none."""
    if sidecars == NO_SIDECARS:
        return None
    single = {name: astuple(entry) for name in _SIDECARS if (entry := getattr(sidecars, name))}
    return json.dumps({**single, "captions": [astuple(entry) for entry in sidecars.captions]})


def load_sidecars(text: str | None) -> Sidecars:
    """Return what `dump_sidecars` has written."""
    if text is None:
        return NO_SIDECARS
    found = json.loads(text)
    captions = tuple(Entry(*entry) for entry in found.pop("captions"))
    return Sidecars(**{name: Entry(*entry) for name, entry in found.items()}, captions=captions)


def _dump(value: Metadata | ParsedName) -> str:
    return value.model_dump_json(exclude_defaults=True)
