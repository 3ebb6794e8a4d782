"""The pages in Firefox over WebDriver BiDi; browser/firefox.js acts as the viewer."""

from pathlib import Path

import pytest
from support.firefox import executable, prepare
from support.npm import node
from support.sample_library import CAPTIONED, HEVC, LONG, watch
from support.server import until
from support.stack import Stack
from support.viewing_metrics import added, viewing

pytestmark = pytest.mark.stack


def test_a_viewer_finds_plays_and_resumes_a_film_with_captions(
    cinema: Stack, tmp_path: Path
) -> None:
    page, before = watch(CAPTIONED), viewing(cinema)
    profiles = [tmp_path / name for name in ("with-scripts", "without-scripts")]
    for profile in profiles:
        prepare(profile)
    seen = node("firefox.js", executable(), cinema.base, page, watch(HEVC), *map(str, profiles))
    assert seen["page"] == page
    assert seen["duration"] == pytest.approx(LONG, abs=0.2)
    assert seen["captions"][:2] == ["subtitles de", "subtitles en"]
    word, _, second = seen["caption"].partition(" ")
    assert word == "Sekunde"
    assert 0 < int(second) < 20
    assert seen["seeks"] == [45, 10, 30.5]
    assert seen["preview"] == ["0:33", "0:35"]
    assert seen["current"] == ["0:33", "0:35", "Nets and ropes"]
    assert seen["stayed"]
    assert seen["resumed"] == pytest.approx(41.5, abs=2)
    assert seen["message"] == ""  # the link sets the start
    assert seen["copied"] == "Copied."
    assert seen["error"] is None
    assert seen["banner"] == ""
    cannot = "This browser cannot play HEVC video."
    assert seen["verdict"] == ("This browser plays it." if seen["decodes"] else cannot)
    assert seen["framed"] == page
    # Without JavaScript.
    assert seen["scripts"] is False
    assert seen["link"] == "?filmstrip=1&t=3"
    assert seen["complaints"] == []
    # What the player has reported.
    until(lambda: added(cinema, before, "reports_total") or None, "a report is counted")
    assert added(cinema, before, "first_frame_seconds_count") >= 1
    assert added(cinema, before, 'seconds_total{state="played"}') > 0.3
