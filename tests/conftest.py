"""What holds for every test."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

# No bound on time: these machines are shared.
settings.register_profile("reelay", deadline=None)
settings.load_profile("reelay")

ROOT = Path(__file__).parent.parent


class Scheduling(LoadScopeScheduling):
    """Which tests `pytest -n 2` may not run at the same time as each other.

    Those of the stack take the engine in turns, and a browser drops its connections when the
    machine's networks change, as they do when a stack starts. Of others, each file is for itself.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "alone" if needs_calm(file) else file


@cache
def needs_calm(file: str) -> bool:
    """Whether the tests of a file, named from the root, have a stack or a browser."""
    return "from chromium import" in (ROOT / file).read_text() or file.startswith("tests/e2e/")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    return Scheduling(config, log)
