"""Films that a running service copies into MP4s for players."""

import json
import os
import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from email.utils import formatdate
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import av
import pytest
from playwright.sync_api import Browser
from support.chromium import flawless, watched
from support.ffmpeg_fixtures import AAC, H264, ffmpeg
from support.firefox import Tab
from support.matroska_elements import ZLIB, encode
from support.mp4_boxes import boxes
from support.raw_http import Answer, ask
from support.remuxed_files import pictures
from support.representations import check_conditions, check_ranges
from support.seeks import CODECS, LENGTH, SHADES, SOUND, check_seeks, unmade
from support.server import BLOCK, Server, environment, serve, until, write

ROOT = Path(__file__).parents[2]
FINDINGS = re.compile(r'^reelay_findings\{code="(.+)"\} (.+)$', re.MULTILINE)
MODIFIED = 784111777  # RFC 9110 §5.6.7: Sun, 06 Nov 1994 08:49:37 GMT
DATES = [formatdate(MODIFIED + days * 86400, usegmt=True) for days in (0, -1, 1)]
MIB = 1024**2

ANNEX_B = ("-bsf:v", "h264_mp4toannexb")


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copied") / "media"
    folder.mkdir()
    film = ffmpeg(folder.parent / "film.mkv", *SHADES, *SOUND, *CODECS, *AAC)
    copy = ("-i", film, "-c", "copy")
    ffmpeg(folder / "film.ts", *copy)
    ffmpeg(folder / "late.m2ts", *copy, "-output_ts_offset", "5000")
    ffmpeg(folder / "disc.mpg", *copy, *ANNEX_B, "-c:a", "mp2")
    ffmpeg(folder / "camera.avi", *copy, *ANNEX_B, "-c:a", "pcm_s16le")
    ffmpeg(folder / "small.ts", "-i", film, "-t", "1", "-vf", "scale=32:18", *H264, *AAC)
    (folder / "zipped.mkv").write_bytes(encode(film.read_bytes(), {1: ZLIB}))
    for path in folder.iterdir():
        os.utime(path, (MODIFIED, MODIFIED))
    return folder


COPIED = ("film.ts", "late.m2ts", "disc.mpg", "camera.avi", "small.ts")


@pytest.fixture(scope="module")
def server(media: Path) -> Iterator[Server]:
    with serve(media) as server:
        yield server


def get(server: Server, where: str, **headers: str) -> Answer:
    return ask(server.base, where, {name.replace("_", "-"): v for name, v in headers.items()})


def codes_of(item: Any) -> list[str]:
    return [finding["code"] for finding in item["findings"]]


def doctor(folder: Path) -> dict[str, Any]:
    """Return what the doctor prints, by the names of files."""
    done = subprocess.run(
        [sys.executable, "-m", "service", "doctor", "--json", "."],
        env=environment(folder) | {"PYTHONPATH": str(ROOT)},
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
    )
    return {item["path"]: item for item in map(json.loads, done.stdout.splitlines())}


def counted(server: Server) -> Counter[str]:
    """Return how many videos have each finding, as the metrics say it."""
    lines = get(server, "/metrics").body.decode()
    return +Counter({code: int(float(n)) for code, n in FINDINGS.findall(lines)})


