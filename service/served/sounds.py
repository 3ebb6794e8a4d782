"""The sounds of a film among which viewers choose, and what they get for each.

Browsers offer no choice: they play the first sound, or the first enabled one. So for each sound
there is an MP4 in which it comes first and no other sound is enabled. That MP4 has the tracks in
another order (service/representations/sound_order.py). If browsers do not play the sound, the MP4
has one that was made from it."""

import re
from dataclasses import dataclass, replace
from functools import partial

from service.artefacts.metadata import ArtefactKind, CopyMetadata, RemuxMetadata, SoundMetadata
from service.artefacts.packed_fragments import FragmentsMetadata
from service.artefacts.status import ArtefactState, ArtefactStatus
from service.browsers.browser_support import is_mp4
from service.browsers.playable_forms import MAX_SOUNDS, MP4_SOUNDS
from service.browsers.track_choice import common_sound, default_sound
from service.errors import HTTPError, InvalidRequestError, NotFoundError
from service.models import ProbeState, Stream, Video
from service.protocol.revisions import remuxed_revision, sound_first_revision
from service.representations.fast_start import fast_start_revision
from service.representations.remuxed import Opener
from service.scheduling.scheduler import ArtefactScheduler
from service.served.representations import StatusOf, copy_status, made_for
from service.storage.base import OpenRepresentation

