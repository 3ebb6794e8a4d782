"""The rules for findings and commands, tested on metadata without files."""

import re
import shlex
from itertools import pairwise
from pathlib import PurePosixPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.models import Metadata, Stream
from service.playability.findings import CODES, findings
from service.playability.made_findings import MadeSound, with_sound

MIB = 1 << 20
BLOCK = 4 * MIB
H264 = Stream(kind="video", codec="h264", codec_string="avc1.64001E", bit_depth=8)
AAC = Stream(index=1, kind="audio", codec="aac", codec_string="mp4a.40.2", channels=2)


def film(*streams: Stream, container: str = "mov,mp4,m4a", **metadata: object) -> Metadata:
    values = {"duration": 60.0, "bit_rate": 4_000_000, "index_at_front": True, **metadata}
    return Metadata.model_validate({"container": container, "streams": streams, **values})


def codes(metadata: Metadata, path: str = "a.mp4", block: int = BLOCK) -> dict[str, str]:
    return {finding.code: finding.severity for finding in findings(path, metadata, block)}


def commands(metadata: Metadata, path: str = "a.mp4") -> dict[str, list[str]]:
    return {
        finding.code: shlex.split(finding.command or "")
        for finding in findings(path, metadata, BLOCK)
    }


def test_an_unreadable_file_is_unplayable_with_its_reason() -> None:
    (finding,) = findings("a.mp4", "The file is empty.", BLOCK)
    assert (finding.code, finding.severity) == ("unreadable", "unplayable")
    assert finding.sentence == "The file is empty."
    assert finding.command is None


def test_a_file_that_is_not_probed_yet_has_no_findings() -> None:
    assert findings("a.mp4", None, BLOCK) == ()


def test_an_index_at_the_end_is_a_hint_if_it_is_served_in_front() -> None:
    assert codes(film(H264, index_at_front=False)) == {"index_at_end": "warning"}
    assert codes(film(H264, index_at_front=False, fast_start=True)) == {"index_at_end": "hint"}


def test_a_clock_that_begins_late_is_a_hint_unless_players_get_another() -> None:
    assert codes(film(H264, start=3600.0)) == {"clock": "hint"}
    assert codes(film(H264, start=3600.0, fast_start=True)) == {}
    assert codes(film(H264, start=0.08)) == {}


@pytest.mark.parametrize(
    ("bit_rate", "words"),
    [
        (400_000, "At 400 kbit/s a block holds 84 seconds"),  # 33,554,432 bits a block
        (8_000, "At 8 kbit/s a block holds 4194 seconds"),
        (900, "At 900 bit/s a block holds 37283 seconds"),
    ],
)
def test_a_low_bit_rate_is_never_named_as_zero(bit_rate: int, words: str) -> None:
    (finding,) = findings("a.mp4", film(H264, bit_rate=bit_rate, duration=1e6), BLOCK)
    assert finding.code == "low_bit_rate"
    assert finding.sentence.startswith(words)


@pytest.mark.parametrize(
    ("brand", "expected"),
    [("3gp4", {"container": "warning"}), ("3gp6", {"container": "warning"}), ("3g2a", {}),
     ("isom", {}), ("3gg6", {}), (None, {})],
)  # fmt: skip
def test_only_the_brands_of_3gpp_that_firefox_refuses_are_a_warning(
    brand: str | None, expected: dict[str, str]
) -> None:
    assert codes(film(H264, AAC, brand=brand)) == expected


def test_each_omission_is_a_hint() -> None:
    omissions = ("There are too many tags.", "There are too many chapters.")
    results = findings("a.mp4", film(H264, omissions=omissions), BLOCK)
    assert tuple(finding.sentence for finding in results) == omissions
    assert {(finding.code, finding.severity) for finding in results} == {("left_out", "hint")}


@pytest.mark.parametrize(
    ("container", "words"),
    [
        ("avi", "The file is AVI, which browsers do not play"),
        ("aiff", "which plays in Safari only: Chrome and Firefox refuse it"),
        ("caf", "which plays in Safari only"),
        ("xyz", "The file is xyz, which browsers do not play"),
    ],
)
def test_a_container_that_no_tested_browser_plays_is_unplayable(container: str, words: str) -> None:
    finding = findings("a.avi", film(AAC, container=container), BLOCK)[0]
    assert (finding.code, finding.severity) == ("container", "unplayable")
    assert words in finding.sentence


