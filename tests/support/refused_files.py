"""Files that FFmpeg opens and browsers refuse, or show only in part: some seconds of film."""

import re
import shutil
import struct
import subprocess
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from uuid import UUID

import av
import pytest

from support.ffmpeg_fixtures import AAC, ffmpeg
from support.matroska_elements import ENCRYPTED, WITHOUT_HEADERS, ZLIB, encode
from support.mp4_boxes import CONTAINERS, box, boxes

SECONDS = 16
PICTURE = ("-f", "lavfi", "-i", f"testsrc2=size=160x120:rate=10:duration={SECONDS}")
SOUND = ("-f", "lavfi", "-i", f"sine=duration={SECONDS}")
X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "10")
FILM = (*PICTURE, *SOUND, *X264, *AAC)
# MPEG-2 has no rate of 10 pictures a second.
FILM_OF_DVD = (*PICTURE, *SOUND, "-r", "25", "-c:v", "mpeg2video", "-c:a", "mp2")
FILM_OF_WINDOWS = (*PICTURE, *SOUND, "-c:v", "wmv2", "-c:a", "wmav2")
WEBM = (*PICTURE, *SOUND, "-c:v", "libvpx", "-b:v", "60k", "-g", "10", "-c:a", "libopus")
FRONT = ("-movflags", "+faststart")
KEY = ("-encryption_scheme", "cenc-aes-ctr", "-encryption_key", "00112233445566778899aabbccddeeff",
       "-encryption_kid", "a7e61c373e219033c21091fa607bf3b8")  # fmt: skip

# FFmpeg writes no other scheme than cenc. The bytes would differ, but nothing is decrypted here.
SCHEMES = ("cenc", "cens", "cbc1", "cbcs")


def plain(folder: Path, *more: str) -> bytes:
    """Return an MP4, by default with its index at the end."""
    return ffmpeg(folder / "plain.mp4", *FILM, *more).read_bytes()


def common_encryption(folder: Path, scheme: str = "cenc") -> bytes:
    """Return an MP4 with picture and sound encrypted (ISO/IEC 23001-7)."""
    data = ffmpeg(folder / "encrypted.mp4", *FILM, *KEY, *FRONT).read_bytes()
    found = b"schm\0\0\0\0cenc"
    assert data.count(found) == 2
    return data.replace(found, found[:-4] + scheme.encode())


def encrypted_fragments(folder: Path) -> bytes:
    """Return an MP4 as of a stream (DASH), of which FFmpeg finds no pixel format."""
    flags = "+frag_keyframe+empty_moov+default_base_moof"
    return ffmpeg(folder / "encrypted.mp4", *FILM, *KEY, "-movflags", flags).read_bytes()


def change_boxes(data: bytes, change: Callable[[bytes, bytes], bytes | None]) -> bytes:
    """Return boxes in which `change` has replaced some by kind and content; not the others."""
    made = []
    for kind, content in boxes(data):
        changed = change(kind, content)
        if changed is None and kind in CONTAINERS:
            changed = box(kind, change_boxes(content, change))
        made.append(box(kind, content) if changed is None else changed)
    return b"".join(made)


def with_sample_entries(data: bytes, names: dict[bytes, bytes]) -> bytes:
    """Return an MP4, its index at the end, with sample entries renamed."""

    def change(kind: bytes, content: bytes) -> bytes | None:
        name = names.get(content[12:16])
        return box(kind, content[:12], name, content[16:]) if kind == b"stsd" and name else None

    return change_boxes(data, change)


def one_encrypted(folder: Path, original: bytes) -> bytes:
    """Return an MP4 with one encrypted stream (ISO/IEC 14496-12 §8.12)."""
    scheme = box(b"schm", bytes(4), b"cenc", struct.pack(">I", 1 << 16))
    tenc = box(b"tenc", bytes(4), b"\0\0\1\x08", bytes(16))
    protection = box(b"sinf", box(b"frma", original), scheme, box(b"schi", tenc))

    def change(kind: bytes, content: bytes) -> bytes | None:
        if kind != b"stsd" or content[12:16] != original:
            return None
        name = {b"avc1": b"encv", b"mp4a": b"enca"}[original]
        return box(kind, content[:8], box(name, content[16:], protection))

    data = garbled(folder, {b"avc1": "video", b"mp4a": "audio"}[original])
    return change_boxes(data, change)


def garbled(folder: Path, *kinds: str) -> bytes:
    """Return an MP4 with the samples of these streams changed, as if they were encrypted."""
    data = bytearray(plain(folder))
    with av.open(folder / "plain.mp4") as container:
        for stream in container.streams:
            for entry in stream.index_entries if stream.type in kinds else ():
                sample = slice(entry.pos, entry.pos + entry.size)
                data[sample] = bytes(byte ^ 0x5A for byte in data[sample])
    return bytes(data)


def fairplay(folder: Path) -> bytes:
    """Return a file as of the iTunes Store: its sample entries are renamed."""
    data = garbled(folder, "video", "audio")
    return with_sample_entries(data, {b"avc1": b"drmi", b"mp4a": b"drms"})


