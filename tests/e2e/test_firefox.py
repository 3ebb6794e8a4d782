"""The same in Debian's Firefox, over WebDriver BiDi: browser/firefox.js does what a viewer does."""

import shutil
from pathlib import Path

import pytest
from cinema import CAPTIONED, LONG, watch
from npm import node
from stack import Stack, missing

pytestmark = pytest.mark.stack


def test_a_viewer_finds_a_film_plays_seeks_reads_along_and_goes_on(
    cinema: Stack, tmp_path: Path
) -> None:
    firefox = shutil.which("firefox-esr") or shutil.which("firefox")
    if firefox is None:
        missing("needs Firefox")
    page = watch(CAPTIONED)
    seen = node("firefox.js", firefox, cinema.base, page, str(tmp_path / "profile"))
    assert seen["page"] == page
    assert seen["duration"] == pytest.approx(LONG, abs=0.2)
    assert seen["captions"][:2] == ["subtitles de", "subtitles en"]
    word, _, second = seen["caption"].partition(" ")
    assert word == "Sekunde"
    assert 0 < int(second) < 20
    assert seen["seeks"] == [45, 10, 30.5]
    assert seen["resumed"] == pytest.approx(41.5, abs=2)
    assert seen["ended"]
    assert seen["error"] is None
    assert seen["complaints"] == []
