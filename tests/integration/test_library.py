"""The library of a running service: metadata of files, and how it notices changes."""

import json
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from support.ffmpeg_fixtures import ffmpeg
from support.raw_http import ask
from support.server import Server, content, serve, until, write

from service.artefact_store.folder import FolderArtefactStore
from service.artefacts.probe_cache import ProbeCache
from service.database.database import FILE_NAME
from service.storage.local.folder import LocalStorage

INTERVAL = "1"  # seconds between scans, for tests that are not about noticing changes
NEVER = "86400"
MANY = 10_000
EMPTY_BYTES, VIDEO_BYTES = 80 << 20, 4096
"""Memory of the service without videos, and for each: shared sets of fields save more than half."""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Make a real video of one second, 64 by 48 pixels, with audio."""
    file = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return ffmpeg(
        file,
        *("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=10:duration=1"),
        *("-f", "lavfi", "-i", "sine=duration=1:sample_rate=44100"),
        *("-c:v", "mpeg4", "-c:a", "aac", "-ac", "1", "-movflags", "+faststart"),
        *("-metadata", "title=A clip of ours"),
    ).read_bytes()


@pytest.fixture
def media(tmp_path: Path) -> Path:
    folder = tmp_path / "media"
    folder.mkdir()
    return folder


def get(server: Server, target: str) -> Any:
    answer = ask(server.base, target)
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def listed_videos(server: Server) -> dict[str, Any]:
    """Return every video of the listing by its path."""
    videos: dict[str, Any] = {}
    target = "/api/videos?limit=200"
    while target:
        page = get(server, target)
        videos |= {video["path"]: video for video in page["videos"]}
        target = page["next_url"]
    return videos


def wait_for(server: Server, condition: Callable[[dict[str, Any]], Any], what: str) -> Any:
    """Wait until the listing meets the condition; return it."""

    def matching_videos() -> Any:
        videos = listed_videos(server)
        return videos if condition(videos) else None

    return until(matching_videos, what)


def wait_until_probed(server: Server, path: str) -> Any:
    """Wait until a video is no longer pending; return it."""
    return wait_for(
        server,
        lambda videos: path in videos and videos[path]["state"] != "pending",
        f"{path} is probed",
    )[path]


# Metadata


def test_a_clip_is_described(media: Path, clip: bytes) -> None:
    write(media, "sub folder/a clip #1.mp4", clip)
    with serve(media) as server:
        wait_until_probed(server, "sub folder/a clip #1.mp4")
        video = get(server, "/api/videos/sub%20folder/a%20clip%20%231.mp4")
        assert video["state"] == "probed"
        assert video["problem"] is None
        assert video["title"] == "A clip of ours"
        assert video["size"] == len(clip)
        assert video["content_type"] == "video/mp4"
        metadata = video["metadata"]
        assert "mp4" in metadata["container"].split(",")
        assert metadata["duration"] == pytest.approx(1.0, abs=0.15)
        assert metadata["bit_rate"] == pytest.approx(8 * len(clip), rel=0.2)
        assert metadata["index_at_front"] is True
        video_stream, audio_stream = metadata["streams"]
        assert (video_stream["kind"], video_stream["codec"]) == ("video", "mpeg4")
        assert (video_stream["width"], video_stream["height"], video_stream["frame_rate"]) == (
            64,
            48,
            10,
        )
        assert (audio_stream["kind"], audio_stream["codec"]) == ("audio", "aac")
        assert (audio_stream["channels"], audio_stream["sample_rate"]) == (1, 44100)
        # Its links can be opened.
        media_answer = ask(server.base, video["media_url"])
        assert (media_answer.status, media_answer.body) == (200, clip)
        assert media_answer.headers["ETag"] == f'"{video["revision"]}"'
        assert ask(server.base, video["download_url"]).body == clip
        page = ask(server.base, video["watch_url"], {"Accept": "text/html"}).body.decode()
        assert "A clip of ours" in page
        assert "64\N{MULTIPLICATION SIGN}48" in page


def test_a_file_that_is_no_video_is_listed_with_its_problem_and_still_served(
    media: Path, clip: bytes
) -> None:
    write(media, "text.mp4", b"this is a text, and no video\n" * 100)
    write(media, "zeros.mp4", bytes(5000))
    write(media, "half.mp4", clip[: len(clip) // 2])
    with serve(media) as server:
        text = wait_until_probed(server, "text.mp4")
        assert text["state"] == "failed"
        assert "no video" in text["problem"]
        assert text["metadata"] is None
        assert text["title"] == "text"
        zeros = wait_until_probed(server, "zeros.mp4")
        assert zeros["state"] == "failed"
        assert "zeros" in zeros["problem"]
        for video in (text, zeros):
            assert str(media) not in video["problem"]
        wait_until_probed(server, "half.mp4")
        for name in ("text.mp4", "zeros.mp4", "half.mp4"):
            assert ask(server.base, f"/media/{name}").body == (media / name).read_bytes()
        page = ask(server.base, text["watch_url"], {"Accept": "text/html"})
        assert page.status == 200
        assert text["problem"] in page.body.decode()
        line = server.wait_for_log("a file cannot be probed", path="text.mp4")
        assert line["reason"] == text["problem"]


def test_hidden_and_other_files_are_not_listed(media: Path) -> None:
    for name in (
        *(".hidden/film.mp4", ".film.mp4", "sub/.hidden/film.mp4", "sub/.film.mp4"),
        *("notes.txt", "film.mp4.part", "film.jpg", "shown.mp4", "sub/shown.mp4"),
    ):
        write(media, name, b"x")
    write(media, "empty.mp4", b"")
    with serve(media) as server:
        assert sorted(listed_videos(server)) == ["shown.mp4", "sub/shown.mp4"]


def test_a_ready_service_lists_all_files_of_a_folder(media: Path) -> None:
    names = [f"film {number}.mp4" for number in range(300)]
    for name in names:
        write(media, name, b"no video")
    with serve(media) as server:
        # The service is ready only after the first scan.
        assert get(server, "/api/videos?limit=1")["total"] == 300
        assert list(listed_videos(server)) == names  # sorted by number: 2 before 10
        assert get(server, "/api/videos?q=film+29")["total"] == 13  # 29, 129, 229, 290 to 299


# Changes


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    folder: Path = tmp_path_factory.mktemp("watched") / "media"
    folder.mkdir()
    with serve(folder, RESCAN_INTERVAL=INTERVAL) as server:
        yield server, folder


def test_an_added_file_is_listed(watched: tuple[Server, Path], clip: bytes) -> None:
    server, media = watched
    assert ask(server.base, "/api/videos/new/added.mp4").status == 404
    write(media, "new/added.mp4", clip)
    assert wait_until_probed(server, "new/added.mp4")["state"] == "probed"


def test_a_replaced_file_is_probed_again(watched: tuple[Server, Path], clip: bytes) -> None:
    server, media = watched
    file = write(media, "replaced.mp4", b"no video yet")
    before = wait_until_probed(server, "replaced.mp4")
    assert before["state"] == "failed"
    assert get(server, "/api/videos/replaced.mp4") == before
    write(media, "replacement", clip, age=1800).rename(file)
    after = wait_for(
        server,
        lambda videos: videos["replaced.mp4"]["state"] == "probed",
        "the new one is probed",
    )["replaced.mp4"]
    assert after["revision"] != before["revision"]
    assert after["size"] == len(clip)
    assert after["problem"] is None
    # Its artefacts are being built meanwhile.
    lasting = after.keys() - {"poster", "storyboard", "captions"}
    video = get(server, "/api/videos/replaced.mp4")
    assert {key: video[key] for key in lasting} == {key: after[key] for key in lasting}
    # Links to the old revision are gone and do not lead to other bytes.
    assert ask(server.base, before["media_url"]).status == 410
    assert ask(server.base, after["media_url"]).body == clip


def test_a_renamed_file_is_listed_only_by_its_new_name(
    watched: tuple[Server, Path],
) -> None:
    server, media = watched
    file = write(media, "old name.mp4", b"x")
    wait_for(server, lambda videos: "old name.mp4" in videos, "it is listed")
    file.rename(media / "new name.mp4")
    wait_for(
        server,
        lambda videos: "new name.mp4" in videos and "old name.mp4" not in videos,
        "it is listed by its new name",
    )
    assert ask(server.base, f"/api/videos/{quote('old name.mp4')}").status == 404
    assert ask(server.base, f"/watch/{quote('old name.mp4')}").status == 404


def test_the_files_of_a_deleted_folder_are_removed(watched: tuple[Server, Path]) -> None:
    server, media = watched
    for number in range(3):
        write(media, f"going/{number}.mp4", b"x")
    write(media, "staying.mp4", b"x")
    wait_for(server, lambda videos: "going/2.mp4" in videos and "staying.mp4" in videos, "listed")
    shutil.rmtree(media / "going")
    videos = wait_for(
        server, lambda videos: not any(path.startswith("going/") for path in videos), "gone"
    )
    assert "staying.mp4" in videos
    assert ask(server.base, "/media/going/0.mp4").status == 404


def test_changes_are_noticed_between_scans(media: Path) -> None:
    with serve(media, RESCAN_INTERVAL=NEVER) as server:

        def listed_video() -> Any:
            # Written repeatedly: the watch may start shortly after the server is ready.
            write(media, "noticed.mp4", b"x")
            time.sleep(0.2)
            return listed_videos(server).get("noticed.mp4")

        until(listed_video, "the change is noticed")


# Files that are still being written


def test_an_unsettled_file_is_served_but_not_listed(media: Path) -> None:
    data = content(5000)
    write(media, "fresh.mp4", data)  # its date is old, but it was written just now
    with serve(media, SETTLE_TIME="3600", RESCAN_INTERVAL=INTERVAL) as server:
        until(lambda: server.metric("reelay_scans_total") >= 2 or None, "it has been scanned twice")
        assert listed_videos(server) == {}
        assert ask(server.base, "/api/videos/fresh.mp4").status == 404
        answer = ask(server.base, "/media/fresh.mp4", {"Range": "bytes=100-199"})
        assert (answer.status, answer.body) == (206, data[100:200])
        assert server.metric("reelay_probes_total") == 0


def test_a_settled_file_is_listed_without_another_event(media: Path) -> None:
    write(media, "settling.mp4", b"x")
    with serve(media, SETTLE_TIME="2", RESCAN_INTERVAL=NEVER) as server:
        wait_for(server, lambda videos: "settling.mp4" in videos, "it is listed")


# Restarts and stored results


def test_a_restart_repeats_no_probes(media: Path, clip: bytes) -> None:
    for number in range(3):
        write(media, f"{number}.mp4", clip + bytes(number))
    with serve(media) as server:
        before = {path: wait_until_probed(server, path) for path in ("0.mp4", "1.mp4", "2.mp4")}
        until(
            lambda: server.metric('reelay_probes_total{outcome="complete"}') == 3 or None,
            "three are probed",
        )
    write(media, "3.mp4", clip + bytes(3))
    with serve(media) as server:
        # The first scan, which readiness waits for, uses stored results.
        videos = listed_videos(server)
        assert {path: videos[path] for path in before} == before
        assert {video["state"] for video in before.values()} == {"probed"}
        assert wait_until_probed(server, "3.mp4")["state"] == "probed"
        until(lambda: server.metric("reelay_probes_total") or None, "the probe is counted")
        assert server.metric("reelay_probes_total") == 1  # only the new file


@pytest.mark.slow
def test_a_restart_with_ten_thousand_probed_videos_probes_none_of_them(
    media: Path, clip: bytes
) -> None:
    for number in range(MANY):
        write(media, f"{number % 100}/{number}.mp4", clip)
    derived = FolderArtefactStore(media.parent / "derived", 2**31)
    probed, entries = ProbeCache(derived), list(LocalStorage(media).list_entries())
    with serve(media, RESCAN_INTERVAL=NEVER) as server:
        until(lambda: server.metric("reelay_probes_total") or None, "some have been probed")
    results = (probed.load(entry.path, entry.revision) for entry in entries)
    probe_result = next(stored for stored in results if stored is not None)
    for entry in entries:  # store the result for all files, which are the same clip
        probed.save(entry.path, entry.revision, probe_result)
    with serve(media, RESCAN_INTERVAL=NEVER) as server:
        assert server.metric('reelay_videos{state="probed"}') == MANY
        assert get(server, "/api/videos/99/9999.mp4")["metadata"]["title"] == "A clip of ours"
        assert server.metric("reelay_probes_total") == 0
        assert server.resident() <= EMPTY_BYTES + MANY * VIDEO_BYTES


def test_an_unwritable_artefact_folder_does_no_harm(media: Path, clip: bytes) -> None:
    write(media, "film.mp4", clip)
    blocked = write(media.parent, "a file", b"")
    with serve(media, DERIVED=str(blocked / "derived")) as server:
        assert wait_until_probed(server, "film.mp4")["state"] == "probed"
        line = server.wait_for_log("cannot store an artefact")
        assert line["level"] == "warning"
        assert ask(server.base, "/media/film.mp4").body == clip
    assert blocked.read_bytes() == b""


def test_a_damaged_stored_probe_result_is_probed_again_if_the_catalogue_is_lost(
    media: Path, clip: bytes
) -> None:
    write(media, "film.mp4", clip)
    derived = media.parent / "derived"
    with serve(media) as server:
        before = wait_until_probed(server, "film.mp4")
        records: list[Path] = until(
            lambda: list(derived.glob("metadata/*/*")) or None, "it is stored"
        )
    for file in records:
        file.write_bytes(file.read_bytes()[:-10])
    (derived / FILE_NAME).unlink()  # else the record is not needed
    with serve(media) as server:
        assert wait_until_probed(server, "film.mp4")["metadata"] == before["metadata"]
        assert server.metric("reelay_probes_total") == 1


# Monitoring


def test_metrics_count_videos_scans_and_probes(media: Path, clip: bytes) -> None:
    write(media, "good.mp4", clip)
    write(media, "also good.mp4", clip)
    write(media, "bad.mp4", b"no video")
    with serve(media, RESCAN_INTERVAL=INTERVAL) as server:
        wait_for(
            server,
            lambda videos: all(video["state"] != "pending" for video in videos.values()),
            "all are probed",
        )
        expected = {
            'reelay_videos{state="probed"}': 2,
            'reelay_videos{state="failed"}': 1,
            'reelay_videos{state="pending"}': 0,
            'reelay_probes_total{outcome="complete"}': 2,
            'reelay_probes_total{outcome="failed"}': 1,
            "reelay_probe_seconds_count": 3,
        }
        assert {name: server.metric(name) for name in expected} == expected
        before = server.metric('reelay_scans_total{outcome="complete"}')
        assert before >= 1
        until(
            lambda: server.metric('reelay_scans_total{outcome="complete"}') > before or None,
            "there is another scan",
        )
        assert server.metric('reelay_scans_total{outcome="failed"}') == 0
        assert server.metric("reelay_probes_total") == 3  # scans do not repeat probes
        (media / "bad.mp4").unlink()
        until(
            lambda: server.metric('reelay_videos{state="failed"}') == 0 or None,
            "the gauge follows",
        )


def slow_disk(media: Path, gate: Path) -> AbstractContextManager[Server]:
    """Start the service; listing a folder takes until the gate exists."""
    environ = {"GATE": str(gate)}
    return serve(media, module="tests.support.slow_disk", environ=environ, ready=False)


def test_the_service_is_live_and_serves_but_is_not_ready_before_the_first_scan_ends(
    media: Path, tmp_path: Path
) -> None:
    data = content(5000)
    write(media, "film.mp4", data)
    gate = tmp_path / "gate"
    with slow_disk(media, gate) as server:
        try:
            assert ask(server.base, "/healthz").status == 200
            refused = ask(server.base, "/readyz")
            assert refused.status == 503
            assert refused.headers["Retry-After"] == "1"
            assert listed_videos(server) == {}
            assert server.metric("reelay_scans_total") == 0
            # Serving does not wait for a scan.
            assert ask(server.base, "/media/film.mp4").body == data
        finally:
            gate.touch()
        until(lambda: ask(server.base, "/readyz").status == 200 or None, "it is ready")
        assert list(listed_videos(server)) == ["film.mp4"]


def test_a_hanging_disk_does_not_delay_shutdown(media: Path, tmp_path: Path) -> None:
    with slow_disk(media, tmp_path / "never") as server:
        server.process.send_signal(signal.SIGTERM)
        assert server.ended() == 0


def test_a_missing_root_is_not_an_empty_library(media: Path) -> None:
    write(media, "film.mp4", b"x")
    with serve(media, RESCAN_INTERVAL=INTERVAL) as server:
        assert list(listed_videos(server)) == ["film.mp4"]
        media.rename(media.parent / "elsewhere")
        until(
            lambda: server.metric('reelay_scans_total{outcome="failed"}') or None,
            "a scan has failed",
        )
        assert list(listed_videos(server)) == ["film.mp4"]
        (media.parent / "elsewhere").rename(media)
        write(media, "another.mp4", b"x")
        wait_for(server, lambda videos: len(videos) == 2, "scanning continues")
