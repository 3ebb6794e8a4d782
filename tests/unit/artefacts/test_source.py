"""Which artefacts a file can have does not depend on the files that were looked at before it."""

import json
from hashlib import blake2b
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.videos import make_video

from service.artefact_store.keys import artefact_name
from service.artefacts import source as module
from service.artefacts.source import ArtefactSource
from service.models import Chapter, Metadata, Stream

PICTURES = Stream(kind="video", codec="h264", width=320, height=180)
OPEN = PICTURES.model_copy(update={"open_gops": True})
VP9 = PICTURES.model_copy(update={"codec": "vp9"})
AAC, AC3, OPUS = (Stream(index=1, kind="audio", codec=codec) for codec in ("aac", "ac3", "opus"))
TEXT = Stream(index=2, kind="subtitle", codec="subrip")
SECRET = PICTURES.model_copy(update={"encryption": "cenc"})
COVER = Stream(kind="attachment", codec="mjpeg")

MP4, MATROSKA, TRANSPORT = "mov,mp4,m4a", "matroska,webm", "mpegts"


def source(path: str, container: str, *streams: Stream, **fields: object) -> ArtefactSource:
    values = {"duration": 1.0, "bit_rate": None, **fields}
    metadata = Metadata.model_validate({"container": container, "streams": streams, **values})
    return ArtefactSource.of(make_video(path, metadata))


def kinds(one: ArtefactSource) -> set[str]:
    names = ("poster", "captions", "storyboard", "remux", "fragments", "sound", "copied")
    return {name for name in names if getattr(one, name) is not None}


PICTURED = {"poster", "storyboard"}


@pytest.mark.parametrize(
    ("path", "container", "streams", "fields", "expected"),
    [
        ("a.mp4", MP4, (PICTURES, AAC), {}, PICTURED),
        ("a.mp4", MP4, (PICTURES, AAC), {"index_size": 1 << 30}, {*PICTURED, "fragments"}),
        ("a.mp4", MP4, (OPEN, AAC), {}, {*PICTURED, "remux"}),
        ("a.mp4", MP4, (OPEN, AAC), {"fragmented": True}, PICTURED),
        ("a.mp4", MP4, (OPEN, AAC), {"compressed_index": True}, PICTURED),
        ("a.mp4", MP4, (PICTURES, AC3), {}, {*PICTURED, "sound", "copied"}),
        ("a.mp4", MP4, (SECRET, AAC), {}, set()),
        ("a.mkv", MATROSKA, (PICTURES, AAC), {}, {*PICTURED, "remux"}),
        ("a.mkv", MATROSKA, (PICTURES, AAC, TEXT), {}, {*PICTURED, "remux", "captions"}),
        ("a.webm", MATROSKA, (VP9, OPUS), {"has_seek_index": True}, PICTURED),
        ("a.mkv", MATROSKA, (VP9, OPUS), {"has_seek_index": True}, {*PICTURED, "remux"}),
        ("a.webm", MATROSKA, (VP9, OPUS), {"has_seek_index": False}, {*PICTURED, "remux"}),
        ("a.webm", MATROSKA, (VP9, OPUS), {"duration": None}, {*PICTURED, "remux"}),
        ("a.webm", MATROSKA, (VP9, OPUS), {"start": 0.5}, {*PICTURED, "remux"}),
        ("a.ts", TRANSPORT, (PICTURES, AAC), {}, {*PICTURED, "copied"}),
        ("a.m4a", MP4, (COVER, AAC), {}, {"poster"}),
        ("a.m4a", MP4, (AAC,), {"chapters": (Chapter(start=0, end=1, title="x"),)}, {"captions"}),
    ],
)
def test_what_may_be_made_follows_from_the_file_alone(
    path: str,
    container: str,
    streams: tuple[Stream, ...],
    fields: dict[str, object],
    expected: set[str],
) -> None:
    # Matroska copies are made only if no header makes an MP4; the rule is in playable_forms.py.
    expected = expected | ({"copied"} if container == MATROSKA and PICTURES in streams else set())
    expected = expected | ({"copied"} if container == MATROSKA and VP9 in streams else set())
    for _ in range(2):  # the second time from the cache
        assert kinds(source(path, container, *streams, **fields)) == expected


def test_the_cache_has_a_limit_and_changes_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_FORMS", 2)
    variants = list(product(("a.webm", "a.mkv"), ((VP9, OPUS), (PICTURES, AC3)), (True, False)))

    def made() -> list[set[str]]:
        return [
            kinds(source(path, MATROSKA, *streams, has_seek_index=index))
            for path, streams, index in variants
        ]

    first = made()
    assert made() == first
    assert len(module._forms) <= 2  # noqa: SLF001


def test_what_other_files_are_called_does_not_matter() -> None:
    """The cache finds a file by its form: no name, tag or length takes an entry of its own."""
    source("a.mkv", MATROSKA, PICTURES, AAC)
    before = len(module._forms)  # noqa: SLF001
    for number in range(50):
        source(f"{number}.mkv", MATROSKA, PICTURES, AAC, duration=number + 1.0, title=f"{number}")
    assert len(module._forms) == before  # noqa: SLF001


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=4))
def test_a_name_is_a_digest_of_the_format_and_the_parts_as_json(parts: list[str]) -> None:
    text = json.dumps(["2", "other", *parts])
    assert artefact_name("other", *parts) == blake2b(text.encode(), digest_size=16).hexdigest()