def compressed_index(folder: Path) -> bytes:
    """Return a QuickTime film with a compressed index (cmov)."""

    def change(kind: bytes, content: bytes) -> bytes | None:
        if kind != b"moov":
            return None
        index = box(kind, content)
        packed = box(b"cmvd", struct.pack(">I", len(index)), zlib.compress(index))
        return box(kind, box(b"cmov", box(b"dcom", b"zlib"), packed))

    return change_boxes(plain(folder), change)


def cut(data: bytes, part: float = 0.5) -> bytes:
    """Return the first part of a file."""
    return data[: int(len(data) * part)]


def reserved(data: bytes) -> bytes:
    """Return a file that is written in half, by a program that reserved the room of all first."""
    return cut(data).ljust(len(data), b"\0")


def scrambled(data: bytes) -> bytes:
    """Return a transport stream whose streams are scrambled (ISO/IEC 13818-1 §2.4.3.3)."""
    packets = []
    for start in range(0, len(data), 188):
        packet = bytearray(data[start : start + 188])
        if int.from_bytes(packet[1:3], "big") & 0x1FFF in {256, 257}:  # FFmpeg's first two
            payload = 5 + packet[4] if packet[3] & 0x20 else 4
            packet[3] |= 0x80
            packet[payload:] = bytes(byte ^ 0x5A for byte in packet[payload:])
        packets.append(bytes(packet))
    return b"".join(packets)


def scrambled_program(data: bytes) -> bytes:
    """Return a program stream whose sound and picture are scrambled, as by CSS (§2.4.3.7)."""
    changed = bytearray(data)
    for head in re.finditer(rb"\x00\x00\x01[\xc0-\xef]..[\x80-\xbf]", data, re.DOTALL):
        changed[head.end() - 1] |= 0x10
        body = head.end() + 20
        changed[body : body + 100] = bytes(byte ^ 0x5A | 1 for byte in changed[body : body + 100])
    return bytes(changed)


def protected_asf(data: bytes) -> bytes:
    """Return a Windows Media file with a Content Encryption Object in its header."""
    length, count = struct.unpack_from("<QI", data, 16)
    parts = (b"secret", b"DRM\0", b"key\0", b"https://example.org/\0")
    body = b"".join(struct.pack("<I", len(part)) + part for part in parts)
    name = UUID("2211b3fb-bd23-11d2-b4b7-00a0c955fc6e").bytes_le
    added = name + struct.pack("<Q", 24 + len(body)) + body
    head = data[:16] + struct.pack("<QI", length + len(added), count + 1) + data[28:30]
    return head + added + data[30:]


def fragments(folder: Path, flags: str = "") -> bytes:
    """Return an MP4 in fragments of a second."""
    return plain(folder, "-movflags", f"+frag_keyframe+empty_moov+default_base_moof{flags}")


def webm(folder: Path, *more: str) -> bytes:
    """Return a WebM."""
    return ffmpeg(folder / "plain.webm", *WEBM, *more).read_bytes()


def matroska(folder: Path) -> bytes:
    """Return a Matroska file without sound."""
    return ffmpeg(folder / "plain.mkv", *PICTURE, *X264).read_bytes()


def recorded(folder: Path) -> bytes:
    """Return a WebM as MediaRecorder writes it: without a duration and an index."""
    return webm(folder, "-live", "1", "-cluster_time_limit", "1000")


def piped(kind: str, *arguments: str) -> bytes:
    """Return what FFmpeg writes into a pipe, where it cannot go back to add what it knows later."""
    command = ["ffmpeg", "-v", "error", *arguments, "-f", kind, "-"]
    return subprocess.run(command, check=True, capture_output=True, timeout=600).stdout


def as_in_avi(folder: Path) -> bytes:
    """Return a Matroska file whose H.264 is V_MS/VFW/FOURCC, as remuxed from AVI."""
    if shutil.which("mkvmerge") is None:
        pytest.skip("mkvmerge, which makes this file, is not on PATH")
    avi = ffmpeg(folder / "plain.avi", *PICTURE, *X264, "-bf", "0")
    made = folder / "vfw.mkv"
    words = ["mkvmerge", "-q", "--engage", "allow_avc_in_vfw_mode", "-o", str(made), str(avi)]
    subprocess.run(words, check=True, timeout=600)
    return made.read_bytes()