def post(server: Server, where: str, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ask(server.base, where, {"Content-Length": "0", **named}, method="POST")


def video(server: Server, name: str) -> Any:
    return json.loads(get(server, f"/api/videos/{quote(name)}").body)


def in_state(server: Server, name: str, *states: str) -> Any:
    """Return a video's JSON when its copy is in one of these states."""

    def settled() -> Any:
        item = video(server, name)
        return item if item.get("copied", {}).get("state") in states else None

    return until(settled, f"the copy of {name} is in {states}")


def copied(server: Server, name: str) -> Any:
    return in_state(server, name, "ready")


def whole(server: Server, name: str) -> bytes:
    return get(server, copied(server, name)["media_url"]).body


@pytest.mark.parametrize("name", COPIED)
def test_players_get_an_mp4_and_downloads_are_the_file(
    server: Server, media: Path, name: str
) -> None:
    item = copied(server, name)
    data = whole(server, name)
    assert [kind for kind, _ in boxes(data)] == [b"ftyp", b"moov", b"mdat"]
    assert item["representation"] == "copied"
    assert item["media_type"] == "video/mp4"
    assert [finding["severity"] for finding in item["findings"]].count("unplayable") == 0
    answer = get(server, item["media_url"], Range="bytes=0-0")
    assert answer.headers["Content-Type"] == "video/mp4"
    file = (media / name).read_bytes()
    for url in (item["download_url"], f"/media/{name}?v={item['revision']}"):
        assert get(server, url).body == file
    assert pictures(BytesIO(data), 0) == pictures(str(media / name), 0)
    # It is as long as the page says.
    with av.open(BytesIO(data), "r") as container:
        assert (container.duration or 0) / 1e6 == pytest.approx(
            item["metadata"]["duration"], abs=0.15
        )


def test_the_metrics_count_what_players_get(server: Server) -> None:
    for name in COPIED:
        copied(server, name)
    kinds = ("file", "fast_start", "remuxed", "with_sound")
    counted = {kind: server.metric(f'reelay_representations{{kind="{kind}"') for kind in kinds}
    made = server.metric('reelay_representations{kind="copied"')
    assert made in {5, 6}  # if zipped.mkv is copied already
    assert counted == {"file": 6 - made, "fast_start": 0, "remuxed": 0, "with_sound": 0}


def test_the_json_says_what_is_served(server: Server) -> None:
    item = copied(server, "film.ts")
    assert item["copied"]["codecs"] == ["avc1.4D401E", "mp4a.40.2"]
    assert (item["copied"]["streams"], item["copied"]["transcoded"]) == ([0, 1], [])
    assert item["findings"] == []
    other = copied(server, "camera.avi")
    assert (other["copied"]["streams"], other["copied"]["transcoded"]) == ([0, 1], [1])
    assert other["copied"]["codecs"][1] == "mp4a.40.2"
    assert other["findings"] == []


def test_a_revision_is_bound_to_its_copy_and_route(server: Server) -> None:
    item = copied(server, "film.ts")
    pin = item["media_url"].partition("?v=")[2]
    file, digest = pin.split("-c")
    assert file == item["revision"]
    pinned, unpinned = get(server, item["media_url"]), get(server, "/media/film.ts")
    assert pinned.body == unpinned.body
    assert pinned.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert unpinned.headers["Cache-Control"] == "no-cache"
    assert pinned.headers["ETag"] == unpinned.headers["ETag"] == f'"{pin}"'
    other = f"{int(digest, 16) ^ 1:016x}"
    for invalid in (f"{file}-c{other}", f"{file}-c", f"{file}-m{digest}", f"0{pin}", f"{pin}0"):
        assert get(server, f"/media/film.ts?v={invalid}").status == 410, invalid
    assert get(server, f"/download/film.ts?v={pin}").status == 410
    assert get(server, "/_revision?path=/media/film.ts").headers["X-Revision"] == pin
    assert get(server, "/_revision?path=/download/film.ts").headers["X-Revision"] == file


def test_every_range_is_a_slice_of_the_mp4(server: Server) -> None:
    data, url = whole(server, "film.ts"), copied(server, "film.ts")["media_url"]
    size, chance = len(data), random.Random(3)  # noqa: S311 # spans, no secrets
    header = data.index(b"mdat") + 12
    edges = [0, header, BLOCK, header + BLOCK, size - 1]
    starts = [max(0, min(size - 1, edge + shift)) for edge in edges for shift in (-3, -1, 0, 1)]
    for start in [*starts, *(chance.randrange(size) for _ in range(60))]:
        last = chance.choice([start, start + 9, start + chance.randrange(size), size * 2])
        end = min(last + 1, size, start // BLOCK * BLOCK + BLOCK)
        answer = get(server, url, Range=f"bytes={start}-{last}")
        assert answer.status == 206
        assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{size}"
        assert answer.body == data[start:end]


def test_the_table_of_ranges_holds(server: Server) -> None:
    url, data = copied(server, "small.ts")["media_url"], whole(server, "small.ts")
    assert 1000 < len(data) < BLOCK  # nothing is capped
    check_ranges(server.base, url, data)


def test_conditions_apply_as_for_any_representation(server: Server) -> None:
    url = copied(server, "small.ts")["media_url"]
    check_conditions(server.base, url, url.partition("?v=")[2], DATES)


# Asking for it


def test_a_film_is_copied_when_somebody_asks_on_its_page(server: Server, media: Path) -> None:
    # A header makes an MP4 of most Matroska files, so none is copied unasked.
    item = in_state(server, "zipped.mkv", "possible")
    assert item["representation"] == "file"
    assert "copyable" in [finding["code"] for finding in item["findings"]]
    page = get(server, "/watch/zipped.mkv").body.decode()
    assert '<form class="notice"' in page
    assert 'action="/copies/zipped.mkv"' in page
    answer = post(server, "/copies/zipped.mkv", Sec_Fetch_Site="same-origin")
    assert (answer.status, answer.headers["Location"]) == (303, "/watch/zipped.mkv")
    item = copied(server, "zipped.mkv")
    assert item["representation"] == "copied"
    data = get(server, item["media_url"]).body
    with av.open(BytesIO(data), "r") as made, av.open(str(media / "film.ts")) as film:
        assert len(list(made.decode(video=0))) == len(list(film.decode(video=0)))
    assert "data-making" not in get(server, "/watch/zipped.mkv").body.decode()
    # To ask again changes nothing.
    assert post(server, "/copies/zipped.mkv").status == 303
    assert video(server, "zipped.mkv")["media_url"] == item["media_url"]


def test_a_fragmented_mp4_without_sound_that_browsers_play_is_copied_when_somebody_asks(
    tmp_path: Path, media: Path
) -> None:
    folder = tmp_path / "media"
    folder.mkdir()
    copy = ("-i", media / "small.ts", "-c:v", "copy", "-c:a", "ac3")
    ffmpeg(folder / "a.mp4", *copy, "-movflags", "frag_keyframe+empty_moov+delay_moov")
    ffmpeg(folder / "whole.mp4", *copy)
    with serve(folder) as server:
        item = in_state(server, "a.mp4", "possible")
        assert item["sound"]["declined"]
        assert "copyable" in codes_of(item)
        # The JSON, the doctor and the metrics agree.
        judged = doctor(folder)
        assert codes_of(judged["a.mp4"]) == codes_of(item)
        expected = Counter(c for one in judged.values() for c in codes_of(one))
        until(lambda: counted(server) == expected or None, "the findings are counted")
        assert post(server, "/copies/a.mp4", Sec_Fetch_Site="same-origin").status == 303
        item = copied(server, "a.mp4")
        assert (item["copied"]["streams"], item["copied"]["transcoded"]) == ([0, 1, 1], [1])
        assert [finding["code"] for finding in item["findings"]] == []
        data = get(server, item["media_url"]).body
        assert pictures(BytesIO(data), 0) == pictures(str(folder / "a.mp4"), 0)
        # Sound is made for the other one.
        until(lambda: video(server, "whole.mp4")["representation"] == "with_sound", "its sound")
        assert video(server, "whole.mp4")["copied"]["state"] == "none"
        # So it is not copied, though somebody asks for it.
        assert post(server, "/copies/whole.mp4", Sec_Fetch_Site="same-origin").status == 303
        states = ("waiting", "ready")
        series = [f'reelay_derived{{kind="copied",state="{state}"}}' for state in states]
        assert list(map(server.metric, series)) == [0, 1]  # a.mp4


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
    ],
)
def test_pages_of_other_sites_cannot_ask(server: Server, headers: dict[str, str]) -> None:
    assert post(server, "/copies/zipped.mkv", **headers).status == 403


