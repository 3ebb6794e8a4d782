"""Posters, storyboards, captions and chapters through the stack, up to Chromium."""

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page
from support.chromium import flawless
from support.ffmpeg_fixtures import ffmpeg
from support.http2_frames import connection
from support.raw_http import Answer, ask
from support.server import until, write
from support.stack import Stack, address_of, docker, pause, running

pytestmark = [pytest.mark.slow, pytest.mark.stack]

KINDS = ("poster", "captions", "storyboard")
SIDECAR, EMBEDDED, LATE, COVERED = "film.mp4", "text.mp4", "late.mp4", "covered/film.mp4"
"""Late: with moov at the end. Covered: with a poster for its folder."""
FILMS = (SIDECAR, EMBEDDED, LATE, COVERED)
FOLDER_POSTER = "/posters/covered/"
CP1252 = b"1\r\n00:00:01,000 --> 00:00:02,500\r\nGr\xfc\xdfe \x84aus\x93 K\xf6ln: 5 \x80\r\n"
SUBTITLE = "Grüße „aus“ Köln: 5 €"
CHAPTERS = """;FFMETADATA1
[CHAPTER]
TIMEBASE=1/1
START=0
END=10
title=One
[CHAPTER]
TIMEBASE=1/1
START=10
END=20
title=Two
"""


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sources = tmp_path_factory.mktemp("made")
    folder = sources / "media"
    picture = ("-f", "lavfi", "-i", "testsrc2=size=640x360:rate=10:duration=20")
    sound = ("-f", "lavfi", "-i", "sine=duration=20")
    codecs = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "20",
              "-c:a", "aac")  # fmt: skip
    front = ("-movflags", "+faststart")
    text, chapters = sources / "text.srt", sources / "chapters.txt"
    text.write_text("1\n00:00:01,000 --> 00:00:03,000\nWithin the film\n\n", encoding="utf-8")
    chapters.write_text(CHAPTERS, encoding="utf-8")
    plain = ffmpeg(sources / "front.mp4", *picture, *sound, *codecs, *front)
    late = ffmpeg(sources / "late.mp4", *picture, *sound, *codecs)
    embedded = ffmpeg(
        sources / "text.mp4", *picture, *sound, "-i", text, "-i", chapters, "-map_metadata", "3",
        *codecs, "-map", "0", "-map", "1", "-map", "2", "-c:s", "mov_text",
        "-metadata:s:s:0", "language=eng", *front,
    )  # fmt: skip
    for name, file in ((SIDECAR, plain), (EMBEDDED, embedded), (LATE, late), (COVERED, plain)):
        write(folder, name, file.read_bytes())
    write(folder, "film.de.srt", CP1252)
    image = sources / "poster.jpg"
    Image.new("RGB", (300, 200), (255, 0, 0)).save(image)
    write(folder, "covered/poster.jpg", image.read_bytes())
    return folder


@pytest.fixture(scope="module")
def stack(media: Path) -> Iterator[Stack]:
    before = listing(media)
    with running(media, RESCAN_INTERVAL="1") as stack:
        wait_until_derived(stack.base, *FILMS)
        assert listing(media) == before
        yield stack


@pytest.fixture
def page(browser: Browser, stack: Stack) -> Iterator[Page]:
    with flawless(browser, stack.base) as page:
        yield page


def listing(folder: Path) -> dict[str, tuple[int, int, int, int]]:
    """Return size, time, mode and owner of the folder and its files."""
    files = {}
    for file in (folder, *folder.rglob("*")):
        status = file.stat()
        files[str(file)] = (status.st_size, status.st_mtime_ns, status.st_mode, status.st_uid)
    return files


def video(base: str, path: str) -> Any:
    answer = ask(base, f"/api/videos/{quote(path)}")
    return json.loads(answer.body) if answer.status == 200 else None


def waiting(base: str, *paths: str) -> list[tuple[str, str]]:
    """Return the artefacts that are not built yet, as pairs of path and kind."""
    videos = {path: video(base, path) for path in paths}
    return [
        (path, kind)
        for path, item in videos.items()
        for kind in KINDS
        if item is None or item[kind]["state"] == "waiting"
    ]


