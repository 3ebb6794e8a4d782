"""The tasks of a worker process.

Each is imported when it is first requested: most workers make few kinds of artefacts, and the
imports of all take 0.4 s of processor time and 40 MB.
"""

from importlib import import_module

import av.logging

from service.workers import process
from service.workers.process import Payload, Response

TASKS = {
    "probe": "probe",
    "poster": "pictures",
    "storyboard": "pictures",
    "captions": "texts",
    "remux": "films",
    "fragments": "films",
    "sound": "films",
    "copied": "films",
}
"""The module of each task in this package."""


def main() -> None:
    """Answer requests until standard input ends."""
    av.logging.set_level(None)
    process.serve(handle_request)


def module_of(task: str) -> str:
    """Return the full name of a task's module."""
    return f"service.worker.{TASKS[task]}"


def handle_request(request: Payload) -> Response:
    """Return the response to a request, and the bytes that follow it."""
    module = import_module(module_of(request["task"]))
    return process.handle_request(request, module.TASKS)
