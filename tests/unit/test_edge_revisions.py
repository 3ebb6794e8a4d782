"""The edge recognises the service's revisions and distinguishes layouts from files."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.protocol.revisions import (
    FILE_REVISION,
    REVISION,
    file_revision,
    remuxed_revision,
    tagged_revision,
)
from service.representations.fast_start import fast_start_revision

NGINX = Path(__file__).parents[2] / "nginx"
FILE = file_revision(5_000_000_000, 1_700_000_000_123_456_789)
OLD = file_revision(5_000_000_000, -3_600_000_000_000)  # before 1970
FAST_START = fast_start_revision(FILE)
REMUXED = remuxed_revision(FILE, "m0123456789abcdef")
FRAGMENTED = remuxed_revision(FILE, "h0123456789abcdef")
WITH_SOUND = remuxed_revision(FILE, "s0123456789abcdef")
COPIED = remuxed_revision(FILE, "c0123456789abcdef")


def pattern(route: str) -> re.Pattern[str]:
    """Return the pattern that njs matches a route's pin with; Python reads it the same way."""
    script = (NGINX / "njs" / "request_target.js").read_text(encoding="utf-8")
    (regex,) = re.findall(rf"'/{route}': /(.+)/,", script)
    return re.compile(regex)


def cached() -> re.Pattern[str]:
    """Return the pattern of responses that nginx may store, in Python's syntax."""
    snippet = (NGINX / "snippets" / "media-cache.conf").read_text(encoding="utf-8")
    (regex,) = re.findall(r"'~(\(\?:\^\| \)206 .+)' 0;", snippet)
    return re.compile(
        regex.replace("(?<", "(?P<")
        .replace("\\k<tag>", "(?P=tag)")
        .replace("\\k<begin>", "(?P=begin)")
    )


@pytest.mark.parametrize(
    ("route", "pin", "accepted"),
    [
        ("media", FILE, True),
        ("media", OLD, True),
        ("media", FAST_START, True),
        ("media", fast_start_revision(OLD), True),
        ("media", REMUXED, True),
        ("media", WITH_SOUND, True),
        ("media", FRAGMENTED, True),
        ("media", COPIED, True),
        ("media", f"{FILE}-a1", True),
        ("media", f"{FAST_START}-a2", True),
        ("media", f"{WITH_SOUND}-a999", True),
        ("media", f"{REMUXED}-a0", False),
        ("media", f"{REMUXED}-a01", False),
        ("media", f"{REMUXED}-a1000", False),
        ("media", f"{REMUXED}-a", False),
        ("media", f"{REMUXED}-a2-a1", False),
        ("media", f"{FILE}-a2-m0123456789abcdef", False),
        ("download", f"{FILE}-a2", False),
        ("download", FRAGMENTED, False),
        ("download", COPIED, False),
        ("media", f"{WITH_SOUND}-m0123456789abcdef", False),
        ("media", f"{REMUXED}0", False),
        ("media", REMUXED[:-1], False),
        ("media", REMUXED.upper(), False),
        ("media", f"{FAST_START}-m0123456789abcdef", False),
        ("download", REMUXED, False),
        ("media", f"{FAST_START}0", True),  # of a later version
        ("media", f"{FILE}-f", False),
        ("media", f"{FAST_START}-f1", False),
        ("media", f"{FAST_START}x", False),
        ("media", f"{FILE}\n", False),  # PCRE's $ matches here, and JavaScript's does not
        ("media", FILE.replace("-", "--"), False),
        ("download", FILE, True),
        ("download", OLD, True),
        ("download", FAST_START, False),
        ("download", f"{FILE}\n", False),
    ],
)
def test_a_pin_is_accepted_on_its_route(route: str, pin: str, accepted: bool) -> None:  # noqa: FBT001 # a column of the table
    assert bool(pattern(route).search(pin)) is accepted


def test_the_edge_has_the_grammar_of_the_service() -> None:
    whole = r"^{}(?!\n)$"
    assert pattern("media").pattern == whole.format(REVISION)
    assert pattern("download").pattern == whole.format(FILE_REVISION)
    assert f'"(?P<tag>{REVISION})"' in cached().pattern


def test_the_edge_knows_which_layouts_may_be_longer_than_their_files() -> None:
    script = (NGINX / "njs" / "cache_lookup.js").read_text(encoding="utf-8")
    (letters,) = re.findall(r"const LAYOUT = /.+\(\[(\w+)\]\)", script)
    (added,) = re.findall(r"const MAX_ADDED = \{(.+)\};", script)
    # A sound that comes first makes nothing longer.
    named = set(re.findall(r"-(\w)\[0-9\]", REVISION)) | set(*re.findall(r"\[(\w+)\]\[", REVISION))
    assert set(letters) == set(re.findall(r"(\w):", added)) == named


@pytest.mark.parametrize("version", ["1a2b", "c0ffee", "f00d"])
def test_the_edge_takes_no_version_of_an_object_for_a_layout(version: str) -> None:
    script = (NGINX / "njs" / "cache_lookup.js").read_text(encoding="utf-8")
    (regex,) = re.findall(r"const LAYOUT = /(.+)/;", script)
    file = tagged_revision(5_000_000_000, version)
    for sound in ("", "-a2"):
        assert not re.search(regex, file + sound)
        for revision in (fast_start_revision(file), remuxed_revision(file, "c0123456789abcdef")):
            found = re.search(regex, revision + sound)
            assert found
            assert revision.startswith(f"{file}-{found[1]}")


@given(st.integers(1, 2**63 - 1), st.integers(-(2**63) * 10**9, 2**63 * 10**9))
def test_blocks_of_files_with_any_time_may_be_cached(size: int, modified: int) -> None:
    file, may_cache = file_revision(size, modified), cached()
    for revision in (file, fast_start_revision(file), remuxed_revision(file, "m" + "f" * 16)):
        assert pattern("media").search(revision)
        target, rest = f"/media/film.mp4?v={revision}", f"bytes=0-4194303 bytes 0-0/{size}"
        assert may_cache.search(f'206 "{revision}" {target} {rest}')
    assert pattern("download").search(file)


@pytest.mark.parametrize(
    "revision", [FILE, OLD, FAST_START, REMUXED, WITH_SOUND, f"{FILE}-a2", f"{REMUXED}-a2"]
)
def test_a_block_of_a_layout_may_be_cached_only_under_its_own_revision(revision: str) -> None:
    may_cache = cached()
    others = {FILE: FAST_START, FAST_START: REMUXED, REMUXED: WITH_SOUND, WITH_SOUND: FILE}
    other = others.get(revision, revision[:-1] + "3" if "-a" in revision else FILE)
    target, rest = f"/media/film.mp4?v={revision}", "bytes=0-4194303 bytes 0-4194303/5000000000"
    assert may_cache.search(f'206 "{revision}" {target} {rest}')
    assert not may_cache.search(f'206 "{other}" {target} {rest}')
