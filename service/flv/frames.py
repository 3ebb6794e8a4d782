"""Finds the frames of a Flash video whose H.264, AAC and MP3 are stored as in an MP4.

Sections are those of the "Adobe Flash Video File Format Specification", version 10.1, Annex E. As
service/matroska/frames.py, it yields the spans to read and declines what it does not understand."""

from collections.abc import Generator

from service.matroska.frame_table import FrameTable
from service.matroska.frames import MAX_ELEMENTS, MAX_FRAMES, FrameRequests, Frames
from service.matroska.tracks import MediaTrack
from service.matroska.window import DeclinedError, Window
from service.protocol.ranges import Span

SIGNATURE = b"FLV"

_FILE_HEADER, _TAG_HEADER, _PREVIOUS_SIZE = 9, 11, 4  # bytes
_HEADROOM = _TAG_HEADER + 5
_MAX_CONFIGURATION = 1 << 16  # bytes
_AUDIO, _VIDEO, _SCRIPT = 8, 9, 18
_AVC, _AAC, _MP3 = 7, 10, 2  # CodecID (§E.4.3.1), SoundFormat (§E.4.2.1)
_OTHER_SOUND = "A_FLASH"
_CONFIGURATION, _FRAME, _END = 0, 1, 2  # AVCPacketType, AACPacketType
_KEY_FRAME = 1
_MILLISECOND = 1_000_000  # nanoseconds


def scan_flv(size: int, *, any_sound: bool = False) -> FrameRequests:
    """Find the frames of a file of `size` bytes, without those that are cut off.

    Raises DeclinedError; with `any_sound` not on account of sound that browsers do not play, whose
    frames are left out.
    """
    return _Scanner(size, any_sound=any_sound).scan()


class _Scanner:
    def __init__(self, size: int, *, any_sound: bool) -> None:
        self._size = size
        self._any_sound = any_sound
        self._window = Window(size)
        self._position = 0
        self._tables: dict[int, FrameTable] = {}
        self._frames = 0

    def scan(self) -> FrameRequests:
        yield from self._window.move(0)
        data = self._window.data
        if len(data) < _FILE_HEADER or not data.startswith(SIGNATURE):
            raise DeclinedError("is no Flash video")
        self._position = int.from_bytes(data[5:9], "big") + _PREVIOUS_SIZE
        for _ in range(MAX_ELEMENTS):
            if self._position + _TAG_HEADER >= self._size:
                break
            if not self._window.has(self._position, _HEADROOM):
                yield from self._window.move(self._position)
            if not (yield from self._tag()):
                break  # the end of the file is missing
        else:
            raise DeclinedError("has too many elements")
        # The picture comes first.
        found = [self._tables[type_] for type_ in (_VIDEO, _AUDIO) if type_ in self._tables]
        tables = tuple(table for table in found if table.sizes)
        if not tables:
            raise DeclinedError("has no frames")
        starts = {table.track.number: min(table.times) for table in tables}
        return Frames(_MILLISECOND, tables, tuple(table.track for table in found), starts)

    def _tag(self) -> Generator[Span, bytes, bool]:
        """Read the tag at the position (§E.4.1). Return whether it is in the file entirely."""
        at = self._position - self._window.base
        data = self._window.data[at : at + _HEADROOM]
        type_, length = data[0], int.from_bytes(data[1:4], "big")
        start = self._position + _TAG_HEADER
        end = start + length
        if type_ not in {_AUDIO, _VIDEO, _SCRIPT}:
            raise DeclinedError(f"is damaged, or of an unknown kind, at byte {self._position}")
        if end > self._size:
            return False
        if type_ != _SCRIPT and length:
            # TimestampExtended has the highest bits, and the sign.
            time = int.from_bytes(data[7:8] + data[4:7], "big", signed=True)
            body = data[_TAG_HEADER : _TAG_HEADER + length]
            if type_ == _VIDEO:
                yield from self._video(body, start, end, time)
            else:
                yield from self._audio(body, start, end, time)
        self._position = end + _PREVIOUS_SIZE
        return True

    def _video(self, body: bytes, start: int, end: int, time: int) -> Generator[Span, bytes, None]:
        # The highest bit of FrameType: an extended header of Enhanced RTMP, with other codecs.
        if body[0] & 0x8F != _AVC or len(body) < 5:  # noqa: PLR2004 # §E.4.3.1 and §E.4.3.2
            raise DeclinedError("has no picture of a codec that browsers play in MP4")
        if body[1] == _CONFIGURATION:
            yield from self._configure(_VIDEO, start + 5, end)
        elif body[1] == _FRAME:
            shown = time + int.from_bytes(body[2:5], "big", signed=True)
            self._add(_VIDEO, start + 5, end, shown, is_key=body[0] >> 4 == _KEY_FRAME)
        elif body[1] != _END:
            raise DeclinedError(f"is damaged, or of an unknown kind, at byte {self._position}")

    def _audio(self, body: bytes, start: int, end: int, time: int) -> Generator[Span, bytes, None]:
        format_ = body[0] >> 4
        if format_ == _MP3:
            if _AUDIO not in self._tables:
                self._tables[_AUDIO] = FrameTable(MediaTrack(_AUDIO, "audio", "A_MPEG/L3"))
            self._add(_AUDIO, start + 1, end, time, is_key=True)
        elif format_ != _AAC and self._any_sound:
            self._tables.setdefault(_AUDIO, FrameTable(MediaTrack(_AUDIO, "audio", _OTHER_SOUND)))
        elif format_ != _AAC or len(body) < 2:  # noqa: PLR2004 # §E.4.2.2
            raise DeclinedError("has no sound of a codec that browsers play in MP4")
        elif body[1] == _CONFIGURATION:
            yield from self._configure(_AUDIO, start + 2, end)
        else:
            self._add(_AUDIO, start + 2, end, time, is_key=True)

    def _configure(self, type_: int, start: int, end: int) -> Generator[Span, bytes, None]:
        """Read a track's configuration. An MP4 made here has one for each track."""
        length = min(end - start, _MAX_CONFIGURATION)
        data = yield from self._window.read(start, length)
        if type_ not in self._tables:
            self._tables[type_] = FrameTable(
                MediaTrack(_VIDEO, "video", "V_MPEG4/ISO/AVC", data)
                if type_ == _VIDEO
                else MediaTrack(_AUDIO, "audio", "A_AAC", data)
            )
        elif self._tables[type_].track.private != data:
            raise DeclinedError("changes its format on the way")

    def _add(self, type_: int, start: int, end: int, time: int, *, is_key: bool) -> None:
        table = self._tables.get(type_)
        if table is None:
            raise DeclinedError("has frames before it says how they are encoded")
        self._frames += 1
        if self._frames > MAX_FRAMES:
            raise DeclinedError("has too many frames")
        table.add_block(start, [end - start], time, is_key=is_key)
