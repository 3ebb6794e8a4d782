"""What holds for every test."""

import pytest
from hypothesis import settings

# No bound on time: these machines are shared.
settings.register_profile("reelay", deadline=None)
settings.load_profile("reelay")


@pytest.hookimpl(tryfirst=True)  # xdist reads the marks in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say which tests `pytest -n 2 --dist loadgroup` may not run at the same time as each other.

    Those of the stack take the engine in turns, and a browser drops its connections when the
    machine's networks change, as they do when a stack starts. Of others, each file is a group.
    """
    for item in items:
        alone = item.get_closest_marker("stack") or "browser" in getattr(item, "fixturenames", ())
        item.add_marker(pytest.mark.xdist_group("stack" if alone else str(item.path)))