# The name of a file, how it is made, and the findings that are more than hints.
FILES: dict[str, tuple[Callable[[Path], bytes], dict[str, str]]] = {
    **{
        f"{scheme}.mp4": (partial(common_encryption, scheme=scheme), {"encrypted": "unplayable"})
        for scheme in SCHEMES
    },
    "encrypted picture.mp4": (lambda f: one_encrypted(f, b"avc1"), {"encrypted": "unplayable"}),
    "encrypted sound.mp4": (lambda f: one_encrypted(f, b"mp4a"), {"encrypted": "unplayable"}),
    "encrypted fragments.mp4": (encrypted_fragments, {"encrypted": "unplayable"}),
    "fairplay.m4v": (fairplay, {"encrypted": "unplayable"}),
    "encrypted.webm": (
        lambda f: encode(webm(f), {1: ENCRYPTED, 2: ENCRYPTED}),
        {"encrypted": "unplayable"},
    ),
    "encrypted sound.webm": (
        lambda f: encode(webm(f), {2: ENCRYPTED}),
        {"encrypted": "unplayable"},
    ),
    "encrypted.mkv": (lambda f: encode(matroska(f), {1: ENCRYPTED}), {"encrypted": "unplayable"}),
    "scrambled.ts": (
        lambda f: scrambled(ffmpeg(f / "plain.ts", *FILM).read_bytes()),
        {"encrypted": "unplayable"},
    ),
    "scrambled.vob": (
        lambda f: scrambled_program(ffmpeg(f / "plain.vob", *FILM_OF_DVD).read_bytes()),
        {"encrypted": "unplayable"},
    ),
    "protected.wmv": (
        lambda f: protected_asf(ffmpeg(f / "plain.wmv", *FILM_OF_WINDOWS).read_bytes()),
        {"encrypted": "unplayable"},
    ),
    "compressed index.mov": (compressed_index, {"compressed_index": "unplayable"}),
    "cut.mp4": (lambda f: cut(plain(f, *FRONT)), {"truncated": "warning"}),
    "cut at the end.mp4": (lambda f: plain(f, *FRONT)[:-1], {"truncated": "warning"}),
    "cut after its index.mp4": (
        lambda f: (data := plain(f, *FRONT))[: data.index(b"mdat") + 4],
        {"truncated": "unplayable"},
    ),
    "cut in its index.mp4": (lambda f: plain(f)[:-60], {"truncated": "warning"}),
    "reserved.mp4": (lambda f: reserved(plain(f, *FRONT)), {"truncated": "warning"}),
    "reserved.mkv": (
        lambda f: reserved(matroska(f)),
        {"truncated": "warning", "container": "warning"},
    ),
    "cut.mp3": (
        lambda f: cut(ffmpeg(f / "plain.mp3", *SOUND).read_bytes()),
        {"truncated": "warning"},
    ),
    "cut.flac": (
        lambda f: cut(ffmpeg(f / "plain.flac", *SOUND).read_bytes()),
        {"truncated": "warning"},
    ),
    "cut.wav": (
        lambda f: cut(ffmpeg(f / "plain.wav", *SOUND).read_bytes()),
        {"truncated": "warning"},
    ),
    "head of fragments.mp4": (
        lambda f: (data := fragments(f))[: data.index(b"moof") - 4],
        {"truncated": "unplayable"},
    ),
    "cut fragments.mp4": (lambda f: cut(fragments(f)), {"truncated": "warning"}),
    "cut listed fragments.mp4": (
        lambda f: cut(fragments(f, "+global_sidx")),
        {"truncated": "warning"},
    ),
    "cut.webm": (lambda f: cut(webm(f)), {"truncated": "warning"}),
    "cut.mkv": (lambda f: cut(matroska(f)), {"truncated": "warning", "container": "warning"}),
    "recorded.webm": (recorded, {"no_duration": "warning"}),
    "piped.mkv": (
        lambda _: piped("matroska", *FILM),
        {"no_duration": "warning", "container": "warning"},
    ),
    "piped.flac": (lambda _: piped("flac", *SOUND), {"no_duration": "warning"}),
    "no index.webm": (lambda f: encode(webm(f), {}), {"no_seek_index": "warning"}),
    "compressed.mkv": (
        lambda f: encode(matroska(f), {1: ZLIB}),
        {"track_compression": "unplayable", "container": "warning", "no_seek_index": "warning"},
    ),
    "without headers.mkv": (
        lambda f: encode(matroska(f), {1: WITHOUT_HEADERS}),
        {"track_compression": "warning", "container": "warning", "no_seek_index": "warning"},
    ),
    "as in avi.mkv": (as_in_avi, {"codec_tag": "unplayable", "container": "warning"}),
    "H264.mov": (
        lambda f: with_sample_entries(plain(f), {b"avc1": b"H264"}),
        {"codec_tag": "warning"},
    ),
    # These are fine.
    "fragments.mp4": (fragments, {}),
    "listed fragments.mp4": (lambda f: fragments(f, "+global_sidx"), {}),
    "piped fragments.mp4": (
        lambda _: piped("mp4", *FILM, "-movflags", "frag_keyframe+empty_moov"),
        {},
    ),
    "avc3.mp4": (lambda f: with_sample_entries(plain(f), {b"avc1": b"avc3"}), {}),
    "fine.webm": (webm, {}),
    "piped.wav": (lambda _: piped("wav", *SOUND), {}),
    "piped.mp3": (lambda _: piped("mp3", *SOUND), {}),
}


def write_file(folder: Path, name: str) -> Path:
    """Make one of FILES in a folder."""
    scratch = folder.parent / "scratch"
    scratch.mkdir(exist_ok=True)
    data = FILES[name][0](scratch)
    (folder / name).write_bytes(data)
    return folder / name
