"""Videos for tests in which most of their fields do not matter."""

from typing import Any

from service.models import Metadata, ProbeState, Video


def make_video(path: str, metadata: Metadata | None = None, **fields: Any) -> Video:
    """Return a video, probed if it has metadata; `fields` replace the others."""
    values: dict[str, Any] = {
        "title": path,
        "content_type": "video/mp4",
        "size": 1,
        "revision": "1-1",
        "modified": 0,
        "state": ProbeState.PENDING if metadata is None else ProbeState.PROBED,
    }
    return Video(path=path, metadata=metadata, **values | fields)
