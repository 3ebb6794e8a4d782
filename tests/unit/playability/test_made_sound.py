"""Which films get sound that is made for them, and what is said of it."""

import pytest

from service.browsers.playable_forms import lacks_sound
from service.browsers.served import as_mp4
from service.models import Metadata, Stream
from service.playability.findings import findings, findings_of_file
from service.playability.made_findings import Made, MadeSound, with_sound

BLOCK = 4 * 1024 * 1024
MP4 = "mov,mp4,m4a,3gp,3g2,mj2"
H264 = Stream(index=0, kind="video", codec="h264", codec_string="avc1.640028", default=True)
AC3 = Stream(index=1, kind="audio", codec="ac3", codec_string="ac-3", default=True, channels=6,
             language="fra")  # fmt: skip
DTS = Stream(index=1, kind="audio", codec="dts", default=True)


def film(container: str, *streams: Stream, **fields: object) -> Metadata:
    values = {"container": container, "duration": 60.0, "bit_rate": 4_000_000, "streams": streams}
    return Metadata.model_validate(values | fields)


def sound(codec: str, index: int = 1) -> Stream:
    return Stream(index=index, kind="audio", codec=codec)


@pytest.mark.parametrize("container", ["matroska,webm", "flv", MP4])
@pytest.mark.parametrize(
    "codec", ["ac3", "eac3", "dts", "truehd", "pcm_s16le", "alac", "mp2", "wmav2"]
)
def test_sound_that_browsers_lack_is_made(container: str, codec: str) -> None:
    assert lacks_sound(film(container, H264, sound(codec)))


@pytest.mark.parametrize("codec", ["aac", "mp3", "opus", "flac", "vorbis"])
def test_a_film_with_sound_that_browsers_play_gets_no_other(codec: str) -> None:
    assert not lacks_sound(film("matroska,webm", H264, sound("dts"), sound(codec, 2)))


def test_no_sound_is_made_where_it_would_not_help() -> None:
    other = Stream(index=0, kind="video", codec="mpeg2video")
    assert not lacks_sound(film("matroska,webm", other, DTS))
    assert not lacks_sound(film("matroska,webm", DTS))
    assert not lacks_sound(film("matroska,webm", H264))
    assert not lacks_sound(film("mpegts", H264, DTS))  # its frames are copied instead
    encrypted = H264.model_copy(update={"encryption": "webm"})
    assert not lacks_sound(film("matroska,webm", encrypted, DTS))


def test_what_is_served_has_the_made_sound_first_and_the_original_not_enabled() -> None:
    made = as_mp4(film("matroska,webm", H264, AC3), (0, 1, 1), ("avc1.640028", "mp4a.40.2"),
                  has_made_sound=True)  # fmt: skip
    _, ours, own = made.streams
    assert (ours.codec, ours.codec_string, ours.channels) == ("aac", "mp4a.40.2", 2)
    assert (ours.language, ours.default) == ("fra", True)
    assert (own.codec, own.codec_string, own.default) == ("ac3", "ac-3", False)
    assert findings("a.mkv", film("matroska,webm", H264, AC3), BLOCK, Made(mp4=made)) == ()


def test_a_film_whose_sound_is_left_out_is_heard() -> None:
    file = film("matroska,webm", H264, DTS)
    made = as_mp4(file, (0, 1), ("avc1.640028", "mp4a.40.2"), has_made_sound=True)
    assert [stream.codec for stream in made.streams if stream.kind == "audio"] == ["aac"]
    assert findings("a.mkv", file, BLOCK, Made(mp4=made)) == ()


def test_findings_say_that_sound_is_made_or_why_not() -> None:
    file = film(MP4, H264, DTS, index_at_front=True)
    found = findings("a.mp4", file, BLOCK)
    assert [(f.code, f.severity) for f in found] == [("audio_codec", "unplayable")]
    (coming,) = with_sound(found, MadeSound())
    assert coming.severity == "hint"
    assert coming.sentence == (
        "Browsers do not play DTS sound. Reelay makes sound that all of them play, at the latest "
        "when somebody opens the film."
    )
    (lost,) = with_sound(found, MadeSound("No other can be made: the file is damaged."))
    assert lost.severity == "unplayable"
    assert lost.sentence.endswith("sound. No other can be made: the file is damaged.")


@pytest.mark.parametrize(
    ("container", "fields", "severity", "end", "others"),
    [
        ("matroska,webm", {}, "hint", "opens the film.", []),
        (MP4, {}, "hint", "opens the film.", []),
        (MP4, {"fragmented": True}, "unplayable", "play DTS sound.", ["copyable"]),
    ],
)
def test_the_findings_of_a_file_say_what_is_made_for_its_sound(
    container: str, fields: dict[str, bool], severity: str, end: str, others: list[str]
) -> None:
    file = film(container, H264, DTS, index_at_front=True, has_seek_index=True, **fields)
    found = {f.code: f for f in findings_of_file("a.mp4", file, BLOCK, makes_sound=True)}
    silent = found.pop("audio_codec")
    assert (silent.severity, silent.sentence.endswith(end)) == (severity, True)
    assert [code for code in found if code != "container"] == others
    # With REELAY_SOUND=off nothing is made, and an MP4 is not copied either.
    off = {f.code: f for f in findings_of_file("a.mp4", file, BLOCK, makes_sound=False)}
    assert off["audio_codec"].severity == "unplayable"
    assert "copyable" not in off


def test_damage_is_a_finding() -> None:
    (found,) = with_sound((), MadeSound(damaged=7))
    assert (found.code, found.severity) == ("damaged_sound", "warning")
    assert found.sentence == "Parts of its sound are damaged: 7 packets are silent."
