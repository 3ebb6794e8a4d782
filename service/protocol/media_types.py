"""Media types and sidecars by file name extension."""

# As registered with IANA; Matroska by RFC 9559, Opus in Ogg by RFC 7845.
_TYPES = {
    "mp4": "video/mp4",
    "m4v": "video/mp4",
    "mov": "video/quicktime",
    "webm": "video/webm",
    "mkv": "video/matroska",
    "ogv": "video/ogg",
    "ts": "video/mp2t",
    "m2ts": "video/mp2t",
    "mts": "video/mp2t",
    "m4a": "audio/mp4",
    "mp3": "audio/mpeg",
    "aac": "audio/aac",
    "weba": "audio/webm",
    "mka": "audio/matroska",
    "ogg": "audio/ogg",
    "oga": "audio/ogg",
    "opus": "audio/ogg",
    "flac": "audio/flac",
    "wav": "audio/wav",
}

EXTENSIONS = tuple(_TYPES)
"""File name extensions of media, without the dot."""

UNSUPPORTED_SUBTITLES = ("sup", "idx", "sub", "smi", "ttml", "dfxp", "sbv", "scc", "srv3")
"""Extensions of subtitles that cannot be shown: pictures of discs, and other kinds of text."""

# Images, captions and chapters beside a video.
_SIDECAR_EXTENSIONS = frozenset(
    {"vtt", "srt", "ass", "ssa", "jpg", "jpeg", "png", "webp", *UNSUPPORTED_SUBTITLES}
)


def media_type(path: str) -> str | None:
    """Return the media type (RFC 9110 §8.3.1) of a path by its extension; None if not media."""
    name, _, extension = path.rpartition("/")[2].rpartition(".")
    return _TYPES.get(extension.lower()) if name else None


def is_sidecar(path: str) -> bool:
    """Return whether a file with this extension may be a sidecar of a video."""
    return path.rpartition(".")[2].lower() in _SIDECAR_EXTENSIONS
