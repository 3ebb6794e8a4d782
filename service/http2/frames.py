"""What a client sends, cut into the frames of HTTP/2. h2 would do it, but takes a frame of 16 MiB
before it refuses it, and all the frames that it is given in one turn."""

from h2.exceptions import FrameTooLargeError

_PREFACE = len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")  # RFC 9113 §3.4
_HEADER = 9  # bytes: RFC 9113 §4.1
_GOAWAY, _CONTINUATION = 7, 9  # RFC 9113 §6


class Frames:
    """The frames that have come and were not asked for yet."""

    def __init__(self, most: int, most_headers: int) -> None:
        self._most = most  # bytes of a frame, without its header
        self._most_headers = most_headers  # of the frames that headers come in, compressed
        self._headers = 0
        self._data = bytearray()
        self._preface = _PREFACE  # bytes of it that were not asked for yet

    def add(self, data: bytes) -> None:
        """Learn that these bytes have come."""
        self._data += data

    def next(self) -> bytes:
        """Give the next whole frame, before all others as much of the preface as there is; nothing
        where there is none. Raises FrameTooLargeError.
        """
        if self._preface:
            length = min(self._preface, len(self._data))
            self._preface -= length
        elif len(self._data) < _HEADER:
            return b""
        else:
            length = _HEADER + int.from_bytes(self._data[:3], "big")
            if length > _HEADER + self._most:
                raise FrameTooLargeError("A frame is longer than was allowed.")
            if length > len(self._data):
                return b""
            self._headers = length + (self._headers if self._data[3] == _CONTINUATION else 0)
            if self._headers > self._most_headers:
                raise FrameTooLargeError("Headers are longer than was allowed.")
        frame = bytes(self._data[:length])
        del self._data[:length]
        return frame


def leaves_gently(frame: bytes) -> bool:
    """Tell whether this is a GOAWAY with NO_ERROR, by which a client says that it wants no streams
    of ours (RFC 9113 §6.8), which there are none of.
    """
    no_error = frame[13:17] == bytes(4)
    return len(frame) > _HEADER and frame[3] == _GOAWAY and frame[5:9] == bytes(4) and no_error
