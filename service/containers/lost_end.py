"""Finds out that the end of a file is missing, or not yet there."""

from typing import BinaryIO, Final

_RIFF_FORMS: Final = frozenset({b"AVI ", b"WAVE"})
_RIFF_HEADER: Final = 12
_UNKNOWN_SIZE: Final = 0x7FFF0000
"""Larger sizes are those of programs that write into a pipe, or of files above 2 GiB."""

_COMPLETE_SHARE: Final = 0.99
"""The share of a claimed size from which a file is complete: some programs count a header twice."""

_TAIL: Final = 1 << 16
_PIECE: Final = 1 << 12


def is_riff_cut(file: BinaryIO, size: int) -> bool:
    """Return whether a WAV or AVI of `size` bytes should be longer by its first chunk.

    An AVI above 1 GiB has several (OpenDML); the first one is in the file if most of it is. Raises
    what `file` raises. The file's position is undefined afterwards.
    """
    file.seek(0)
    header = file.read(_RIFF_HEADER)
    claimed = int.from_bytes(header[4:8], "little")
    is_known = header[:4] == b"RIFF" and header[8:] in _RIFF_FORMS and claimed < _UNKNOWN_SIZE
    return is_known and size < (claimed + 8) * _COMPLETE_SHARE


def written_size(file: BinaryIO, size: int) -> int:
    """Return where the zeros begin that a file of `size` bytes ends with; `size` if there are few.

    Programs that download or copy reserve the room first, so what they have not written is zeros.
    Raises what `file` raises. The file's position is undefined afterwards.
    """
    if size < 2 * _TAIL or not _is_zero(file, size - _TAIL, _TAIL):
        return size
    first, last = 0, (size - _TAIL) // _PIECE  # numbers of pieces: not zero, and zero
    while last - first > 1:
        middle = (first + last) // 2
        if _is_zero(file, middle * _PIECE, _PIECE):
            last = middle
        else:
            first = middle
    return last * _PIECE


def _is_zero(file: BinaryIO, position: int, length: int) -> bool:
    file.seek(position)
    return not any(file.read(length))
