"""The common names of codecs, containers and bit rates, from FFmpeg's names and numbers."""

_CODECS = {
    "h264": "H.264",
    "hevc": "HEVC",
    "av1": "AV1",
    "vp6": "VP6",
    "vp6f": "VP6",
    "vp8": "VP8",
    "vp9": "VP9",
    "mpeg4": "MPEG-4 Part 2 (DivX, Xvid)",
    "msmpeg4v1": "Microsoft MPEG-4",
    "msmpeg4v2": "Microsoft MPEG-4",
    "msmpeg4v3": "DivX 3",
    "mpeg2video": "MPEG-2",
    "mpeg1video": "MPEG-1",
    "h261": "H.261",
    "h263": "H.263",
    "flv1": "Sorenson H.263",
    "svq1": "Sorenson Video",
    "svq3": "Sorenson Video 3",
    "wmv1": "Windows Media Video 7",
    "wmv2": "Windows Media Video 8",
    "wmv3": "Windows Media Video 9",
    "vc1": "VC-1",
    "rv10": "RealVideo",
    "rv20": "RealVideo",
    "rv30": "RealVideo",
    "rv40": "RealVideo",
    "cinepak": "Cinepak",
    "indeo3": "Indeo",
    "indeo5": "Indeo",
    "dvvideo": "DV",
    "prores": "ProRes",
    "theora": "Theora",
    "mjpeg": "Motion JPEG",
    "dnxhd": "DNxHD",
    "rawvideo": "uncompressed",
    "aac": "AAC",
    "mp3": "MP3",
    "mp2": "MPEG layer II",
    "mp1": "MPEG layer I",
    "opus": "Opus",
    "vorbis": "Vorbis",
    "speex": "Speex",
    "flac": "FLAC",
    "alac": "Apple Lossless",
    "ac3": "AC-3",
    "eac3": "E-AC-3",
    "dts": "DTS",
    "truehd": "Dolby TrueHD",
    "wmav1": "Windows Media Audio",
    "wmav2": "Windows Media Audio",
    "wmapro": "Windows Media Audio Pro",
    "wmalossless": "Windows Media Audio Lossless",
    "cook": "RealAudio",
    "ra_144": "RealAudio",
    "ra_288": "RealAudio",
    "amr_nb": "AMR",
    "amr_wb": "AMR",
    "nellymoser": "Nellymoser",
    "ape": "Monkey's Audio",
    "wavpack": "WavPack",
}
_CONTAINERS = {
    "mpegts": "MPEG transport stream",
    "mpeg": "MPEG program stream",
    "avi": "AVI",
    "flv": "Flash video",
    "asf": "Windows Media",
    "rm": "RealMedia",
    "mxf": "MXF",
    "dv": "DV",
    "nut": "NUT",
    "wtv": "Windows Recorded TV",
    "ivf": "IVF",
    "ogg": "Ogg",
    "mp3": "MP3",
    "flac": "FLAC",
    "wav": "WAV",
    "w64": "Wave64",
    "aac": "AAC",
    "aiff": "AIFF",
    "caf": "Core Audio Format",
    "amr": "AMR",
    "ape": "Monkey's Audio",
    "wv": "WavPack",
    "au": "Sun audio",
    "ac3": "AC-3",
    "eac3": "E-AC-3",
    "dts": "DTS",
    "truehd": "Dolby TrueHD",
    "h264": "H.264 without a container",
    "hevc": "HEVC without a container",
    "obu": "AV1 without a container",
    "m4v": "MPEG-4 video without a container",
    "mpegvideo": "MPEG video without a container",
}
_MEGABIT = 1_000_000


def codec_name(codec: str) -> str:
    """Return the common name of a codec."""
    return "PCM" if codec.startswith("pcm_") else _CODECS.get(codec, codec)


def container_name(container: str) -> str:
    """Return the common name of a container that is neither MP4 nor Matroska."""
    return _CONTAINERS.get(container, container)


def format_bit_rate(bits: float) -> str:
    """Return bits per second in Mbit/s, or in smaller units if there is less than one of them."""
    if bits >= _MEGABIT:
        return f"{bits / _MEGABIT:.2f} Mbit/s"
    return f"{bits / 1000:.0f} kbit/s" if bits >= 1000 else f"{bits:.0f} bit/s"  # noqa: PLR2004
