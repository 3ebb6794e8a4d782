"""When a video was taken or published: by its tags, else by its name, else by its file."""

from service.models import Video
from service.naming.dates import date_in_name
from service.probing.dates import date_seconds


def stated_date(video: Video) -> str | None:
    """Return the date that tags or the name state, as in `Metadata.created`."""
    created = video.metadata.created if video.metadata else None
    return created or date_in_name(video.path.rpartition("/")[2])


def date_of(video: Video) -> float:
    """Return the stated date, else the time of the last change, in seconds since 1970."""
    stated = stated_date(video)
    return date_seconds(stated) if stated else video.modified
