"""The edge tells the service's revisions from other queries, and a layout's from a file's."""

import re
from pathlib import Path

import pytest

from service.storage.fast_start import laid_out_revision

NGINX = Path(__file__).parents[2] / "nginx"
FILE = f"{5_000_000_000:x}-{1_700_000_000_123_456_789:x}"  # size and time: storage/files.py
LAID_OUT = laid_out_revision(FILE)


def pattern(door: str) -> re.Pattern[str]:
    """Give what njs matches a pin behind a door by; it means the same to Python."""
    script = (NGINX / "njs" / "edge.js").read_text(encoding="utf-8")
    (found,) = re.findall(rf"'/{door}': /(.+)/,", script)
    return re.compile(found)


@pytest.mark.parametrize(
    ("door", "pin", "known"),
    [
        ("media", FILE, True),
        ("media", LAID_OUT, True),
        ("media", f"{LAID_OUT}0", True),  # of a later version
        ("media", f"{FILE}-f", False),
        ("media", f"{LAID_OUT}-f1", False),
        ("media", f"{LAID_OUT}x", False),
        ("download", FILE, True),
        ("download", LAID_OUT, False),
    ],
)
def test_a_pin_is_known_behind_its_door(door: str, pin: str, known: bool) -> None:  # noqa: FBT001 # as the table has it
    assert bool(pattern(door).search(pin)) is known


@pytest.mark.parametrize("revision", [FILE, LAID_OUT])
def test_a_block_of_either_layout_may_be_cached_under_its_name_alone(revision: str) -> None:
    snippet = (NGINX / "snippets" / "blocks.conf").read_text(encoding="utf-8")
    (found,) = re.findall(r"'~(\(\?:\^\| \)206 .+)' 0;", snippet)
    may_cache = re.compile(
        found.replace("(?<", "(?P<")
        .replace("\\k<tag>", "(?P=tag)")
        .replace("\\k<begin>", "(?P=begin)")
    )
    other = {FILE: LAID_OUT, LAID_OUT: FILE}[revision]
    target, rest = f"/media/film.mp4?v={revision}", "bytes=0-4194303 bytes 0-4194303/5000000000"
    assert may_cache.search(f'206 "{revision}" {target} {rest}')
    assert not may_cache.search(f'206 "{other}" {target} {rest}')
