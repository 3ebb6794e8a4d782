import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.probing.codecs import SampleEntry, codec_string


def entry(width: int, height: int, frame_rate: float) -> SampleEntry:
    return SampleEntry(width=width, height=height, frame_rate=frame_rate)


# Expected values: the strings of the specifications' own examples where they have one, otherwise
# worked out by hand from the field layout named in the row.
CASES: list[tuple[str, str, dict[str, Any], str | None]] = [
    # The four profiles of the HTML standard's examples (the source element, "codecs").
    ("h264", "0142e01e ff e1", {}, "avc1.42E01E"),
    ("h264", "0158a01e ff e1", {}, "avc1.58A01E"),
    ("h264", "014d401e ff e1", {}, "avc1.4D401E"),
    ("h264", "0164001e ff e1", {}, "avc1.64001E"),
    ("h264", "01640028", {"entry": SampleEntry(tag="avc3")}, "avc3.640028"),
    # Annex B: access unit delimiter (9), then SPS (7) and PPS (8), either start code.
    ("h264", "00000001 09f0 00000001 67640028acd9 00000001 68ebe3cb", {}, "avc1.640028"),
    ("h264", "000001 2742c01fda", {}, "avc1.42C01F"),
    ("h264", "00000001 68ebe3cb", {}, None),  # no SPS
    ("h264", "", {}, None),
    ("h264", "0164", {}, None),
    ("h264", "000001", {}, None),
    ("h264", "000001 6764", {}, None),
    ("h264", "01000000", {}, None),  # there is no profile 0
    # ISO/IEC 14496-15 Annex E: Main, level 3.1, progressive and frames only.
    ("hevc", "01 01 60000000 b00000000000 5d f000", {}, "hvc1.1.6.L93.B0"),
    # Profile space A, profile 4, flags 0 and 6, high tier, level 2.1, constraints B0 23.
    ("hevc", "01 64 82000000 b02300000000 3f", {}, "hvc1.A4.41.H63.B0.23"),
    # Inner zero bytes and single digits of the constraints are kept.
    ("hevc", "01 c2 20000000 90000a000000 99", {}, "hvc1.C2.4.L153.90.0.A"),
    ("hevc", "01 01 60000000 000000000000 5d", {}, "hvc1.1.6.L93"),
    (
        "hevc",
        "01 02 20000000 b00000000000 96",
        {"entry": SampleEntry(tag="hev1")},
        "hev1.2.4.L150.B0",
    ),
    ("hevc", "01 01 60000000 b00000000000 5d", {"entry": SampleEntry(tag="dvh1")}, None),
    # Annex B: VPS (32), then SPS (33) whose zeros are broken up by emulation prevention bytes.
    (
        "hevc",
        "00000001 40010c01ffff 00000001 4201 01 01 60000003 00b0000003000003 005d a00280",
        {},
        "hvc1.1.6.L93.B0",
    ),
    ("hevc", "01 01 60000000 b00000000000", {}, None),  # cut off before the level
    ("hevc", "00000001 4201 01 01 6000", {}, None),
    ("hevc", "", {}, None),
    # AV1 in ISOBMFF §5: "av01.0.04M.10" is Main profile, level 3.0, Main tier, 10 bits.
    ("av1", "81 04 4c 00", {}, "av01.0.04M.10"),
    ("av1", "81 01 0c 00", {}, "av01.0.01M.08"),
    ("av1", "81 28 00 00", {}, "av01.1.08M.08"),
    ("av1", "81 4d e0 00 0a0b", {}, "av01.2.13H.12"),
    ("av1", "81 4d c8 00", {}, "av01.2.13H.10"),
    ("av1", "81 0d 60 00", {}, "av01.0.13M.10"),  # twelve_bit counts in profile 2 alone
    ("av1", "01 04 4c 00", {}, None),  # no marker
    ("av1", "82 04 4c 00", {}, None),  # version 2
    ("av1", "81 04", {}, None),
    ("av1", "", {}, None),
    # VP Codec ISO Media File Format Binding: vp09.02.10.10 is profile 2, level 1, 10 bits.
    ("vp9", "01000000 02 0a a3 09 10 09 0000", {}, "vp09.02.10.10"),
    ("vp9", "01000000 00 29 82 01 01 01 0000", {}, "vp09.00.41.08"),
    # WebM CodecPrivate: profile (1), level (2), bit depth (3), chroma subsampling (4).
    ("vp9", "010103 020133 03010c 040103", {}, "vp09.03.51.12"),
    ("vp9", "010100 02011f", {"profile": 2, "level": 10}, "vp09.00.31.08"),
    # Without either, the profile of the decoder and the lowest level that allows the picture size.
    ("vp9", "", {"profile": 0, "level": 40}, "vp09.00.40.08"),
    ("vp9", "", {"profile": 0, "level": -99, "entry": entry(1280, 720, 30)}, "vp09.00.31.08"),
    ("vp9", "", {"profile": 0, "entry": entry(1920, 1080, 30)}, "vp09.00.40.08"),
    ("vp9", "", {"profile": 1, "entry": entry(1920, 1080, 60)}, "vp09.01.41.08"),
    ("vp9", "", {"profile": 0, "entry": entry(3840, 2160, 60)}, "vp09.00.51.08"),
    ("vp9", "", {"profile": 0, "entry": entry(600, 16, 1)}, "vp09.00.11.08"),  # 600 > 512 wide
    ("vp9", "", {"profile": 0, "entry": entry(60000, 60000, 60)}, "vp09.00.62.08"),
    ("vp9", "", {"profile": 0}, "vp09.00.10.08"),
    ("vp9", "", {"profile": 2, "level": 50}, "vp09.02.50.10"),
    (
        "vp9",
        "",
        {"profile": 2, "level": 50, "entry": SampleEntry(bit_depth=12)},
        "vp09.02.50.12",
    ),
    ("vp9", "010109", {}, None),  # there is no profile 9
    ("vp9", "", {}, None),
    # ISO/IEC 14496-3 §1.6.2.1: object type 2 (LC), 5 (SBR), 29 (PS), 39 and 42 by escape.
    ("aac", "1210", {}, "mp4a.40.2"),
    ("aac", "1208 56e500", {}, "mp4a.40.2"),
    ("aac", "2b118800", {}, "mp4a.40.5"),
    ("aac", "eb8a0800", {}, "mp4a.40.29"),
    ("aac", "f8e0", {}, "mp4a.40.39"),
    ("aac", "f94044", {}, "mp4a.40.42"),
    ("aac", "12", {}, "mp4a.40.2"),  # cut off, but the object type is there
    ("aac", "f9", {}, None),  # cut off within the escape
    ("aac", "", {"profile": 1}, "mp4a.40.2"),
    ("aac", "", {"profile": 4}, "mp4a.40.5"),
    ("aac", "0000", {"profile": 28}, "mp4a.40.29"),
    ("aac", "", {"profile": -99}, None),
    ("aac", "", {}, None),
    ("mp3", "", {}, "mp3"),
    ("mp3", "", {"entry": SampleEntry(tag="mp4a")}, "mp4a.6B"),
    ("vp8", "", {}, "vp8"),
    ("opus", "", {}, "opus"),
    ("vorbis", "", {}, "vorbis"),
    ("flac", "", {}, "flac"),
    ("ac3", "", {}, "ac-3"),
    ("eac3", "", {}, "ec-3"),
    ("mpeg2video", "", {}, None),
    ("subrip", "", {}, None),
    ("", "", {}, None),
]


@pytest.mark.parametrize(("codec", "extradata", "more", "expected"), CASES)
def test_a_stream_has_the_codecs_parameter_of_its_specification(
    codec: str, extradata: str, more: dict[str, Any], expected: str | None
) -> None:
    assert codec_string(codec, bytes.fromhex(extradata), **more) == expected


CODECS = ["h264", "hevc", "av1", "vp9", "aac", "mp3", "opus", "nothing"]
starts = st.sampled_from([b"", b"\x01", b"\x81", b"\0\0\1\x67", b"\0\0\1\x42", b"\1\0\0\0"])
numbers = st.none() | st.integers(-100, 300)


@given(
    st.sampled_from(CODECS),
    st.builds(bytes.__add__, starts, st.binary(max_size=40)),
    numbers,
    numbers,
)
def test_arbitrary_bytes_give_a_well_formed_string_or_none(
    codec: str, extradata: bytes, profile: int | None, level: int | None
) -> None:
    string = codec_string(codec, extradata, profile, level)
    assert string is None or re.fullmatch(r"[A-Za-z0-9-]+(\.[A-Z0-9]+)*", string)