def test_only_films_of_the_library_are_copied_and_only_by_post(server: Server) -> None:
    assert post(server, "/copies/nothing.ts").status == 404
    answer = get(server, "/copies/film.ts")
    assert (answer.status, answer.headers["Allow"]) == (405, "POST, OPTIONS")
    answer = post(server, "/watch/film.ts")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")


# Changes and room


def test_a_replaced_film_is_noticed_at_once_and_never_mixed(tmp_path: Path, media: Path) -> None:
    folder = tmp_path / "media"
    film, other = (media / "film.ts").read_bytes(), (media / "small.ts").read_bytes()
    write(folder, "a.ts", film)
    with serve(folder) as server:
        item = copied(server, "a.ts")
        first = get(server, item["media_url"], Range="bytes=0-")
        write(folder, "new", other, age=1800).rename(folder / "a.ts")
        second = get(server, "/media/a.ts", Range="bytes=0-", If_Range=first.headers["ETag"])
        assert second.status == 200
        assert second.body == other or second.body[4:8] == b"ftyp"
        assert get(server, item["media_url"], Range="bytes=0-").status == 410

        def replaced() -> Any:
            new = video(server, "a.ts")
            is_new = new.get("representation") == "copied" and new["revision"] != item["revision"]
            return new if is_new else None

        again = until(replaced, "the new file is copied")
        assert len(get(server, again["media_url"]).body) < len(other) + 20_000