# A block of 4 MiB, 33,554,432 bits, is a second of 33.55 Mbit/s and a minute of 559 kbit/s.
@pytest.mark.parametrize(
    ("bit_rate", "duration", "expected"),
    [
        (33_600_000, 60.0, {"high_bit_rate": "warning"}),
        (33_500_000, 60.0, {}),
        (560_000, 600.0, {}),
        (550_000, 600.0, {"low_bit_rate": "hint"}),
        (550_000, 50.0, {}),  # the whole file is smaller than a block
        (None, 60.0, {}),
    ],
)
def test_the_bit_rate_is_compared_with_the_block_size(
    bit_rate: int | None, duration: float, expected: dict[str, str]
) -> None:
    assert codes(film(H264, bit_rate=bit_rate, duration=duration)) == expected


def test_the_bit_rate_of_audio_files_is_not_compared_with_the_block_size() -> None:
    audio = film(AAC, bit_rate=128_000, duration=6000.0)
    assert codes(audio, "a.m4a") == {}


@pytest.mark.parametrize(("interval", "expected"), [(10.0, False), (10.42, False), (11.0, True)])
def test_key_frames_may_be_as_sparse_as_encoders_make_them_by_default(
    interval: float, *, expected: bool
) -> None:
    # x264 puts a key frame every 250 frames, which is 10.42 seconds at 24 frames a second.
    metadata = film(H264.model_copy(update={"key_frame_interval": interval}))
    assert ("sparse_key_frames" in codes(metadata)) is expected


def test_open_gops_are_a_hint_unless_they_are_mended_with_the_sound_that_is_made() -> None:
    metadata = film(H264.model_copy(update={"open_gops": True}))
    assert codes(metadata) == {"open_gops": "hint"}
    assert "libx264" in commands(metadata)["open_gops"]
    found = findings("a.mp4", metadata, BLOCK)
    assert with_sound(found, MadeSound()) == ()
    assert with_sound(found, MadeSound(problem="There is none.")) == found


@pytest.mark.parametrize(
    ("path", "streams", "expected"),
    [
        ("a.webm", ("vp9", "opus"), False),
        ("a.WEBM", ("av1", "vorbis"), False),
        ("a.weba", ("opus",), False),
        ("a.mkv", ("vp9", "opus"), True),
        ("a.webm", ("h264", "opus"), True),
        ("a.webm", ("vp9", "aac"), True),
    ],
)
def test_matroska_is_webm_by_its_name_and_codecs(
    path: str, streams: tuple[str, ...], *, expected: bool
) -> None:
    kinds = {"opus": "audio", "vorbis": "audio", "aac": "audio"}
    metadata = film(
        *(
            Stream(index=at, kind=kinds.get(codec, "video"), codec=codec)
            for at, codec in enumerate(streams)
        ),
        container="matroska,webm",
        index_at_front=None,
    )
    assert ("container" in codes(metadata, path)) is expected


def test_hdr_is_tone_mapped_to_sdr_when_it_is_re_encoded() -> None:
    hevc = Stream(kind="video", codec="hevc", bit_depth=10, transfer="smpte2084")
    assert "tonemap" in " ".join(commands(film(hevc))["video_codec"])
    plain = hevc.model_copy(update={"transfer": "bt709"})
    assert "tonemap" not in " ".join(commands(film(plain))["video_codec"])


def test_a_remux_keeps_text_subtitles_and_drops_data() -> None:
    metadata = film(
        H264,
        Stream(index=1, kind="subtitle", codec="hdmv_pgs_subtitle"),
        Stream(index=2, kind="subtitle", codec="subrip"),
        Stream(index=3, kind="data", codec="bin_data"),
        Stream(index=4, kind="attachment", codec="ttf"),
        Stream(index=5, kind="attachment", codec="mjpeg"),
        container="matroska,webm",
    )
    words = commands(metadata, "a.mkv")["container"]
    mapped = [value for name, value in pairwise(words) if name == "-map"]
    assert mapped == ["0:0", "0:2", "0:5"]


def test_findings_are_ordered_by_severity() -> None:
    metadata = film(
        Stream(kind="video", codec="mpeg4", variable_frame_rate=True),
        Stream(index=1, kind="audio", codec="ac3"),
        index_at_front=False,
    )
    severities = [finding.severity for finding in findings("a.mp4", metadata, BLOCK)]
    assert severities == ["unplayable", "warning", "warning", "hint"]


names = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1
).filter(lambda name: name not in {".", ".."})  # these are no files
streams = st.builds(
    Stream,
    index=st.integers(0, 99),
    kind=st.sampled_from(["video", "audio", "subtitle", "data", "attachment"]),
    codec=st.sampled_from(["h264", "hevc", "aac", "dts", "subrip", "png", "unknown", "pcm_s16le"]),
    codec_string=st.none() | st.text(max_size=12),
    width=st.none() | st.integers(1, 70000),
    bit_depth=st.none() | st.integers(0, 64),
    frame_rate=st.none() | st.floats(0.01, 1e6),
    variable_frame_rate=st.none() | st.booleans(),
    key_frame_interval=st.none() | st.floats(0, 1e12),
    interlaced=st.booleans(),
)
films = st.builds(
    Metadata,
    container=st.sampled_from(["mov,mp4,m4a", "matroska,webm", "ogg", "avi", "mp3", "odd"]),
    duration=st.none() | st.floats(0.001, 1e12),
    bit_rate=st.none() | st.integers(1, 1 << 62),
    index_at_front=st.none() | st.booleans(),
    fast_start=st.booleans(),
    streams=st.lists(streams, max_size=6).map(tuple),
)


@given(name=names, metadata=films, block=st.integers(1 << 16, 1 << 30))
def test_commands_read_the_file_and_write_another_into_its_folder(
    name: str, metadata: Metadata, block: int
) -> None:
    path = f"folder/{name}"
    found = findings(path, metadata, block)
    assert len({finding.command for finding in found} - {None}) <= 1
    for finding in found:
        assert finding.code in CODES
        assert finding.viewer_sentence or finding.severity != "unplayable"
        if finding.command is None:
            continue
        words = shlex.split(finding.command)
        assert words[:2] == ["ffmpeg", "-n"]
        at = words.index("-i")
        assert words[at + 1] == f"./{path}"
        # The options before the input select one demuxer and allow only files.
        demuxer = metadata.container.partition(",")[0]
        assert words[at - 4 : at] == ["-f", demuxer, "-protocol_whitelist", "file"]
        output = PurePosixPath(words[-1])
        assert output.parent == PurePosixPath("folder")
        assert str(output) != path


@given(name=names.filter(lambda name: name not in {".", ".."}))
@example(name="subfile,,start,0,end,0,,:x.mp4")
def test_ffmpeg_never_parses_a_file_name_as_an_option_or_a_protocol(name: str) -> None:
    (finding,) = findings(name, film(H264, index_at_front=False), BLOCK)
    words = shlex.split(finding.command or "")
    for word in (words[words.index("-i") + 1], words[-1]):
        assert not word.startswith("-")
        # FFmpeg parses text before a colon as a protocol if it has only these characters, and also
        # `subfile,` with its options (libavformat/avio.c, url_find_protocol).
        assert not re.match(r"[A-Za-z0-9+.-]*:", word)
        assert not re.match(r"subfile,.*:", word)


def test_one_command_fixes_all_findings() -> None:
    metadata = film(
        H264.model_copy(update={"interlaced": True, "variable_frame_rate": True}),
        AAC.model_copy(update={"codec": "ac3"}),
        index_at_front=False,
    )
    by_code = {finding.code: finding.command for finding in findings("a.mp4", metadata, BLOCK)}
    assert set(by_code) == {"interlaced", "audio_codec", "index_at_end", "variable_frame_rate"}
    (command,) = set(by_code.values())
    words = shlex.split(command or "")
    assert {"libx264", "bwdif=mode=send_frame", "-r:v", "aac", "+faststart"} <= set(words)


def test_a_hint_alone_does_not_encode_the_picture_anew() -> None:
    metadata = film(
        H264.model_copy(update={"variable_frame_rate": True}), AAC, index_at_front=False
    )
    by_code = {finding.code: finding.command or "" for finding in findings("a", metadata, BLOCK)}
    assert "libx264" not in by_code["index_at_end"]
    assert by_code["variable_frame_rate"] == ""  # that command does not fix it
    (alone,) = findings("a", film(*metadata.streams), BLOCK)
    assert "libx264" in (alone.command or "")


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        ({"codec": "ac3"}, "Chrome and Firefox cannot play the sound; Safari and Edge can."),
        ({"codec": "wmav2"}, "Browsers cannot play the sound: it is Windows Media Audio."),
    ],
)
def test_viewers_read_which_browsers_play_the_sound(stream: dict[str, str], expected: str) -> None:
    (finding,) = findings("a.mp4", film(H264, AAC.model_copy(update=stream)), BLOCK)
    assert finding.viewer_sentence == expected


def test_what_only_the_owner_can_change_does_not_concern_viewers() -> None:
    metadata = film(
        H264.model_copy(update={"interlaced": True, "key_frame_interval": 60.0}),
        AAC,
        index_at_front=False,
        omissions=("Of 5,000 chapters, 1,024 are shown.",),
    )
    found = findings("a.mp4", metadata, BLOCK)
    assert len(found) == 4
    assert {finding.viewer_sentence for finding in found} == {None}
