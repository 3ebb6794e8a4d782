"""The metadata of the MP4 that players get of a Matroska file."""

from service.browsers.playable_forms import may_be_remuxed
from service.browsers.served import as_mp4
from service.models import Metadata, Stream
from service.playability.findings import findings
from service.playability.made_findings import Made

H264 = Stream(index=0, kind="video", codec="h264", codec_string="avc1.640028", default=True)
HEVC = Stream(index=0, kind="video", codec="hevc", codec_string="hvc1.1.6.L93.90", default=True)
AC3 = Stream(index=1, kind="audio", codec="ac3", codec_string="ac-3", default=True)
MP3 = Stream(index=2, kind="audio", codec="mp3", codec_string="mp3")
DTS = Stream(index=1, kind="audio", codec="dts", default=True)
TEXT = Stream(index=3, kind="subtitle", codec="subrip", default=True)
BLOCK = 4 * 1024 * 1024


def matroska(*streams: Stream, **fields: object) -> Metadata:
    values = {"container": "matroska,webm", "duration": 60.0, "bit_rate": 4_000_000, "start": 5.0,
              "has_seek_index": False, "streams": streams}  # fmt: skip
    return Metadata.model_validate(values | fields)


def codes(file: Metadata, mp4: Metadata | None = None, declined: str | None = None) -> list[str]:
    return [f.code for f in findings("a.mkv", file, BLOCK, Made(mp4, declined))]


def test_its_streams_are_in_its_order_and_the_first_of_each_kind_is_enabled() -> None:
    made = as_mp4(matroska(H264, AC3, MP3, TEXT), (0, 2, 1), ("avc1.640028", "mp4a.6B"))
    assert [(s.index, s.default) for s in made.streams] == [
        (0, True), (2, True), (1, False), (3, True),
    ]  # fmt: skip
    assert made.streams[1].codec_string == "mp4a.6B"
    assert made.start == 0
    assert made.film is not None
    assert made.film.index == 0


def test_findings_are_about_the_mp4() -> None:
    file = matroska(H264, AC3, MP3)
    assert {"container", "no_seek_index", "clock", "audio_codec"} & set(codes(file))
    assert codes(file, as_mp4(file, (0, 2, 1), ("avc1.640028", "mp4a.6B"))) == []


def test_commands_are_for_the_file() -> None:
    file = matroska(HEVC, MP3)
    (found,) = findings("a.mkv", file, BLOCK, Made(as_mp4(file, (0, 2), ())))
    assert found.code == "video_codec"
    assert found.command is not None
    assert "a.mkv" in found.command


def test_sound_that_no_browser_plays_is_still_reported() -> None:
    file = matroska(H264, DTS)
    assert codes(file, as_mp4(file, (0,), ("avc1.640028",))) == ["audio_codec"]


def test_the_reason_for_no_mp4_is_a_hint_unless_nothing_plays_anyway() -> None:
    file = matroska(H264, MP3, start=0.0, has_seek_index=True)
    assert codes(file, declined="is damaged") == ["container", "audio_codec", "not_remuxed"]
    encrypted = matroska(H264.model_copy(update={"encryption": "webm"}))
    assert codes(encrypted, declined="has a picture that is encrypted") == ["encrypted"]


VP9 = Stream(index=0, kind="video", codec="vp9")
OPUS = Stream(index=1, kind="audio", codec="opus")


def test_matroska_and_webm_that_lacks_something_may_be_remuxed() -> None:
    whole = matroska(VP9, OPUS, start=0.0, has_seek_index=True)
    assert may_be_remuxed("a.mkv", whole)
    assert not may_be_remuxed("a.webm", whole)
    for lack in ({"has_seek_index": False}, {"duration": None}, {"start": 5.0}):
        assert may_be_remuxed("a.webm", whole.model_copy(update=lack))
    assert may_be_remuxed("a.webm", whole.model_copy(update={"streams": (H264,)}))
    assert not may_be_remuxed("a.mp4", whole.model_copy(update={"container": "mov,mp4"}))


def test_an_mp4_may_be_mended_if_it_has_open_gops_or_browsers_are_silent() -> None:
    picture = H264.model_copy(update={"open_gops": True})
    film = matroska(picture, OPUS).model_copy(update={"container": "mov,mp4,m4a,3gp,3g2,mj2"})
    assert may_be_remuxed("a.mp4", film)
    ac3 = OPUS.model_copy(update={"codec": "ac3"})
    encrypted = picture.model_copy(update={"encryption": "cenc"})
    others = {"streams": (picture, ac3)}, {"streams": (encrypted, OPUS)}, {"fragmented": True}
    # Chromium plays only what is enabled.
    silent = (H264, ac3.model_copy(update={"default": True}), OPUS)
    assert may_be_remuxed("a.mp4", film.model_copy(update={"streams": silent}))
    enabled = OPUS.model_copy(update={"default": True})
    for other in (*others, {"streams": (H264, enabled)}):
        assert not may_be_remuxed("a.mp4", film.model_copy(update=other))
