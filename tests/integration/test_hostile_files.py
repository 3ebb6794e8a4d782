"""Files that refer to other files: neither probing nor a printed command opens those."""

import asyncio
import subprocess
from itertools import product
from pathlib import Path

import pytest
from support.ffmpeg_fixtures import AAC, H264, PICTURE, SOUND, ffmpeg
from support.file_opens import opens_in

from service.models import Finding, Metadata
from service.playability.findings import findings
from service.probing.prober import ProbeFailure, Prober

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

BLOCK = 4 * 1024 * 1024
PACKET = 188  # bytes of a packet of an MPEG transport stream (ISO/IEC 13818-1 §2.4.3.2)
TRANSPORT_STREAM = (*PICTURE, *SOUND, *H264, *AAC)

# Each refers to the private file; {here} stands for the folder.
REFERENCES = [
    "secret.ts",
    "./secret.ts",
    "file:secret.ts",
    "file://{here}/secret.ts",
    "concat:secret.ts|secret.ts",
    "subfile,,start,0,end,0,,:secret.ts",
    "cache:secret.ts",
]

HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{reference}\n#EXT-X-ENDLIST\n"
CONCAT = "ffconcat version 1.0\nfile '{reference}'\n"
DASH = """<?xml version="1.0"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT2S"
 profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period><AdaptationSet mimeType="video/mp2t">
<Representation id="1" bandwidth="1000"><BaseURL>{reference}</BaseURL>
<SegmentList duration="2"><SegmentURL media="{reference}"/></SegmentList>
</Representation></AdaptationSet></Period></MPD>
"""
SESSION = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n"
RTSP = "[Reference]\nRef1={reference}\n"
SCRIPTS = {
    "hls": HLS,
    "hls with a map": HLS.replace("#EXTINF", '#EXT-X-MAP:URI="{reference}"\n#EXTINF'),
    "hls with a key": HLS.replace(
        "#EXTINF", '#EXT-X-KEY:METHOD=AES-128,URI="{reference}"\n#EXTINF'
    ),
    "hls of hls": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{reference}\n",
    "concat": CONCAT,
    "dash": DASH,
    "sdp": SESSION,
    "asf reference": RTSP,
}


def write_secret(folder: Path) -> Path:
    small = ("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25:duration=1")
    return ffmpeg(folder / "secret.ts", *small, *SOUND, *H264, *AAC)


def polyglot(script: str, film: bytes) -> bytes:
    """Return a transport stream after a script that is padded to whole packets."""
    lines = script.encode()
    comment = PACKET - (len(lines) + 2) % PACKET
    return lines + b"#" + b"x" * comment + b"\n" + film


def names_in(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
    )


async def commands(prober: Prober, path: Path, name: str) -> tuple[Finding, ...]:
    """Probe a file; return the findings with a command. Check that no other file was opened."""
    with opens_in(path.parent) as opened:
        metadata = await prober.probe(path)
    assert opened <= {path.name}
    if isinstance(metadata, ProbeFailure):
        assert metadata.outcome == "failed"
        return ()
    return tuple(finding for finding in findings(name, metadata, BLOCK) if finding.command)


@pytest.mark.parametrize("script", SCRIPTS)
async def test_a_script_alone_is_no_video_and_its_references_are_not_opened(
    prober: Prober, tmp_path: Path, script: str
) -> None:
    await asyncio.to_thread(write_secret, tmp_path)
    for reference, ending in product(REFERENCES, ("ts", "mp4", "mkv")):
        path = tmp_path / f"film.{ending}"
        path.write_text(SCRIPTS[script].format(reference=reference.format(here=tmp_path)))
        assert await commands(prober, path, path.name) == ()


# All references are tried with the script that some FFmpeg release is known to follow.
@pytest.mark.parametrize(
    ("script", "reference"),
    [*product(["hls"], REFERENCES), *product(list(SCRIPTS)[1:], REFERENCES[:1])],
)
async def test_a_command_for_a_film_with_a_script_opens_only_the_film(
    prober: Prober, tmp_path: Path, script: str, reference: str
) -> None:
    await asyncio.to_thread(write_secret, tmp_path)
    film = await asyncio.to_thread(ffmpeg, tmp_path / "film.ts", *TRANSPORT_STREAM)
    text = SCRIPTS[script].format(reference=reference.format(here=tmp_path))
    film.write_bytes(polyglot(text, film.read_bytes()))
    results = await commands(prober, film, film.name)
    assert results or script != "hls"  # that one is probed as a transport stream
    for finding in results:
        assert finding.command
        with opens_in(tmp_path) as opened:
            done = await asyncio.to_thread(run, finding.command, tmp_path)
        assert opened == {"film.ts", "film.fixed.mp4"}, done.stderr
        fixed = tmp_path / "film.fixed.mp4"
        metadata = await prober.probe(fixed)
        assert isinstance(metadata, Metadata), done.stderr
        assert [(s.width, s.height) for s in metadata.streams if s.kind == "video"] == [(320, 240)]
        fixed.unlink()
    assert names_in(tmp_path) == {"film.ts", "secret.ts"}


NAMES = [
    "subfile,,start,0,end,0,,:secret.ts",
    "subfile,,start,10,end,100,,:film.mp4",
    "concat:secret.ts|secret.ts",
    "concatf:secret.ts",
    "-i.mp4",
    "-f lavfi -i testsrc.mp4",
    "file:secret.ts",
    "http:x.mp4",
    "https:example.test.mp4",
    "pipe:0.mp4",
    "fd:.mp4",
    "data:video;base64,AAAA.mp4",
    "crypto+file:secret.ts",
    "cache:secret.ts",
    "image%d.mp4",
    "image%03d.ts",
    "glob*?[a-z].mp4",
    "$(touch owned).mp4",
    "`touch owned`;touch owned&touch owned|touch owned>owned.mp4",
    'it\'s "quoted" \\ ${HOME} !x #.mp4',
    "..mp4",
    "...ts",
    "~.mp4",
    "@file.mp4",
]


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        *product([""], NAMES),
        *product(["a:b", "subfile,,start,0,end,0,,:x", "-i", "100%d", "file:", "..a"], NAMES[:1]),
    ],
)
async def test_a_command_opens_only_its_input_and_its_output(
    prober: Prober, tmp_path: Path, folder: str, name: str
) -> None:
    await asyncio.to_thread(write_secret, tmp_path)
    media = tmp_path / folder
    media.mkdir(exist_ok=True)
    await asyncio.to_thread(write_secret, media)
    for number in range(3):
        (media / f"image{number}.mp4").write_bytes(b"not to be opened")
    film = await asyncio.to_thread(ffmpeg, tmp_path / "made.ts", *TRANSPORT_STREAM)
    source = film.rename(media / name)
    before = names_in(media)
    (finding, *_) = await commands(prober, source, f"{folder}/{name}" if folder else name)
    assert finding.command
    with opens_in(media) as opened, opens_in(tmp_path) as opened_above:
        done = await asyncio.to_thread(run, finding.command, tmp_path)
    assert done.returncode == 0, done.stderr
    (new,) = names_in(media) - before
    assert opened == {name, new}
    assert opened_above <= {name, new}
    metadata = await prober.probe(media / new)
    assert isinstance(metadata, Metadata)
    assert [(s.width, s.height) for s in metadata.streams if s.kind == "video"] == [(320, 240)]