def wait_until_derived(base: str, *paths: str) -> dict[str, Any]:
    until(lambda: not waiting(base, *paths) or None, f"{paths} are derived", pause=0.2)
    return {path: video(base, path) for path in paths}


def links(item: dict[str, Any]) -> dict[str, str]:
    """Return the media type of each artefact of a video by URL."""
    media_types = {picture["url"]: "image/webp" for picture in item["poster"]["pictures"]}
    for track in item["captions"]["tracks"]:
        media_types[track["url"]] = "text/vtt; charset=utf-8"
    media_types[item["storyboard"]["url"]] = "text/vtt; charset=utf-8"
    path, _, version = item["storyboard"]["url"].partition(".vtt?v=")
    media_types[f"{path}/0.webp?v={version}"] = "image/webp"
    return media_types


# Through the edge


def test_the_container_can_write_only_to_its_volumes(stack: Stack) -> None:
    container = stack.container("service")
    assert container["HostConfig"]["ReadonlyRootfs"] is True
    assert {mount["Destination"]: mount["RW"] for mount in container["Mounts"]} == {
        "/media": False,
        "/var/cache/reelay": True,
        "/var/lib/reelay": True,
    }
    assert stack.inside("import os; print(os.getuid(), os.getgid())").split() == ["10001", "10001"]


def test_artefacts_match_the_files(stack: Stack) -> None:
    videos = wait_until_derived(stack.base, *FILMS)
    (track,) = videos[SIDECAR]["captions"]["tracks"]
    assert (track["kind"], track["language"], track["label"]) == ("subtitles", "de", "Deutsch")
    assert SUBTITLE in ask(stack.base, track["url"]).body.decode()
    embedded, chapters = videos[EMBEDDED]["captions"]["tracks"]
    assert "Within the film" in ask(stack.base, embedded["url"]).body.decode()
    assert chapters["kind"] == "chapters"
    assert "--> 00:00:20.000\nTwo" in ask(stack.base, chapters["url"]).body.decode()
    assert videos[LATE]["media_url"].endswith("-f3")  # the fast-start layout
    assert videos[LATE]["poster"]["state"] == videos[LATE]["storyboard"]["state"] == "ready"
    (covered,) = videos[COVERED]["poster"]["pictures"]
    assert (covered["width"], covered["height"]) == (300, 200)


def test_the_edge_passes_artefacts_through_unchanged(stack: Stack) -> None:
    service = f"http://{stack.address('service')}:8000"
    for path, item in wait_until_derived(stack.base, *FILMS).items():
        media_types = links(item)
        assert len(media_types) >= 3, path
        for url, content_type in media_types.items():
            answer = ask(stack.base, url)
            assert answer.status == 200, url
            assert answer.body == ask(service, url).body, url
            assert answer.headers["Content-Type"] == content_type
            assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            assert answer.headers["Content-Length"] == str(len(answer.body))
            check_header_fields(answer)
            head = ask(stack.base, url, method="HEAD")
            assert (head.status, head.body) == (200, b"")
            assert head.headers["Content-Length"] == str(len(answer.body))
            revalidated = ask(stack.base, url, {"If-None-Match": answer.headers["ETag"]})
            assert (revalidated.status, revalidated.body) == (304, b"")
            assert revalidated.headers["ETag"] == answer.headers["ETag"]
            assert ask(stack.base, url, {"If-None-Match": '"another"'}).status == 200
            unpinned = ask(stack.base, url.partition("?")[0])
            assert unpinned.status == 200
            assert unpinned.headers["Cache-Control"] == "no-cache"


def test_one_http2_connection_serves_all_artefacts(stack: Stack) -> None:
    videos = wait_until_derived(stack.base, *FILMS)
    urls = [url for item in videos.values() for url in links(item)]
    with connection(stack.base, window=1 << 20) as client:
        assert client.wait(*[client.get(url) for url in urls]) == [200] * len(urls)