def stored(derived: Path) -> list[Path]:
    return [path for path in (derived / "copied").rglob("*") if path.is_file()]


@pytest.mark.slow
def test_copies_outlive_a_restart_and_are_made_again_if_they_are_lost(
    tmp_path: Path, media: Path
) -> None:
    folder = tmp_path / "media"
    write(folder, "a.ts", (media / "small.ts").read_bytes())
    with serve(folder) as server:
        url = copied(server, "a.ts")["media_url"]
        data = get(server, url).body
    (file,) = stored(tmp_path / "derived")
    with serve(folder) as server:
        assert get(server, url).body == data  # before the library has looked at anything
        assert copied(server, "a.ts")["media_url"] == url
        assert server.metric('reelay_derivations_total{kind="copied"') == 0
    file.unlink()
    with serve(folder) as server:
        assert copied(server, "a.ts")["media_url"] == url
        assert get(server, url).body == data


def test_a_copy_that_has_gone_is_said_to_be_gone_and_may_be_asked_for(
    tmp_path: Path, media: Path
) -> None:
    folder = tmp_path / "media"
    write(folder, "a.ts", (media / "small.ts").read_bytes())
    with serve(folder) as server:
        copied(server, "a.ts")
        stored(tmp_path / "derived")[0].unlink()
        assert get(server, video(server, "a.ts")["media_url"]).status == 410
        assert in_state(server, "a.ts", "possible")["representation"] == "file"
        assert post(server, "/copies/a.ts").status == 303
        item = copied(server, "a.ts")
        assert get(server, item["media_url"]).status == 200


@pytest.mark.slow
def test_a_damaged_copy_is_not_served(tmp_path: Path, media: Path) -> None:
    folder = tmp_path / "media"
    write(folder, "a.ts", (media / "small.ts").read_bytes())
    with serve(folder) as server:
        url = copied(server, "a.ts")["media_url"]
    (file,) = stored(tmp_path / "derived")
    file.write_bytes(file.read_bytes()[:-10])
    with serve(folder) as server:
        assert get(server, url).status in {200, 410}  # it is made again at once
        assert copied(server, "a.ts")["media_url"] == url
        assert get(server, url).status == 200


def test_a_film_that_does_not_fit_is_refused_in_a_sentence(tmp_path: Path, media: Path) -> None:
    folder = tmp_path / "media"
    film = (media / "film.ts").read_bytes()
    assert len(film) + len(film) // 8 + 32 * MIB > 0.9 * 36 * MIB
    write(folder, "a.ts", film)
    with serve(folder, DERIVED_SIZE="36MiB") as server:
        for _ in range(2):
            item = in_state(server, "a.ts", "failed")
            assert "REELAY_DERIVED_SIZE" in item["copied"]["problem"]
            assert item["representation"] == "file"
            page = get(server, "/watch/a.ts").body.decode()
            assert "It could not be made playable." in page
            assert "Try again" in page
            assert post(server, "/copies/a.ts").status == 303
        refused = 'reelay_derivations_total{kind="copied",outcome="no room"'
        until(lambda: server.metric(refused) == 3 or None, "the last one is refused")
        assert stored(tmp_path / "derived") == []
        assert [f for f in (tmp_path / "derived").rglob("unfinished/*") if f.is_file()] == []


