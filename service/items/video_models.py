"""The JSON models of a video, which are also the schema in `/openapi.json`."""

from pydantic import Field

from service.artefacts.status import ArtefactState
from service.browsers.served import as_mp4
from service.models import Chapter, Finding, Metadata, Track, Video
from service.records.frozen_model import FrozenModel
from service.served.representations import Representation


class Picture(FrozenModel):
    """A picture and its size."""

    url: str
    width: int = Field(description="Pixels")
    height: int = Field(description="Pixels")


class ArtefactStatusItem(FrozenModel):
    """The state of an artefact of the video."""

    state: ArtefactState = Field(description="none: this video has nothing of the kind")
    problem: str | None = Field(default=None, description="Why it could not be built")
    problems: tuple[str, ...] = Field(default=(), description="What is left out, and why")


class PosterItem(ArtefactStatusItem):
    """The video's poster."""

    pictures: tuple[Picture, ...] = Field(
        default=(), description="The same in several widths, the narrowest first"
    )
    still: tuple[Picture, ...] = Field(
        default=(),
        description="What a player shows before it plays, in the same way: the poster, or another "
        "picture if the poster is upright and the film is not; empty if there is none",
    )


class StoryboardItem(ArtefactStatusItem):
    """Thumbnails of the whole video."""

    url: str | None = Field(
        default=None, description="WebVTT: for each time a part of an image (#xywh=)"
    )


class TrackItem(Track):
    """A text track and its WebVTT."""

    url: str


class CaptionsItem(ArtefactStatusItem):
    """The video's text tracks."""

    tracks: tuple[TrackItem, ...] = ()


class RemuxItem(ArtefactStatusItem):
    """The header that makes the file an MP4 for players."""

    declined: str | None = Field(
        default=None, description="Why players get the file as it is, as a sentence"
    )
    codecs: tuple[str, ...] = Field(
        default=(), description="RFC 6381 codecs parameters of its first picture and first sound"
    )
    streams: tuple[int, ...] = Field(
        default=(), description="The indexes of the file's streams that the MP4 has, in its order"
    )


class FragmentsItem(FrozenModel):
    """A long film for players by Media Source Extensions."""

    url: str = Field(
        description="A fragmented MP4 (ISO/IEC 14496-12) of the first picture and the first sound"
    )
    head: int = Field(
        description="The bytes at its start that have the tracks (moov) and the index of its "
        "segments (sidx). Each segment begins with a key frame"
    )
    type: str = Field(description="Its media type, with codecs parameters")


class SoundChoiceItem(FrozenModel):
    """One of the film's sounds, among which viewers choose."""

    number: int = Field(description="Among the sounds of the file, from 1: `?sound=`")
    stream: int = Field(description="The index of the file's stream")
    language: str | None = Field(default=None, description="BCP 47")
    label: str = Field(description="For people: the language's own name, and what distinguishes it")
    default: bool = Field(description="Whether media_url plays it")
    state: ArtefactState = Field(
        description="ready: browsers play it by url; possible: it is made on request; none: it "
        "cannot be chosen"
    )
    problem: str | None = Field(default=None, description="Why it could not be made")
    progress: float | None = Field(
        default=None, description="How far it is, from 0 to 1, while it is being made here"
    )
    url: str | None = Field(
        default=None,
        description="The film with it as the first sound; before it is ready, for players that "
        "know its codec",
    )
    fragments: FragmentsItem | None = Field(
        default=None, description="The same in a form that begins sooner"
    )
    seekable_url: str | None = Field(
        default=None, description="The same for decoders that do not begin at open GOPs"
    )


class SoundItem(RemuxItem):
    """The sound that is made for players, where they do not play the film's own."""

    progress: float | None = Field(
        default=None, description="How far it is, from 0 to 1, while it is being made here"
    )


class CopyItem(SoundItem):
    """The MP4 into which the film is copied for players."""

    transcoded: tuple[int, ...] = Field(
        default=(), description="The numbers of its tracks whose sound is transcoded to AAC"
    )


class VideoItem(Video):
    """A video and its URLs. Those of media contain its revision."""

    watch_url: str
    media_url: str
    media_type: str = Field(description="The media type of what media_url serves")
    representation: Representation = Field(
        description="What media_url serves: the file as it is; with its index in front and its "
        "clock from 0; as MP4, by a header in front of it; as MP4 with sound that was made; or an "
        "MP4 into which it was copied"
    )
    fragments: FragmentsItem | None = Field(
        default=None,
        description="The same in a form that begins sooner; null if media_url begins soon",
    )
    seekable_url: str | None = Field(
        default=None,
        description="The same for decoders that do not begin at the open GOPs of H.264; null if "
        "there are none, or every decoder can begin at them",
    )
    download_url: str | None = Field(
        description="The file itself; null by a share link without downloads"
    )
    poster: PosterItem
    storyboard: StoryboardItem
    captions: CaptionsItem
    remux: RemuxItem
    sound: SoundItem
    copied: CopyItem
    sounds: tuple[SoundChoiceItem, ...] = Field(
        default=(), description="The film's sounds, in the order of the file; 64 at most"
    )
    chapters: tuple[Chapter, ...]
    findings: tuple[Finding, ...] = Field(
        description="What viewers may notice about what media_url serves"
    )

    @property
    def player_pictures(self) -> tuple[Picture, ...]:
        """The still in several widths; of sound, the poster."""
        return self.poster.still or (() if self.picture else self.poster.pictures)

    @property
    def served(self) -> Metadata | None:
        """The metadata of what media_url serves."""
        if self.metadata is None or not self.is_made_mp4:
            return self.metadata
        made = {"with_sound": self.sound, "copied": self.copied}.get(
            self.representation, self.remux
        )
        has_sound = self.representation == "with_sound" or self.copied.transcoded[:1] == (1,)
        return as_mp4(self.metadata, made.streams, made.codecs, has_made_sound=has_sound)

    @property
    def is_made_mp4(self) -> bool:
        """Whether media_url serves an MP4 that is made of another file."""
        return self.representation in {"remuxed", "with_sound", "copied"}

    @property
    def is_sound_due(self) -> bool:
        """Whether sound is still to be made."""
        is_due = self.sound.state in {ArtefactState.WAITING, ArtefactState.POSSIBLE}
        return is_due and self.representation != "copied"
