"""Runs a command whose output may end early: its reader has gone, or the disk is full."""

import io
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import cast


class _OutputError(Exception):
    """Standard output cannot be written; the cause is an OSError.

    It is none itself: commands and argparse catch those.
    """

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


@contextmanager
def _raising_output_error() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _OutputError(error) from error


class _CommandOutput(io.TextIOWrapper):
    """Standard output that raises _OutputError."""

    def write(self, text: str, /) -> int:
        with _raising_output_error():
            return super().write(text)

    def flush(self) -> None:
        with _raising_output_error():
            super().flush()


def run_command(command: Callable[[Sequence[str]], int], arguments: Sequence[str]) -> int:
    """Return a command's exit status, or that of `output_failed`.

    The command may exit itself, as argparse does.
    """
    plain = cast("io.TextIOWrapper", sys.stdout)
    output = _CommandOutput(
        plain.buffer,
        plain.encoding,
        plain.errors,
        line_buffering=plain.line_buffering,
        write_through=plain.write_through,
    )
    sys.stdout = output
    try:
        try:
            return command(arguments)
        finally:
            output.flush()
    except _OutputError as error:
        return output_failed(error.cause)
    finally:
        output.detach()
        sys.stdout = plain


def output_failed(error: OSError) -> int:
    """Print why standard output cannot be written. Return the exit status.

    If its reader has gone, print nothing: the status is 128 + SIGPIPE, as in a shell.
    """
    # Python flushes the stream again at its exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):
        return 128 + signal.SIGPIPE
    with suppress(OSError):  # it may be as full
        print(f"The output cannot be written: {error.strerror or error}.", file=sys.stderr)
    return 1