@pytest.mark.slow
def test_damaged_films_are_copied_as_far_as_they_go_or_say_why_not(
    tmp_path: Path, media: Path
) -> None:
    folder = tmp_path / "media"
    film, chance = (media / "film.ts").read_bytes(), random.Random(5)  # noqa: S311 # damage
    noisy = bytearray(film)
    for _ in range(2000):
        noisy[chance.randrange(3000, len(film))] = chance.randrange(256)
    middle = len(film) // 2 // 188 * 188
    files = {
        "noisy.ts": bytes(noisy),
        "zeros.ts": film[:middle] + bytes(middle),
        "cut off.ts": film[: len(film) // 3],
        "twice.ts": film + film,
        "headless.ts": film[middle + 100 :],
        "other.ts": film[:middle] + (media / "small.ts").read_bytes(),
    }
    for name, data in files.items():
        write(folder, name, data)
    with serve(folder) as server:
        for name, data in files.items():
            item = until(
                lambda name=name: (
                    (new := video(server, name)).get("state") not in {None, "pending"}
                    and new["copied"]["state"] not in {"waiting", "possible"}
                    and new
                ),
                f"{name} is examined",
            )
            answer = get(server, item["media_url"])
            assert answer.status == 200
            codes = [finding["code"] for finding in item["findings"]]
            if item["representation"] == "copied":
                assert len(answer.body) < len(data) + 100_000
                # Damaged times look like jumps.
                assert ("clock_jumps" in codes) is (name == "twice.ts") or name == "noisy.ts", name
            else:
                assert answer.body == data
                assert item["state"] == "failed" or "not_copied" in codes, name
        assert video(server, "other.ts")["copied"]["declined"] == (
            "The file changes its format on the way."
        )
        failed = [line for line in server.logged(route="media") if line["status"] >= 500]
        assert failed == []


# Browsers


@pytest.mark.parametrize("name", ["film.ts", "late.m2ts", "disc.mpg", "camera.avi"])
def test_chromium_seeks_to_the_right_picture(server: Server, browser: Browser, name: str) -> None:
    item = copied(server, name)
    with flawless(browser, server.base) as page:
        page.goto(item["watch_url"])
        check_seeks(page, item["media_url"])


@pytest.mark.slow
def test_firefox_seeks_to_the_right_picture(server: Server, firefox_tab: Tab) -> None:
    items = [copied(server, name) for name in ("film.ts", "late.m2ts", "disc.mpg", "camera.avi")]
    with firefox_tab.at(server.base) as tab:
        for item in items:
            tab.goto(item["watch_url"])
            check_seeks(tab, item["media_url"])


SOURCE = "document.querySelector('video')?.currentSrc ?? ''"  # while a page is loaded, too


@pytest.mark.slow
def test_a_page_goes_over_to_the_copy_by_itself(
    tmp_path: Path, media: Path, browser: Browser
) -> None:
    folder = tmp_path / "media"
    write(folder, "late.m2ts", (media / "late.m2ts").read_bytes())
    with ExitStack() as locks:
        locks.enter_context(unmade(tmp_path / "derived"))
        with serve(folder) as server, watched(browser, server.base) as (page, _):
            until(lambda: video(server, "late.m2ts").get("state") == "probed", "it is probed")
            in_state(server, "late.m2ts", "waiting")
            page.goto("/watch/late.m2ts?t=9.5")
            overlay = page.locator("[data-unplayable]")
            overlay.wait_for(state="visible")
            notice = page.locator("[data-making]")
            assert "It waits to be made playable." in notice.inner_text()
            locks.close()
            url = copied(server, "late.m2ts")["media_url"]
            until(lambda: page.evaluate(SOURCE).endswith(url), "the page has loaded the MP4")
            overlay.wait_for(state="hidden")
            assert notice.count() == 0
            until(lambda: page.evaluate("document.querySelector('video').currentTime") == 9.5,
                  "it is at the same second")  # fmt: skip
            check_seeks(page, url)


def test_a_viewer_makes_a_film_play_by_a_button(
    tmp_path: Path, media: Path, browser: Browser
) -> None:
    folder = tmp_path / "media"
    write(folder, "zipped.mkv", (media / "zipped.mkv").read_bytes())
    with serve(folder) as server, watched(browser, server.base) as (page, _):
        in_state(server, "zipped.mkv", "possible")
        page.goto("/watch/zipped.mkv")
        page.locator("[data-making] button").click()
        until(lambda: "-c" in page.evaluate(SOURCE).partition("?v=")[2], "the page has the MP4")
        check_seeks(page, copied(server, "zipped.mkv")["media_url"])
        assert LENGTH == 16
