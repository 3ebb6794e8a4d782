import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from quart import Quart
from support.page_html import Elements

from service.artefacts.status import ArtefactState
from service.http.origins import Origins
from service.items import links
from service.items.video_models import (
    CaptionsItem,
    CopyItem,
    PosterItem,
    RemuxItem,
    SoundItem,
    StoryboardItem,
    TrackItem,
    VideoItem,
)
from service.models import Chapter, Metadata, ProbeState, Stream
from service.pages.embed import embed_code
from service.pages.link_preview import link_preview
from service.pages.player import Start, codec_queries, player_context, read_start
from service.pages.watch_page import SHORTCUTS, caption_labels

H264 = Stream(kind="video", codec="h264", codec_string="avc1.64001F", width=640, height=360)
AAC = Stream(kind="audio", codec="aac", codec_string="mp4a.40.2")


def item(*streams: Stream, **more: Any) -> VideoItem:
    metadata = Metadata(container="mov,mp4", duration=60.0, bit_rate=None, streams=streams)
    values: dict[str, Any] = {
        "path": "Films/a & b.mp4",
        "title": 'A "B" <script> & C',
        "content_type": "video/mp4",
        "size": 1,
        "revision": "1-1",
        "modified": 0,
        "state": ProbeState.PROBED,
        "metadata": metadata if streams else None,
        "watch_url": "",
        "media_url": "",
        "media_type": "video/mp4",
        "representation": "file",
        "remux": RemuxItem(state=ArtefactState.NONE),
        "sound": SoundItem(state=ArtefactState.NONE),
        "copied": CopyItem(state=ArtefactState.NONE),
        "download_url": "",
        "poster": PosterItem(state=ArtefactState.NONE),
        "storyboard": StoryboardItem(state=ArtefactState.NONE),
        "captions": CaptionsItem(state=ArtefactState.NONE),
        "chapters": (),
        "findings": (),
    }
    return VideoItem(**(values | more))


@asynccontextmanager
async def request_context_for_films_example() -> AsyncIterator[None]:
    """Open a request context with the origin https://films.example."""
    async with Quart("service").test_request_context("/", headers={"Host": "films.example"}):
        Origins(()).set_origin()
        yield


async def test_the_embed_code_escapes_any_title() -> None:
    async with request_context_for_films_example():
        video = item()
        code = embed_code(links.embed(video.path), video.title)
    ((tag, attributes),) = Elements(code).elements
    assert tag == "iframe"
    assert attributes["title"] == 'A "B" <script> & C'
    assert attributes["src"] == "http://films.example/embed/Films/a%20%26%20b.mp4"
    assert "allowfullscreen" in attributes


async def test_many_chapters_of_a_long_path_keep_the_metadata_small() -> None:
    """The longest path, of letters that take nine characters each in a URL."""
    chapters = tuple(Chapter(start=n, end=n + 1, title=f"{n}") for n in range(1000))
    async with request_context_for_films_example():
        video = item(chapters=chapters, watch_url=f"/watch/{'%E5%AD%97' * 1365}")
        preview = link_preview(video)
        assert preview is not None
        data = preview.data()
    assert len(json.dumps(data)) < 2_000_000
    assert [part["startOffset"] for part in data["hasPart"][:2]] == [0, 1]


def test_caption_labels_exclude_chapters() -> None:
    tracks = (
        TrackItem(name="de", kind="subtitles", label="Deutsch", source="file", url="/1"),
        TrackItem(name="chapters", kind="chapters", label="Chapters", source="file", url="/2"),
        TrackItem(name="en", kind="captions", label="English (SDH)", source="file", url="/3"),
    )
    video = item(captions=CaptionsItem(state=ArtefactState.READY, tracks=tracks))
    assert caption_labels(video) == ("Deutsch", "English (SDH)")


def test_each_key_has_one_shortcut() -> None:
    keys = [" ".join(keys) for keys, _ in SHORTCUTS]
    assert len(keys) == len(set(keys))


def judged(*streams: Stream) -> list[tuple[str, str]]:
    return [(one.name, one.content_type) for one in codec_queries(item(*streams))]


def test_codec_queries_cover_the_first_video_and_audio_stream() -> None:
    second = AAC.model_copy(update={"codec": "ac3", "codec_string": "ac-3"})
    cover = Stream(kind="attachment", codec="mjpeg", width=600, height=600)
    assert judged(cover, H264, AAC, second) == [
        ("H.264", 'video/mp4; codecs="avc1.64001F"'),
        ("AAC", 'audio/mp4; codecs="mp4a.40.2"'),
    ]


def test_a_codec_query_names_a_container_that_browsers_support() -> None:
    def stream(kind: str, codec: str, codec_string: str | None) -> Stream:
        return Stream(kind=kind, codec=codec, codec_string=codec_string)

    assert judged(stream("video", "vp9", "vp09.00.30.08"), stream("audio", "opus", "opus")) == [
        ("VP9", 'video/webm; codecs="vp09.00.30.08"'),
        ("Opus", 'audio/webm; codecs="opus"'),
    ]
    assert judged(stream("audio", "mp3", "mp3")) == [("MP3", "audio/mpeg")]
    assert judged(stream("audio", "mp3", "mp4a.6B")) == [("MP3", 'audio/mp4; codecs="mp4a.6B"')]
    assert judged(stream("audio", "alac", None)) == [("Apple Lossless", 'audio/mp4; codecs="alac"')]
    assert judged(stream("video", "mpeg2video", None)) == []
    assert judged() == []


def test_the_player_context_has_orientation_and_kind() -> None:
    turned = H264.model_copy(update={"rotation": 90})
    for streams, content_type, expected in (
        ((H264, AAC), "video/mp4", (False, False)),
        ((turned, AAC), "video/mp4", (False, True)),
        ((AAC,), "audio/mp4", (True, False)),
        ((), "video/mp4", (False, False)),
    ):
        data = player_context(item(*streams, content_type=content_type), Start(None))
        assert (data["audio_only"], data["portrait"]) == expected
    assert player_context(item(), Start(None))["start"] is None
    assert player_context(item(), Start(90.5))["start"] == "90.5"


def test_the_start_of_a_link_is_within_the_video() -> None:
    video = item(H264)  # of one minute
    assert read_start(video, "0:59") == Start(59)
    assert read_start(video, "0") == Start(0)
    assert read_start(video, "1m") == read_start(video, "00:01:00") == Start(None, beyond_end=60)
    assert read_start(video, "x") == read_start(video, None) == Start(None)
    assert read_start(item(), "1h") == Start(3600)  # its duration is not known
