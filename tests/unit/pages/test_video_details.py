import pytest

from service.browsers.names import codec_name
from service.models import Metadata, ProbeState, Stream, Video
from service.pages.video_details import (
    container_name,
    describe_stream,
    detail_rows,
    technical_rows,
)

CROSS = "\N{MULTIPLICATION SIGN}"


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (
            Stream(
                kind="video",
                codec="h264",
                codec_string="avc1.64001E",
                width=1920,
                height=1080,
                frame_rate=25.0,
            ),
            "video: h264 (avc1.64001E), 1920\N{MULTIPLICATION SIGN}1080, 25 frames/s",
        ),
        (
            Stream(kind="video", codec="hevc", frame_rate=30000 / 1001),
            "video: hevc, 29.97 frames/s",
        ),
        (
            Stream(kind="audio", codec="aac", channels=2, sample_rate=44100, language="deu"),
            "audio: aac, 2 channels, 44.1 kHz, deu",
        ),
        (
            Stream(kind="audio", codec="opus", channels=1, sample_rate=48000),
            "audio: opus, 1 channel, 48 kHz",
        ),
        (Stream(kind="subtitle", codec="mov_text", language="eng"), "subtitle: mov_text, eng"),
        (Stream(kind="data", codec="unknown"), "data: unknown"),
        # A width without a height is left out.
        (Stream(kind="attachment", codec="mjpeg", width=600), "attachment: mjpeg"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_stream_is_described_by_its_known_properties(stream: Stream, expected: str) -> None:
    assert describe_stream(stream) == expected


PICTURE = Stream(kind="video", codec="h264", width=1920, height=1080, frame_rate=30000 / 1001)
SOUND = Stream(index=1, kind="audio", codec="aac", channels=2, sample_rate=44100)


def video(metadata: Metadata | None, content_type: str = "video/mp4") -> Video:
    return Video(
        path="sub/film.mp4",
        title="Film",
        content_type=content_type,
        size=1_500_000,
        revision="16e360-1",
        modified=1_700_000_000,  # 2023-11-14T22:13:20Z
        state=ProbeState.PROBED if metadata else ProbeState.PENDING,
        metadata=metadata,
    )


def metadata(
    *streams: Stream,
    container: str = "mov,mp4",
    duration: float | None = 61.0,
    bit_rate: int | None = 1_234_567,
    index_at_front: bool | None = True,
    fast_start: bool = False,
) -> Metadata:
    return Metadata(
        container=container,
        duration=duration,
        bit_rate=bit_rate,
        index_at_front=index_at_front,
        fast_start=fast_start,
        streams=streams,
    )


def test_detail_rows_use_common_words() -> None:
    assert detail_rows(video(metadata(PICTURE, SOUND)), ("English", "Deutsch")) == [
        ("Length", "1:01"),
        ("Resolution", f"1920{CROSS}1080"),
        ("Video", "H.264"),
        ("Frame rate", "29.97 per second"),
        ("Audio", "AAC, stereo, 44.1 kHz"),
        ("Subtitles", "English, Deutsch"),
        ("Bit rate", "1.23 Mbit/s"),
        ("Size", "1.5 MB"),
        ("Date", "14 November 2023"),
        ("File", "sub/film.mp4"),
    ]


def test_an_unprobed_video_has_only_rows_about_its_file() -> None:
    assert [label for label, _ in detail_rows(video(None))] == ["Size", "Date", "File"]
    assert [label for label, _ in technical_rows(video(None))] == ["Type", "Changed", "Revision"]


def test_unknown_values_are_left_out() -> None:
    bare = metadata(Stream(kind="video", codec="vp9"), duration=None, bit_rate=None)
    assert detail_rows(video(bare))[0] == ("Video", "VP9")
    assert not dict(detail_rows(video(bare))).keys() & {
        "Length", "Resolution", "Frame rate", "Audio", "Subtitles", "Bit rate",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("created", "shown"),
    [
        ("1994", "1994"),
        ("1994-05", "May 1994"),
        ("1994-05-01", "1 May 1994"),
        # In the zone of the recording, not in UTC, where it was the day before.
        ("1994-05-01T01:00:00+02:00", "1 May 1994"),
    ],
)
def test_the_date_is_that_of_the_recording_if_it_is_known(created: str, shown: str) -> None:
    recorded = metadata(PICTURE).model_copy(update={"created": created})
    assert dict(detail_rows(video(recorded)))["Date"] == shown
    assert dict(technical_rows(video(recorded)))["Changed"] == "14 November 2023"


def test_unusual_properties_are_named() -> None:
    picture = PICTURE.model_copy(
        update={"codec": "hevc", "bit_depth": 10, "transfer": "smpte2084", "interlaced": True}
    )
    surround = SOUND.model_copy(update={"codec": "ac3", "channels": 6, "language": "deu"})
    odd = SOUND.model_copy(update={"channels": 3, "sample_rate": None, "title": "Commentary"})
    rows = dict(detail_rows(video(metadata(picture, surround, odd))))
    assert rows["Video"] == "HEVC, 10 bits, HDR (PQ), interlaced"
    assert rows["Audio"] == "AC-3, 5.1, 44.1 kHz, deu; AAC, 3 channels, Commentary"


@pytest.mark.parametrize(
    ("bits", "expected"),
    [(999_400, "999 kbit/s"), (1_000_000, "1.00 Mbit/s"), (128_000, "128 kbit/s")],
)
def test_a_bit_rate_has_the_usual_unit(bits: int, expected: str) -> None:
    assert dict(detail_rows(video(metadata(bit_rate=bits))))["Bit rate"] == expected


def test_technical_rows_have_the_rest() -> None:
    late = metadata(PICTURE, SOUND, index_at_front=False, fast_start=True)
    assert technical_rows(video(late)) == [
        ("Type", "video/mp4"),
        ("Changed", "14 November 2023"),
        ("Container", "MP4"),
        ("Index", "at the end; players get it in front"),
        ("Stream 0", f"video: h264, 1920{CROSS}1080, 29.97 frames/s"),
        ("Stream 1", "audio: aac, 2 channels, 44.1 kHz"),
        ("Revision", "16e360-1"),
    ]
    for index, expected in ((True, "at the front"), (False, "at the end"), (None, None)):
        rows = dict(technical_rows(video(metadata(index_at_front=index))))
        assert rows.get("Index") == expected


@pytest.mark.parametrize(
    ("container", "content_type", "expected"),
    [
        ("mov,mp4,m4a", "video/mp4", "MP4"),
        ("mov,mp4,m4a", "video/quicktime", "QuickTime"),
        ("matroska,webm", "video/webm", "WebM"),
        ("matroska,webm", "audio/webm", "WebM"),
        ("matroska,webm", "video/matroska", "Matroska"),
        ("ogg", "audio/ogg", "Ogg"),
        ("mpegts", "video/mp2t", "MPEG transport stream"),
        ("nut", "video/x-nut", "NUT"),
        ("xyz", "video/mp4", "xyz"),
    ],
)
def test_a_container_has_its_common_name(container: str, content_type: str, expected: str) -> None:
    assert container_name(content_type, metadata(container=container)) == expected


def test_an_unknown_codec_keeps_ffmpegs_name() -> None:
    assert codec_name("pcm_s16le") == "PCM"
    assert codec_name("xyz") == "xyz"