_NUMBER = re.compile("[1-9][0-9]{0,2}", re.ASCII)
"""`nginx/njs/request_target.js` has it, too."""
_RETRY = {"Retry-After": "2"}
# Sounds that wait for the one that is being made. Each may take minutes and a part of the store.
_MAX_REQUESTED = 20
_WAITING = ArtefactState.WAITING
_NOT_COPIED = (
    "The MP4 into which the film was copied does not have it: it has the first eight that FFmpeg "
    "decodes."
)
_IS_DUE = frozenset({ArtefactState.POSSIBLE, ArtefactState.WAITING})


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound of a film."""

    number: int
    """Among the sounds of the file, from 1."""
    stream: Stream
    is_default: bool
    """Whether players get it without a choice."""
    state: ArtefactState
    """Ready: there is an MP4 with which browsers play it."""
    revision: str | None = None
    """The revision of the MP4 in which it is the first sound; None if there is none."""
    progress: float | None = None
    """How far it is, from 0 to 1, if it is being made here."""
    problem: str | None = None
    """Why it was not made."""
    fragments: FragmentsMetadata | None = None
    """The film with it in a form that begins sooner."""
    seekable: str | None = None
    """The revision of the form for decoders that do not begin at open GOPs."""


class SoundOpener:
    """Opens what `?sound=` of `/media/` names."""

    def __init__(self, scheduler: ArtefactScheduler, opener: Opener) -> None:
        """Use `opener` for a file and a revision."""
        self._scheduler = scheduler
        self._opener = opener

    async def open(self, path: str, number: str) -> OpenRepresentation:
        """Open a video with this sound first.

        Raises InvalidRequestError, NotFoundError, ChangedError, StorageError, and HTTPError with
        503 if it is not there yet.
        """
        revision = self._revision(path, number)
        source = await self._opener(path, revision)
        if source.representation.validators.revision != revision:
            source.close()
            raise HTTPError(503, "The film has changed, or is being prepared again.", _RETRY)
        return source

    def _revision(self, path: str, number: str) -> str:
        chosen = _choose(self._scheduler, path, number)
        if chosen.revision is not None:
            return chosen.revision
        if chosen.state in _IS_DUE:
            request_sound(self._scheduler, path, chosen.number)
            raise HTTPError(503, f"Sound {number} is being prepared.", _RETRY)
        reason = chosen.problem or "The file is sent as it is, with the sound that browsers choose."
        raise NotFoundError(f"Sound {number} cannot be chosen. {reason}")


def chosen_sound(scheduler: ArtefactScheduler, video: Video, number: str | None) -> Sound | None:
    """Return the sound that the query of a page names, and request it if it has to be made.

    None if the query names none, or the film's sounds are not known yet. Raises
    InvalidRequestError, NotFoundError.
    """
    if number is None:
        return None
    if video.metadata is None:
        _parse(number)
        return None
    chosen = _choose(scheduler, video.path, number)
    request_sound(scheduler, video.path, chosen.number)
    return chosen


def request_sound(scheduler: ArtefactScheduler, path: str, number: int) -> None:
    """Make a sound next if browsers lack it and few others wait. Pages repeat the request."""
    if scheduler.requested(ArtefactKind.SOUND) >= _MAX_REQUESTED:
        return
    if scheduler.status(path, ArtefactKind.SOUND, number).state in _IS_DUE:
        scheduler.request(path, ArtefactKind.SOUND, number)


def _parse(number: str) -> int:
    if not _NUMBER.fullmatch(number):
        raise InvalidRequestError("`sound` is the number of one of the film's sounds, from 1.")
    return int(number)


def _choose(scheduler: ArtefactScheduler, path: str, number: str) -> Sound:
    wanted = _parse(number)
    source = scheduler.source(path)
    if source is None:
        raise NotFoundError("There is no such video in the library.")
    video = source.video
    if video.metadata is None:
        if video.state is ProbeState.PENDING:
            raise HTTPError(503, "The film's sounds are not known yet.", _RETRY)
        raise NotFoundError("The film's sounds are not known, as the file could not be read.")
    sounds = ServedVideo(video, partial(scheduler.status_of, source)).sounds
    if wanted > len(sounds):
        count = "no sound" if not sounds else f"sounds from 1 to {len(sounds)}"
        raise NotFoundError(f"There is no sound {wanted}: the film has {count}.")
    return sounds[wanted - 1]


class ServedVideo:
    """What players get of a video."""

    def __init__(self, video: Video, status: StatusOf) -> None:
        """`status` returns the status of its artefacts."""
        self._status = status
        self._video = video
        self.made: RemuxMetadata | None = made_for(status, video)
        """What is made of it for them; None if they get the file."""
        self._streams: tuple[Stream, ...] = video.metadata.sounds if video.metadata else ()
        indexes = tuple(stream.index for stream in self._streams)
        if self.made is not None:
            indexes = tuple(index for index in self.made.streams if index in indexes)
        self._tracks: tuple[int, ...] = indexes
        """The indexes of the streams of the MP4's sounds, in its order."""
        self._default = self._default_stream()

    @property
    def sounds(self) -> tuple[Sound, ...]:
        """The sounds among which viewers can choose, in the order of the file."""
        numbered = enumerate(self._streams[:MAX_SOUNDS], 1)
        return tuple(self._sound(number, stream) for number, stream in numbered)

    def _sound(self, number: int, stream: Stream) -> Sound:
        is_default = stream.index == self._default
        place = self._place(stream)
        revision = self._revision(place) if place else None
        if place and self._plays(place, stream):
            return Sound(
                number,
                stream,
                is_default,
                ArtefactState.READY,
                revision,
                fragments=self._fragments_of(stream.index),
                seekable=self._seekable(place),
            )
        own = self._status(ArtefactKind.SOUND, number)
        return self._with_own(Sound(number, stream, is_default, own.state, revision), own)

    @property
    def fragments(self) -> FragmentsMetadata | None:
        """The fragmented form with the sound that players get without a choice."""
        if self.made is not None:
            return self.made.fragments
        is_chosen = not self._streams or self._default is not None
        return self._fragments_of(self._default) if is_chosen else None

    def _fragments_of(self, index: int | None) -> FragmentsMetadata | None:
        """Return the fragmented form with the sound of a stream; None: with no sound."""
        if self.made is not None:
            forms = self.made.all_fragments
        else:
            forms = self._status(ArtefactKind.FRAGMENTS).forms
        return next((form for form in forms if form.sound == index), None)

    def _with_own(self, sound: Sound, own: ArtefactStatus) -> Sound:
        """Return a sound with the state of what is made from it."""
        made, state, revision = own.remux, own.state, sound.revision
        problem = own.problem or (made and made.declined and f"The file {made.declined}.") or None
        if self._is_left_out(sound) and problem is None:
            problem = _NOT_COPIED
        elif made is not None and state is ArtefactState.READY:
            revision = remuxed_revision(self._video.revision, made.layout)
        elif state is ArtefactState.NONE and problem is None:
            state, revision = self._as_it_is(sound)
        return replace(
            sound,
            state=state,
            revision=revision,
            progress=own.progress,
            problem=problem,
            fragments=made.fragments if made is not None else None,
        )

    def _is_left_out(self, sound: Sound) -> bool:
        is_copied = isinstance(self.made, CopyMetadata)
        return is_copied and sound.state is ArtefactState.NONE and self._place(sound.stream) is None

    def _as_it_is(self, sound: Sound) -> tuple[ArtefactState, str | None]:
        """Return the state and the revision of a sound from which nothing is made."""
        if sound.revision is None and sound.is_default:
            return ArtefactState.READY, self._base
        statuses = (
            self._status(ArtefactKind.REMUX),
            copy_status(self._status, self._video),
        )
        is_coming = self.made is None and any(status.state is _WAITING for status in statuses)
        return (ArtefactState.WAITING if is_coming else ArtefactState.NONE), sound.revision

    def _default_stream(self) -> int | None:
        """Return the index of the stream that players get without a choice."""
        metadata = self._video.metadata
        if metadata is None:
            return None
        if self.made is not None:
            return next(iter(self._tracks), None)
        stream = common_sound(self._video.path, metadata) or default_sound(metadata)
        return stream.index if stream else None

    def _place(self, stream: Stream) -> int | None:
        """Return where a sound is among those of the MP4, from 1; None if it is not there."""
        metadata = self._video.metadata
        if self.made is None and (metadata is None or not is_mp4(metadata)):
            return None
        return self._tracks.index(stream.index) + 1 if stream.index in self._tracks else None

    def _plays(self, place: int, stream: Stream) -> bool:
        """Return whether browsers play the sound at a place of the MP4."""
        match self.made:
            case SoundMetadata():
                return place == 1 or stream.codec in MP4_SOUNDS
            case CopyMetadata(transcoded=transcoded):
                return place in transcoded or stream.codec in MP4_SOUNDS
        return stream.codec in MP4_SOUNDS

    @property
    def _base(self) -> str:
        """The revision of what players get without a choice."""
        video = self._video
        if self.made is not None:
            return remuxed_revision(video.revision, self.made.layout)
        is_moved = video.metadata is not None and video.metadata.fast_start
        return fast_start_revision(video.revision) if is_moved else video.revision

    def _seekable(self, place: int) -> str | None:
        """Return the revision of the form for other decoders with the sound at a place first."""
        if self.made is None or self.made.seekable is None:
            return None
        revision = remuxed_revision(self._video.revision, self.made.seekable)
        return revision if place == 1 else sound_first_revision(revision, place)

    def _revision(self, place: int) -> str:
        """Return the revision of the MP4 with the sound at a place as its first one."""
        is_first = place == 1
        if self.made is None and self._video.metadata is not None:
            enabled = [stream.default for stream in self._streams]
            is_first = place == 1 and enabled[0] and not any(enabled[1:])
        return self._base if is_first else sound_first_revision(self._base, place)
