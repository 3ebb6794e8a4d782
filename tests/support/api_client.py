"""Read the service's JSON as a client does."""

import json
from typing import Any
from urllib.parse import quote

from support.raw_http import ask
from support.server import Server, until
from support.stack import Stack

KINDS = ("poster", "captions", "storyboard")


def video(server: Server | Stack, path: str) -> Any:
    """Return the JSON of one video."""
    answer = ask(server.base, f"/api/videos/{quote(path)}")
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def wait_until_derived(server: Server | Stack, *paths: str) -> dict[str, Any]:
    """Wait until no artefact of these videos is in state `waiting`; return their JSON."""

    def fetch_if_derived() -> dict[str, Any] | None:
        videos = {path: video(server, path) for path in paths}
        states = {item[kind]["state"] for item in videos.values() for kind in KINDS}
        return None if "waiting" in states else videos

    videos: dict[str, Any] = until(fetch_if_derived, f"{paths} are derived")
    return videos
