"""Media types and sidecars by file name extension."""

# As registered with IANA, where there is a registration: Matroska by RFC 9559, Opus in Ogg by RFC
# 7845, 3GPP and 3GPP2 by RFC 6381, AVI by RFC 2361, MXF by RFC 4539, MPEG-1 and MPEG-2 by RFC 2045,
# MPEG layers I and II by RFC 3003, Motion JPEG 2000 by RFC 3745, DV by RFC 6469, AC-3 by RFC 4184
# and 4598, AMR by RFC 4867.
# F4V is MP4 (Adobe, "Video File Format Specification" version 10.1, §4). The names with `x-` are
# those that browsers, Debian's media-types or freedesktop.org's shared-mime-info use.
_VIDEO = {
    "video/mp4": "mp4 m4v mp4v mpeg4 mpg4 f4v ismv",
    "video/quicktime": "mov qt",
    "video/3gpp": "3gp 3gpp k3g skm",
    "video/3gpp2": "3g2 3gp2 3gpp2",
    "video/mj2": "mj2 mjp2",
    "video/webm": "webm",
    "video/matroska": "mkv",
    "video/matroska-3d": "mk3d",
    "video/ogg": "ogv ogm ogx",
    "video/mp2t": "ts m2ts mts m2t tp trp tod ssif rec",
    "video/mpeg": "mpg mpeg mpeg1 mpeg2 mpe mpv mpv2 m1v m2v mp2v m2p vob aob vro evo mod",
    "video/vnd.avi": "avi divx xvid gvi",
    "video/x-amv": "amv",
    "video/x-flv": "flv kux",
    "video/x-ms-wmv": "wmv",
    "video/x-ms-wm": "wm",
    "application/vnd.ms-asf": "asf dvr-ms",
    "application/vnd.rn-realmedia": "rm rmvb",
    "application/mxf": "mxf",
    "video/dv": "dv dif",
    "video/x-nut": "nut",
    "application/x-gxf": "gxf",
    "video/x-ms-wtv": "wtv",
    "video/x-ivf": "ivf",
    "video/h264": "h264 264 avc",
    "video/h265": "hevc h265 265",
    "video/av1": "obu",
    "video/x-yuv4mpeg": "y4m",
    "video/x-nsv": "nsv",
    "video/x-nuv": "nuv",
    "video/x-pva": "pva",
    "video/x-flic": "fli flc",
    "video/vnd.radgamettools.bink": "bik",
    "video/vnd.radgamettools.smacker": "smk",
    "video/x-dav": "dav",
}
_AUDIO = {
    "audio/mp4": "m4a m4b m4p m4r mp4a f4a f4b aax isma",
    "audio/mpeg": "mp3 mp2 mp1 m1a m2a mpa mpga",
    "audio/3gpp": "3ga",
    "audio/aac": "aac adts",
    "audio/webm": "weba",
    "audio/matroska": "mka",
    "audio/ogg": "ogg oga opus spx",
    "audio/flac": "flac",
    "audio/wav": "wav wave",
    "audio/x-w64": "w64",
    "audio/x-aiff": "aiff aif aifc",
    "audio/x-caf": "caf",
    "audio/ac3": "ac3",
    "audio/eac3": "eac3 ec3",
    "audio/vnd.dts": "dts",
    "audio/vnd.dts.hd": "dtshd",
    "audio/x-truehd": "thd",
    "audio/amr": "amr",
    "audio/amr-wb": "awb",
    "audio/x-ms-wma": "wma",
    "audio/vnd.rn-realaudio": "ra",
    "audio/x-ape": "ape",
    "audio/x-wavpack": "wv",
    "audio/basic": "au snd",
    "audio/x-tta": "tta",
    "audio/x-tak": "tak",
    "audio/x-musepack": "mpc",
    "audio/x-shorten": "shn",
    "audio/x-mlp": "mlp",
    "audio/x-voc": "voc",
    "audio/x-dsf": "dsf",
    "audio/x-dff": "dff",
    "audio/x-oma": "oma omg aa3",
}
_TYPES = {
    extension: media_type
    for table in (_VIDEO, _AUDIO)
    for media_type, extensions in table.items()
    for extension in extensions.split()
}

EXTENSIONS = tuple(_TYPES)
"""File name extensions of media, without the dot."""

UNSUPPORTED_SUBTITLES = ("sup", "idx", "sub", "smi", "ttml", "dfxp", "sbv", "scc", "srv3")
"""Extensions of subtitles that cannot be shown: pictures of discs, and other kinds of text."""

# Extensions that other kinds of files have as well: TypeScript and Qt's translations (ts, mts),
# modules of Go and of music trackers (mod), device trees (dts), and data of many programs.
_SHARED = frozenset(
    {"ts", "mts", "tp", "mod", "tod", "rm", "ra", "dv", "dif", "avc", "264", "265", "obu", "nut"}
    | {"dts", "ape", "snd", "au", "spx", "mpa", "evo", "vro", "mpv", "thd"}
    | {"mlp", "mpc", "tak", "voc", "rec", "wm", "dav", "smk", "dff", "omg", "nsv", "pva"}
)

# What both Chromium 156 and Firefox 153 accept as the type of a <source> (canPlayType, measured on
# 2026-11-29). They skip a source of any other type without looking at its bytes.
_ACCEPTED = frozenset(
    {"video/mp4", "video/webm", "video/matroska", "audio/mp4", "audio/mpeg", "audio/aac"}
    | {"audio/webm", "audio/matroska", "audio/ogg", "audio/flac", "audio/wav"}
)

# Images, captions and chapters beside a video.
_SIDECAR_EXTENSIONS = frozenset(
    {"vtt", "srt", "ass", "ssa", *UNSUPPORTED_SUBTITLES, "jpg", "jpeg", "png", "webp", "avif"}
    | {"gif", "bmp", "tiff", "tif", "heic", "heif"}
)


def media_type(path: str) -> str | None:
    """Return the media type (RFC 9110 §8.3.1) of a path by its extension; None if not media."""
    name, _, extension = path.rpartition("/")[2].rpartition(".")
    return _TYPES.get(extension.lower()) if name else None


def is_shared_extension(path: str) -> bool:
    """Return whether files of other kinds have the extension of `path`, too."""
    return path.rpartition(".")[2].lower() in _SHARED


def is_accepted_by_browsers(media_type: str) -> bool:
    """Return whether browsers accept a media type as that of a source.

    If they do not, they may still play the bytes: both find out the format from these.
    """
    return media_type in _ACCEPTED


def is_sidecar(path: str) -> bool:
    """Return whether a file with this extension may be a sidecar of a video."""
    return path.rpartition(".")[2].lower() in _SIDECAR_EXTENSIONS