def test_missing_artefacts_are_404_and_other_revisions_410(stack: Stack) -> None:
    item = wait_until_derived(stack.base, SIDECAR)[SIDECAR]
    for target in (
        "/posters/none.mp4",
        "/captions/film.mp4/fr.vtt",
        "/captions/late.mp4/de.vtt",
        "/storyboards/film.mp4/99.webp",
    ):
        answer = ask(stack.base, target)
        assert answer.status == 404, target
        assert "Retry-After" not in answer.headers
        check_header_fields(answer)
    url = item["poster"]["pictures"][0]["url"]
    assert ask(stack.base, url.replace("?v=", "?v=0")).status == 410
    assert ask(stack.base, url, method="POST").status == 405


def test_a_superseded_poster_is_410(stack: Stack, media: Path) -> None:
    url = wait_until_derived(stack.base, LATE)[LATE]["poster"]["pictures"][0]["url"]
    image = write(media, "late.jpg", (media / "covered/poster.jpg").read_bytes())
    try:
        gone = until(lambda: answer_if(stack.base, url, 410), "the sidecar image is the poster")
        assert gone.headers["Cache-Control"] == "no-store"
        check_header_fields(gone)
        (picture,) = wait_until_derived(stack.base, LATE)[LATE]["poster"]["pictures"]
        assert picture["width"] == 300
    finally:
        image.unlink()
    until(lambda: ask(stack.base, url).status == 200 or None, "the frame is the poster again")


def test_an_artefact_leased_by_another_replica_is_404_with_retry_after(
    stack: Stack, media: Path
) -> None:
    """Another process holds all leases, and then ends."""
    with all_leases_held(stack):
        file = write(media, "new.mp4", (media / SIDECAR).read_bytes())
        try:
            until(lambda: video(stack.base, "new.mp4"), "it is listed")
            for target in (
                "posters/new.mp4",
                "storyboards/new.mp4.vtt",
                "storyboards/new.mp4/0.webp",
            ):
                answer = ask(stack.base, f"/{target}")
                assert answer.status == 404, target
                assert int(answer.headers["Retry-After"]) > 0
                assert answer.headers["Cache-Control"] == "no-store"
                check_header_fields(answer)
            until(lambda: b"Poster: being made" in ask(stack.base, "/watch/new.mp4").body or None,
                  "the page shows that")  # fmt: skip
        except BaseException:
            file.unlink()
            raise
    wait_until_derived(stack.base, "new.mp4")
    assert ask(stack.base, "/posters/new.mp4").status == 200
    file.unlink()


def test_lost_artefacts_are_rebuilt_identically(stack: Stack) -> None:
    videos = wait_until_derived(stack.base, *FILMS)
    urls = [FOLDER_POSTER, *(url for item in videos.values() for url in links(item))]
    before = {url: ask(stack.base, url).body for url in urls}
    stack.inside(
        "import pathlib, shutil\n"
        "for one in pathlib.Path('/var/cache/reelay').iterdir():\n"
        "    shutil.rmtree(one) if one.is_dir() else one.unlink()"
    )
    for url in before:
        answer = ask(stack.base, url)  # some artefacts are built together
        assert answer.status in (200, 404)
        assert answer.status == 200 or int(answer.headers["Retry-After"]) > 0
    for url, data in before.items():
        until(lambda url=url: ask(stack.base, url).status == 200 or None, f"{url} is ready again")
        assert ask(stack.base, url).body == data


def check_header_fields(answer: Answer) -> None:
    """Check the header fields of every answer that is not a page."""
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Request-ID"]


def answer_if(base: str, url: str, status: int) -> Answer | None:
    answer = ask(base, url)
    return answer if answer.status == status else None


