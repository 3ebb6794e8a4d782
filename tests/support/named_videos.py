"""Videos of a library as they are after probing, for tests of what names and tags say."""

from service.models import Metadata, Tag, Video
from service.naming.release_names import parse_name
from support.videos import make_video


def named_video(path: str, **tags: str) -> Video:
    """Return a video whose name has been parsed."""
    metadata = Metadata(
        container="mp4",
        duration=1,
        bit_rate=None,
        streams=(),
        parsed_name=parse_name(path),
        tags=tuple(Tag(name=name, text=text) for name, text in tags.items()),
    )
    return make_video(path, metadata)
