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
def derived(tmp_path: Path) -> FolderArtefactStore:
    return FolderArtefactStore(tmp_path / "derived", 1 << 30)


def test_what_was_told_comes_back_as_it_was(derived: FolderArtefactStore) -> None:
    probed = ProbeCache(derived)
    probed.save(PATH, REVISION, FULL)
    probed.save("bare.mp3", REVISION, BARE)
    assert probed.load(PATH, REVISION) == FULL
    assert ProbeCache(derived).load("bare.mp3", REVISION) == BARE


def test_streams_that_are_alike_are_held_once(derived: FolderArtefactStore) -> None:
    probed = ProbeCache(derived)
    probed.save(PATH, REVISION, FULL)
    probed.save("other.mp4", REVISION, FULL.model_copy(update={"title": "Other"}))
    one, other = probed.load(PATH, REVISION), probed.load("other.mp4", REVISION)
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
    derived: FolderArtefactStore, path: str, revision: str
) -> None:
    probed = ProbeCache(derived)
    probed.save(PATH, REVISION, FULL)
    assert probed.load(path, revision) is None
    probed.save(path, revision, BARE)
    assert probed.load(path, revision) == BARE
    assert probed.load(PATH, REVISION) == FULL


def test_a_problem_of_the_files_own_is_kept_and_a_passing_one_is_not(
    derived: FolderArtefactStore,
) -> None:
    probed = ProbeCache(derived)
    own = ProbeFailure("There is no video in it.", "crashed")
    probed.save(PATH, REVISION, own)
    assert probed.load(PATH, REVISION) == own
    probed.save(
        "passing.mp4", REVISION, ProbeFailure("The disk is slow.", "timeout", lasting=False)
    )
    assert probed.load("passing.mp4", REVISION) is None


def test_a_problem_that_other_decoders_had_is_not_believed(derived: FolderArtefactStore) -> None:
    name = probe_cache_name(PATH, REVISION)
    problem = {"problem": "It crashed.", "outcome": "crashed", "decoder": "0.0.1"}
    derived.save("metadata", name, json.dumps(problem).encode())
    assert ProbeCache(derived).load(PATH, REVISION) is None


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
def test_what_another_release_may_have_kept_is_none_and_made_again(
    derived: FolderArtefactStore, other: bytes
) -> None:
    probed = ProbeCache(derived)
    derived.save("metadata", probe_cache_name(PATH, REVISION), other)
    assert probed.load(PATH, REVISION) is None
    probed.save(PATH, REVISION, FULL)
    assert probed.load(PATH, REVISION) == FULL
