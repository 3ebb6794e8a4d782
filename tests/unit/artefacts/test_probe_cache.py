import json
from pathlib import Path

import pytest

from service.artefact_store.folder import FolderArtefactStore
from service.artefacts.probe_cache import ProbeCache, probe_cache_name
from service.models import Chapter, Metadata, Stream, Tag
from service.probing.prober import ProbeFailure

PATH, REVISION = "sub/film.mp4", "3039-18ae2d7f2c3a4b00"
FULL = Metadata(
    container="mov,mp4,m4a,3gp,3g2,mj2",
    duration=12.345678901234567,
    bit_rate=5_000_000_000,
    title='Ümläut "quoted" 🎬 \x00\x1f\u2028',
    tags=(Tag(name="artist", text="Someone"),),
    chapters=(Chapter(start=0, end=1.5, title="One"),),
    index_at_front=False,
    streams=(
        Stream(
            kind="video",
            codec="h264",
            codec_string="avc1.64001E",
            width=320,
            height=240,
            frame_rate=30000 / 1001,
        ),
        Stream(kind="audio", codec="aac", channels=2, sample_rate=48000, language="deu"),
    ),
)
BARE = Metadata(container="mp3", duration=None, bit_rate=None, streams=())


@pytest.fixture
def store(tmp_path: Path) -> FolderArtefactStore:
    return FolderArtefactStore(tmp_path / "derived", 1 << 30)


def test_saved_metadata_is_loaded_unchanged(store: FolderArtefactStore) -> None:
    cache = ProbeCache(store)
    cache.save(PATH, REVISION, FULL)
    cache.save("bare.mp3", REVISION, BARE)
    assert cache.load(PATH, REVISION) == FULL
    assert ProbeCache(store).load("bare.mp3", REVISION) == BARE


def test_equal_streams_are_held_in_memory_once(store: FolderArtefactStore) -> None:
    cache = ProbeCache(store)
    cache.save(PATH, REVISION, FULL)
    cache.save("other.mp4", REVISION, FULL.model_copy(update={"title": "Other"}))
    one, other = cache.load(PATH, REVISION), cache.load("other.mp4", REVISION)
    assert isinstance(one, Metadata)
    assert isinstance(other, Metadata)
    assert one.streams is other.streams
    assert (one.title, other.title) == (FULL.title, "Other")


@pytest.mark.parametrize(
    ("path", "revision"),
    [
        (PATH, "3039-18ae2d7f2c3a4b01"),
        (PATH, ""),
        (PATH, f"{REVISION}/sub"),
        ("film.mp4", REVISION),
        ("sub/film.MP4", REVISION),
        ("", REVISION),
        (REVISION, PATH),
        ("../../outside.mp4", REVISION),
        ("x" * 4096 + "\0", REVISION),
    ],
)
def test_another_path_or_revision_is_another_video(
    store: FolderArtefactStore, path: str, revision: str
) -> None:
    cache = ProbeCache(store)
    cache.save(PATH, REVISION, FULL)
    assert cache.load(path, revision) is None
    cache.save(path, revision, BARE)
    assert cache.load(path, revision) == BARE
    assert cache.load(PATH, REVISION) == FULL


def test_a_lasting_failure_is_cached_and_a_transient_one_is_not(
    store: FolderArtefactStore,
) -> None:
    cache = ProbeCache(store)
    lasting = ProbeFailure("There is no video in it.", "crashed")
    cache.save(PATH, REVISION, lasting)
    assert cache.load(PATH, REVISION) == lasting
    cache.save("passing.mp4", REVISION, ProbeFailure("The disk is slow.", "timeout", lasting=False))
    assert cache.load("passing.mp4", REVISION) is None


def test_a_failure_of_another_decoder_version_is_ignored(store: FolderArtefactStore) -> None:
    name = probe_cache_name(PATH, REVISION)
    problem = {"problem": "It crashed.", "outcome": "crashed", "decoder": "0.0.1"}
    store.save("metadata", name, json.dumps(problem).encode())
    assert ProbeCache(store).load(PATH, REVISION) is None


WHOLE = FULL.model_dump_json().encode()


@pytest.mark.parametrize(
    "other",
    [
        b"",
        b"[]",
        b"null",
        WHOLE[:-1],
        WHOLE + WHOLE,
        WHOLE.replace(b"aac", b"\xff\xfe\xff"),
        b'{"container": "mp4", "duration": 1, "bit_rate": 1}',
        WHOLE.replace(b'"h264"', b"264"),
        WHOLE.replace(b'"title"', b'"headline"'),
        b'{"streams":' + b"[" * 100_000,
    ],
)
def test_an_invalid_record_is_none_and_can_be_replaced(
    store: FolderArtefactStore, other: bytes
) -> None:
    cache = ProbeCache(store)
    store.save("metadata", probe_cache_name(PATH, REVISION), other)
    assert cache.load(PATH, REVISION) is None
    cache.save(PATH, REVISION, FULL)
    assert cache.load(PATH, REVISION) == FULL
