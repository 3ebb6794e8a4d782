"""THIRD-PARTY.md has what the images install; test_images.py, of the stack, looks into them.

If a test fails after a change of a requirements.txt, run deploy/release/notices.py.
"""

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from support import notices

ROOT = Path(__file__).parents[2]
REQUIREMENTS = {"service": "requirements.txt", "certificates": "deploy/acme/requirements.txt"}
SCRIPTS = sorted([*ROOT.glob("service/static/*.js"), *ROOT.glob("nginx/njs/*.js")])
NJS_MODULES = {"crypto", "fs", "querystring"}
"""Built into njs: https://nginx.org/en/docs/njs/reference.html."""


def pins(image: str, python: str) -> set[tuple[str, str]]:
    """Return the name and the version of each package that an image with this Python installs."""
    text = (ROOT / REQUIREMENTS[image]).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    here = {"python_version": python, "python_full_version": f"{python}.0"}
    found = [Requirement(line.partition(" --hash")[0]) for line in lines]
    return {
        (canonicalize_name(each.name), str(each.specifier).removeprefix("=="))
        for each in found
        if each.marker is None or each.marker.evaluate(here | {"sys_platform": "linux"})
    }


@pytest.mark.parametrize("image", REQUIREMENTS)
def test_every_package_of_an_image_has_its_licence_with_its_version(image: str) -> None:
    (python,) = set(re.findall(r"python:([0-9.]+)", (ROOT / "Dockerfile").read_text("utf-8")))
    assert notices.packages(image) == pins(image, python)


def test_the_libraries_of_ffmpeg_are_listed() -> None:
    for each in ("avcodec", "avformat", "avutil", "swresample", "swscale", "x264", "x265"):
        assert ("av", each) in notices.libraries()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: str(script.relative_to(ROOT)))
def test_no_script_is_of_others(script: Path) -> None:
    imported = re.findall(
        r'\b(?:from|import)\s*\(?\s*"([^"]+)"', script.read_text(encoding="utf-8")
    )
    for name in imported:
        if name not in NJS_MODULES:
            assert (script.parent / name).resolve().is_relative_to(script.parent), name
            assert (script.parent / name).exists(), name
