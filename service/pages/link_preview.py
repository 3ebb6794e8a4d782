"""Metadata for link previews: Open Graph, Twitter cards and schema.org, with absolute URLs."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from service.access.grants import current_grant
from service.items import links
from service.items.video_models import Picture, VideoItem
from service.listing.paths import parents
from service.pages.formatting import summary, to_datetime
from service.pages.player import display_size, format_timestamp

_MAX_LENGTH = 300  # characters of a description; previews cut longer ones
_MAX_CLIPS = 100  # chapters; each repeats the page's URL, which may have 12 KB
_DESCRIPTIONS = ("description", "synopsis", "comment")  # tags in order of preference


@dataclass(frozen=True)
class LinkPreview:
    """The metadata of a video's preview."""

    video: VideoItem
    page: str
    """The canonical URL of the video's page."""

    @property
    def secure(self) -> bool:
        return self.page.startswith("https:")

    @property
    def audio_only(self) -> bool:
        return self.video.content_type.startswith("audio/")

    @property
    def is_playable(self) -> bool:
        """Whether browsers can play it."""
        return self.video.state != "failed" and not any(
            finding.severity == "unplayable" for finding in self.video.findings
        )

    @cached_property
    def embed(self) -> str:
        return links.absolute(links.embed(self.video.path))

    @cached_property
    def oembed(self) -> str:
        return links.absolute(links.oembed(self.page))

    @cached_property
    def media(self) -> str:
        return links.absolute(self.video.media_url)

    @cached_property
    def image(self) -> Picture | None:
        """The widest still as JPEG, as not all previews support WebP; of sound, the cover."""
        pictures = self.video.player_pictures
        if not pictures:
            return None
        return pictures[-1].model_copy(
            update={"url": links.absolute(links.as_jpeg(pictures[-1].url))}
        )

    @cached_property
    def size(self) -> tuple[int, int]:
        """The displayed width and height; 16:9 for audio or if unknown."""
        picture = self.video.picture
        return display_size(picture) if picture else (1280, 720)

    @cached_property
    def description(self) -> str:
        """The description in the file's tags, else duration, size and folder."""
        tags = self.video.metadata.tags if self.video.metadata else ()
        texts = {tag.name: " ".join(tag.text.split()) for tag in tags}
        for name in _DESCRIPTIONS:
            if texts.get(name):
                text = texts[name]
                return text if len(text) <= _MAX_LENGTH else f"{text[: _MAX_LENGTH - 1].rstrip()}…"
        folders = filter(current_grant().contains_folder, parents(self.video.path))
        names = " / ".join(folder.rpartition("/")[2] for folder in folders)
        return " · ".join(filter(None, (summary(self.video), names)))

    def data(self) -> dict[str, Any]:
        """Return the schema.org VideoObject or AudioObject."""
        video, metadata = self.video, self.video.metadata
        data: dict[str, Any] = {
            "@context": "https://schema.org",
            "@type": "AudioObject" if self.audio_only else "VideoObject",
            "name": video.title,
            "description": self.description,
            "url": self.page,
            "uploadDate": to_datetime(video.modified).isoformat(timespec="seconds"),
            "encodingFormat": video.content_type,  # of contentUrl
            # Crawlers fetch it with one request, which /media/ would answer with a block.
            "contentUrl": links.absolute(video.download_url or video.media_url),
            "embedUrl": self.embed,
        }
        if self.image is not None:
            data["thumbnailUrl"] = self.image.url
        if metadata is not None and metadata.created is not None:
            data["dateCreated"] = metadata.created
        if metadata is not None and metadata.duration is not None:
            data["duration"] = iso_duration(metadata.duration)
        if not self.audio_only:
            data["width"], data["height"] = self.size
        if video.chapters:
            data["hasPart"] = [
                {
                    "@type": "Clip",
                    "name": chapter.title,
                    "startOffset": chapter.start,
                    "endOffset": chapter.end,
                    "url": f"{self.page}?t={format_timestamp(chapter.start)}",
                }
                for chapter in video.chapters[:_MAX_CLIPS]
            ]
        return data


def link_preview(video: VideoItem) -> LinkPreview | None:
    """Return the preview of a video, or None if the service's origin is unknown."""
    page = links.absolute(video.watch_url)
    return None if page == video.watch_url else LinkPreview(video, page)


def iso_duration(seconds: float) -> str:
    """Return seconds as an ISO 8601 duration such as PT1H2M3S."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "H"), (minutes, "M"), (rest, "S"))
    return "PT" + ("".join(f"{number}{unit}" for number, unit in parts if number) or "0S")
