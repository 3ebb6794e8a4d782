"""Copies the pictures of a film."""

from array import array
from fractions import Fraction
from typing import Any

from service.copies import nal_units
from service.copies.clock import presentation
from service.copies.picture_order import PictureOrder
from service.copies.picture_times import fill_times, times_of_decoding
from service.copies.track import NO_TIME, CopyTrack
from service.matroska.frame_table import FrameTable
from service.matroska.tracks import MediaTrack
from service.matroska.window import DeclinedError

# Containers that say when pictures are decoded, and not when they are shown
_DECODING_TIMES = frozenset({"avi", "mxf", "asf"})

_NO_ORDER = -1

# One picture in so many may be shown a little too early, if its time stamp is damaged.
_FEW = 50


class PictureCopy:
    """The pictures of a stream."""

    def __init__(self, stream: Any, container: str) -> None:
        """`container` is FFmpeg's name. Raises DeclinedError."""
        self.stream = stream
        self.time_base = Fraction(stream.time_base.numerator, stream.time_base.denominator)
        name = stream.codec_context.codec.canonical_name
        self._codec = nal_units.picture_codec(name)
        configuration = bytes(stream.codec_context.extradata or b"")
        if self._codec and not configuration:
            raise DeclinedError("does not say how its picture is encoded")
        self._length = nal_units.length_size(self._codec, configuration) if self._codec else 0
        self._wraps = container in {"mpegts", "mpeg"}
        self._has_decoding_times = container in _DECODING_TIMES
        self.track = CopyTrack(FrameTable(MediaTrack(0, "video", name, language="und")))
        self.first = b""
        """The first key frame as FFmpeg reads it."""
        self._order: PictureOrder | None = PictureOrder() if name == "h264" else None
        self._orders: list[int] = []
        self._decoded: list[int] = []
        self._sets: dict[bytes, bytes] = {}
        self._start: tuple[int, int] | None = None
        """The time and the order of a first picture to which earlier ones may refer."""
        if self._order and configuration:
            self._read_configuration(configuration)

    def add(self, packet: Any, shift: int) -> None:
        """Add the picture of a packet, at its time and `shift` ticks. Raises DeclinedError."""
        data = bytes(packet)
        try:
            units = self._units(data)
        except ValueError:
            return  # it is cut off
        order, is_second = self._place_or_none(units)
        if not self.track.table.keys and not packet.is_keyframe:
            return  # what it refers to is not in the file
        frame = nal_units.with_lengths(units) if self._codec else data
        if is_second and self.track.waiting:
            self.track.extend_last(frame)
            return
        time = presentation(packet.pts, packet.dts, wraps=self._wraps)
        shown = NO_TIME if time is None or self._has_decoding_times else time + shift
        if not self.track.table.keys:
            self.first = data
            if not any(nal_units.is_idr(self._codec, unit) for unit in units if self._codec):
                self._start = shown, order
        elif self._is_lost(shown, order):
            return
        self._orders.append(order)
        self._decoded.append(NO_TIME if packet.dts is None else packet.dts + shift)
        self.track.add(frame, shown, is_key=packet.is_keyframe)

    def finish(self) -> None:
        """Find the times that the file does not say. Raises DeclinedError."""
        table = self.track.table
        if not table.keys:
            raise DeclinedError("has no key frame")
        if NO_TIME not in table.times:
            return
        if _NO_ORDER in self._orders:
            self._use_decoding_times()
        elif self._has_decoding_times:
            table.times = array("q", times_of_decoding(self._orders, self._decoded))
        else:
            table.times = array("q", fill_times(self._orders, table.times))

    def _use_decoding_times(self) -> None:
        """Show the few pictures whose times are not known when they are decoded.

        Raises DeclinedError if they are many.
        """
        times = self.track.table.times
        missing = [index for index, time in enumerate(times) if time == NO_TIME]
        if len(missing) > len(times) // _FEW or any(self._decoded[i] == NO_TIME for i in missing):
            raise DeclinedError("does not say when its pictures are shown")
        for index in missing:
            times[index] = self._decoded[index]

    def _units(self, data: bytes) -> list[bytes]:
        """Return the units of a picture; none of codecs without them."""
        if self._codec is None:
            return []
        found = (
            nal_units.units_with_lengths(data, self._length)
            if self._length
            else nal_units.units_of_stream(data)
        )
        units = list(found)
        for unit in units:
            if nal_units.is_sequence_set(self._codec, unit):
                self._check_set(unit)
        return units

    def _check_set(self, unit: bytes) -> None:
        """Decline a film whose pictures are encoded in another way on the way."""
        if self._sets and unit not in self._sets.values():
            raise DeclinedError("changes its format on the way")
        self._sets[unit] = unit

    def _place(self, units: list[bytes]) -> tuple[int, bool]:
        """Return the place of a picture in the order; -1 if it is unknown."""
        if self._order is None:
            return _NO_ORDER, False
        place = None
        for unit in units:
            if nal_units.is_sequence_set("h264", unit) or nal_units.is_picture_set(unit):
                self._order.add_set(unit)
            elif place is None and nal_units.is_slice("h264", unit):
                place = self._order.place(unit)
        return place or (_NO_ORDER, False)

    def _place_or_none(self, units: list[bytes]) -> tuple[int, bool]:
        """Return the place of a picture, which is not known of a damaged one either."""
        try:
            return self._place(units)
        except (ValueError, IndexError):
            return _NO_ORDER, False

    def _is_lost(self, shown: int, order: int) -> bool:
        """Return whether a picture is shown before the first key frame, and refers beyond it."""
        if self._start is None:
            return False
        time, first = self._start
        if NO_TIME not in (shown, time):
            return shown < time
        return _NO_ORDER not in (order, first) and order < first

    def _read_configuration(self, configuration: bytes) -> None:
        """Take the parameters that are not in the stream itself."""
        units = (
            list(_units_of_record(configuration))
            if self._length
            else list(nal_units.units_of_stream(configuration))
        )
        self._place_or_none(units)


def _units_of_record(record: bytes) -> list[bytes]:
    """Return the parameter sets of an AVCDecoderConfigurationRecord (ISO/IEC 14496-15 §5.3.3.1)."""
    units, position = [], 5
    for mask in (31, 255):
        count = record[position] & mask if position < len(record) else 0
        position += 1
        for _ in range(count):
            length = int.from_bytes(record[position : position + 2], "big")
            units.append(record[position + 2 : position + 2 + length])
            position += 2 + length
    return units