@contextlib.contextmanager
def all_leases_held(stack: Stack) -> Iterator[None]:
    """Hold every lock file of the artefact store, as a replica does."""
    source = (
        "import fcntl, pathlib, sys\n"
        "folder = pathlib.Path('/var/cache/reelay/locks')\n"
        "files = [(folder / f'{number:02x}').open('a') for number in range(256)]\n"
        "for file in files: fcntl.flock(file, fcntl.LOCK_EX)\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()"
    )
    process = subprocess.Popen(
        ["docker", "exec", "--interactive", stack.container("service")["Id"],
         "python", "-c", source],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield
        assert process.stdin
        process.stdin.close()
    assert process.returncode == 0


# In Chromium

# Browsers load a track only once it is enabled.
CUES = """async () => {
    const tracks = [];
    for (const element of document.querySelectorAll("track")) {
        element.track.mode = "hidden";
        await new Promise((resolve, reject) => {
            setTimeout(() => reject(`${element.src} does not load`), 60000);
            const look = () => element.readyState === 2 ? resolve()
                : element.readyState === 3 ? reject(element.src) : setTimeout(look, 20);
            look();
        });
        const cues = [...element.track.cues];
        tracks.push({
            kind: element.track.kind, language: element.track.language,
            cues: cues.map((cue) => [cue.startTime, cue.endTime, cue.text]),
        });
    }
    return tracks;
}"""

POSTER = """async () => {
    const image = new Image();
    image.src = document.querySelector("video").poster;
    await image.decode();
    return [image.naturalWidth, image.naturalHeight];
}"""

POSTERS = """async () => {
    const images = [...document.querySelectorAll(".tile img")];
    for (const image of images) {
        image.scrollIntoView();
        await image.decode();
    }
    return images.map((image) => image.naturalWidth);
}"""


def test_the_watch_page_has_poster_captions_and_chapters(page: Page, stack: Stack) -> None:
    wait_until_derived(stack.base, *FILMS)
    failed: list[str] = []
    page.on("response", lambda r: failed.append(r.url) if r.status >= 400 else None)
    page.goto(f"/watch/{SIDECAR}")
    assert page.evaluate(POSTER) == [640, 360]
    assert page.evaluate(CUES) == [
        {"kind": "subtitles", "language": "de", "cues": [[1, 2.5, SUBTITLE]]}
    ]
    page.goto(f"/watch/{EMBEDDED}")
    assert page.evaluate(POSTER) == [640, 360]
    assert page.evaluate(CUES) == [
        {"kind": "subtitles", "language": "en", "cues": [[1, 3, "Within the film"]]},
        {"kind": "chapters", "language": "", "cues": [[0, 10, "One"], [10, 20, "Two"]]},
    ]
    chapters = [text.split() for text in page.locator("ol.chapters li").all_inner_texts()]
    assert chapters == [["0:00", "One"], ["0:10", "Two"]]
    page.goto(f"/watch/{COVERED}")
    assert page.evaluate(POSTER) == [300, 200]
    assert failed == []


def test_the_library_shows_posters(page: Page, stack: Stack) -> None:
    wait_until_derived(stack.base, *FILMS)
    page.goto("/videos")
    widths = page.evaluate(POSTERS)
    assert len(widths) == len(FILMS)
    assert min(widths) > 0


# The doctor, with the command from docs/library.md


def test_the_doctor_checks_the_library_in_the_container(stack: Stack, media: Path) -> None:
    doctor = ("exec", "--no-TTY", "service", "python", "-m", "service", "doctor")
    report = stack.compose(*doctor)  # exit status 0: no file is unplayable
    assert f"{len(FILMS)} examined: 0 will not play, 1 could be better" in report
    assert "/media/late.mp4" in report
    container = ("docker", "exec", stack.container("service")["Id"], *doctor[3:])
    file = write(media, "broken.mp4", b"\0" * 100_000)
    try:
        done = subprocess.run(container, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert "/media/broken.mp4\n  unplayable: " in done.stdout
        alone = subprocess.run([*container, f"/media/{LATE}"], capture_output=True, check=False)
        assert alone.returncode == 0
    finally:
        file.unlink()
    missing = subprocess.run([*container, "/nothing"], capture_output=True, check=False)
    assert missing.returncode == 2


# Two replicas, one volume

MANY = 8


@pytest.fixture
def replicas(tmp_path: Path) -> Iterator[tuple[Stack, list[str]]]:
    """Run a stack with two replicas and no video; yield it and the names of their containers."""
    media = tmp_path / "media"
    media.mkdir()
    with running(media, RESCAN_INTERVAL="1") as stack:
        stack.up("--scale", "service=2")
        yield stack, stack.containers("service")


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Make a film with 120 key frames, whose storyboard takes a while."""
    picture = ("-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=5:duration=120")
    codec = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "5")
    return ffmpeg(tmp_path_factory.mktemp("long") / "film.mp4", *picture, *codec).read_bytes()


def add_films(media: Path, film: bytes, folder: str) -> list[str]:
    """Add films in one step; return their paths."""
    for number in range(MANY):
        write(media.parent, f"{folder}/{number}.mp4", film, 3600 + number)
        write(media.parent, f"{folder}/{number}.en.srt", CP1252)
    (media.parent / folder).rename(media / folder)
    return [f"{folder}/{number}.mp4" for number in range(MANY)]


def address(container: str) -> str:
    return f"http://{address_of(container)}:8000"


def built(base: str) -> float:
    """Return how many artefacts a replica has built, of any kind and result."""
    lines = ask(base, "/metrics").body.decode().splitlines()
    wanted = [line for line in lines if line.startswith("reelay_derivations_total{")]
    return sum(float(line.rpartition(" ")[2]) for line in wanted)


# Prints the number of stored artefacts and the names of held locks.
INSPECT_STORE = """
import fcntl, pathlib
folder = pathlib.Path("/var/cache/reelay")
kinds = ("poster", "captions", "storyboard")
files = [file for kind in kinds for file in (folder / kind).rglob("*") if file.is_file()]
print(sum(not file.name.startswith("tmp") for file in files))
for lock in (folder / "locks").iterdir():
    try:
        fcntl.flock(lock.open(), fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        print(lock.name)
"""


def inspect_store(stack: Stack) -> tuple[int, list[str]]:
    """Return the number of stored artefacts and the names of held locks."""
    volume, image = f"{stack.project}_derived:/var/cache/reelay", f"{stack.project}-service"
    command = ("run", "--rm", "--volume", volume, image, "python", "-c", INSPECT_STORE)
    stored, *locked = docker(*command).split()
    return int(stored), locked


def test_two_replicas_build_each_artefact_once(
    replicas: tuple[Stack, list[str]], film: bytes
) -> None:
    stack, names = replicas
    paths = add_films(stack.media, film, "films")
    bases = [address(name) for name in names]
    one, other = (wait_until_derived(base, *paths) for base in bases)
    assert one == other
    counts = [built(base) for base in bases]
    assert sum(counts) == MANY * len(KINDS)
    assert min(counts) > 0
    for item in one.values():
        for url in links(item):
            assert {ask(base, url).status for base in (*bases, stack.base)} == {200}


def test_a_replica_builds_the_unfinished_artefacts_of_a_killed_one(
    replicas: tuple[Stack, list[str]], film: bytes
) -> None:
    stack, (victim, survivor) = replicas
    pause(survivor)
    paths = add_films(stack.media, film, "films")
    until(lambda: built(address(victim)) > 0 or None, "it has built an artefact")

    def pause_while_building() -> int | None:
        pause(victim)
        stored, locked = inspect_store(stack)
        if locked:
            return stored
        docker("unpause", victim)  # it was between two artefacts
        return None

    stored = until(pause_while_building, "it is building an artefact")
    docker("kill", "--signal", "KILL", victim)
    docker("unpause", survivor)
    videos = wait_until_derived(address(survivor), *paths)
    assert 0 < stored < MANY * len(KINDS)
    assert built(address(survivor)) == MANY * len(KINDS) - stored
    for item in videos.values():
        assert {item[kind]["state"] for kind in KINDS} == {"ready"}
        for url in links(item):
            assert ask(stack.base, url).status == 200
