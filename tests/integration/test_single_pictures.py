"""Covers that are stored as a video track of one picture, and films that are not covers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from support.api_client import wait_until_derived
from support.server import serve
from support.track_files import WIDTHS, tracks_file

pytestmark = pytest.mark.slow  # every kind of file

MOVING, STILL = "video", "attachment"
FRAGMENTED = ("-movflags", "+frag_keyframe+empty_moov+default_base_moof")


@dataclass(frozen=True)
class Case:
    """A file, the kinds of its pictures, and what its poster and storyboard show."""

    name: str
    tracks: str
    kinds: tuple[str, ...]
    poster: int
    """The video track on the poster."""
    storyboard: bool = True
    more: tuple[str, ...] = ()


# Covers of the codecs that FFmpeg writes into containers, alone, before and after the film.
COVERS = [
    (codec, ending)
    for ending, codecs in {
        "mp4": ("mjpeg", "png"),
        "mov": ("mjpeg", "gif"),
        "mkv": ("png", "tiff"),
    }.items()
    for codec in codecs
]
CASES = [
    case
    for codec, ending in COVERS
    for case in (
        Case(f"{codec}.{ending}", f"i:{codec} a:mp3", (STILL,), 1, storyboard=False),
        Case(f"{codec} film.{ending}", f"i:{codec} v:h264 a:mp3", (STILL, MOVING), 2),
        Case(f"film {codec}.{ending}", f"v:h264 i:{codec} a:mp3", (MOVING, STILL), 1),
    )
] + [
    Case("fragmented.mp4", "i:mjpeg v:h264 a:aac", (STILL, MOVING), 2, more=FRAGMENTED),
    Case("fragmented cover.mp4", "i:mjpeg a:aac", (STILL,), 1, storyboard=False, more=FRAGMENTED),
    Case("h264 film.mp4", "i:h264 v:h264 a:aac", (STILL, MOVING), 2),
    Case("h264 film.mkv", "i:h264 v:h264 a:aac", (STILL, MOVING), 2),
    Case("vp9 film.webm", "i:vp9 v:vp9 a:opus", (STILL, MOVING), 2),
    Case("two covers.mkv", "i:mjpeg i:png v:h264 a:aac", (STILL, STILL, MOVING), 3),
    Case("cover and old film.mkv", "i:mjpeg v:mpeg4 a:aac", (STILL, MOVING), 2),
    # Pictures of no browser's codec, though not of image files.
    Case("mpeg4 and sound.mp4", "i:mpeg4 a:aac", (STILL,), 1, storyboard=False),
    Case("bitmap avi.mp4", "i:rawvideo a:mp3", (STILL,), 1, storyboard=False, more=("-f", "avi")),
    # Browsers show this one for as long as the sound lasts.
    Case("h264 and sound.m4a", "i:h264 a:aac", (MOVING,), 1, more=("-f", "mp4")),
    # Cameras record Motion JPEG.
    Case("camera avi.mp4", "v:mjpeg a:pcm", (MOVING,), 1, more=("-f", "avi")),
    Case("avi.mp4", "i:mjpeg v:mpeg4 a:mp3", (STILL, MOVING), 2, more=("-f", "avi")),
    Case("camera.mov", "v:mjpeg a:pcm", (MOVING,), 1),
    Case("camera.mkv", "v:mjpeg a:pcm", (MOVING,), 1),
    Case("camera.mp4", "v:mjpeg", (MOVING,), 1),
    Case("screen.mkv", "v:png a:aac", (MOVING,), 1),
    Case("thumbnails film.mp4", "v:mjpeg v:h264 a:aac", (MOVING, MOVING), 2),
    # There is nothing else to see or hear.
    Case("one picture.mp4", "i:h264", (MOVING,), 1),
    Case("one jpeg.mov", "i:mjpeg", (MOVING,), 1),
]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("pictures")
    media = folder / "media"
    media.mkdir()
    for case in CASES:
        tracks_file(media / case.name, *case.tracks.split(), more=case.more)
    with serve(media, DERIVED=str(folder / "derived")) as server:
        yield wait_until_derived(server, *(case.name for case in CASES))


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_the_film_is_described_and_on_the_poster(served: dict[str, Any], case: Case) -> None:
    video = served[case.name]
    streams = video["metadata"]["streams"]
    pictures = [stream for stream in streams if stream["width"]]
    assert tuple(stream["kind"] for stream in pictures) == case.kinds
    assert video["poster"]["state"] == "ready"
    assert [one["width"] for one in video["poster"]["pictures"]] == [WIDTHS[case.poster - 1]]
    assert (video["storyboard"]["state"] == "ready") is case.storyboard
    # Only the film's frames are examined.
    examined = [s["index"] for s in pictures if s["variable_frame_rate"] is not None]
    moving = "v:" in case.tracks
    assert examined == ([pictures[case.poster - 1]["index"]] if moving else [])


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_cover_is_not_judged_as_a_film(served: dict[str, Any], case: Case) -> None:
    video = served[case.name]
    codes = {finding["code"]: finding["severity"] for finding in video["findings"]}
    films = [track.partition(":")[2] for track in case.tracks.split() if track[0] == "v"]
    playable = not films or bool({"h264", "vp9"} & set(films))
    unplayable = "unplayable" if not playable or case.name == "one jpeg.mov" else None
    assert codes.get("video_codec") == unplayable
