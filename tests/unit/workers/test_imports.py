"""What processes import: each is started often, also on small machines."""

import subprocess
import sys
from importlib import import_module

import pytest

from service.worker import tasks

HEAVY = {"asyncio", "werkzeug", "PIL", "langcodes", "pydantic", "quart"}


def imported(*modules: str) -> set[str]:
    """Return what a process has imported after these modules."""
    script = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    return set(subprocess.check_output([sys.executable, "-c", script], text=True).split())


@pytest.mark.parametrize(
    ("task", "needed"),
    [
        ("probe", {"pydantic"}),
        ("captions", {"pydantic"}),
        ("remux", {"pydantic"}),
        ("poster", {"pydantic", "PIL"}),
    ],
)
def test_a_worker_imports_what_a_task_needs_and_names_of_languages_later(
    task: str, needed: set[str]
) -> None:
    module = tasks.module_of(task)
    assert imported("service.worker.tasks", module) & HEAVY == needed


def test_a_worker_without_a_task_has_imported_ffmpeg_alone() -> None:
    """The library's address space must not count as a file's."""
    modules = imported("service.worker.tasks")
    assert "av" in modules
    assert not modules & HEAVY


@pytest.mark.parametrize("task", tasks.TASKS)
def test_a_task_is_in_its_module(task: str) -> None:
    assert task in import_module(tasks.module_of(task)).TASKS


def test_a_service_that_starts_imports_neither_clients_nor_commands() -> None:
    lazy = {"httpx2", "authlib", "obstore", "service.cli.doctor", "service.cli.share", "av", "PIL"}
    assert not imported("service.__main__") & lazy
