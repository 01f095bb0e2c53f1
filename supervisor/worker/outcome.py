"""What came of a call, in a form that travels: its value as JSON, its last words, its exit code; and where it prints.

Used in the process in which a call was made; what is done there after a fork is paid for in copied pages, so that the
commonest values are written without an encoder. Standard library only, Python ≥ 3.8.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Any

INLINE = 1 << 12  # bytes of JSON that a returned value may have to travel with the answer; a longer one is a file
REASON_MOST = 300  # characters of an exception that are shown as a task's reason
_OURS = os.path.dirname(__file__) + "/"


class UnfitError(Exception):
    """What a call returned can't be kept."""


def encode_value(value: Any) -> str:
    """What a call returned, as JSON; NaN and infinities, for which that has no word, become null. Raises UnfitError."""
    try:
        if type(value) in (float, int):  # by fewer pages than the encoder is made of, which a fresh process has to copy
            return repr(value) if value - value == 0 else "null"
        try:
            return encode(value)
        except ValueError:
            return encode(without_nan(value))
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise UnfitError(f"what it returned is not JSON: {error}") from error


def unpack(value: Any) -> Any:
    """Numbers and arrays of numpy, and whatever else makes a list of itself as they do."""
    if hasattr(value, "tolist") and not isinstance(value, type):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} in it has no place there")


quote = json.encoder.encode_basestring_ascii
"""A text as JSON."""
encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=unpack).encode
"""Anything that is JSON, or becomes it; raises ValueError for NaN."""


def without_nan(value: Any) -> Any:
    """`value` with None for every number that is none."""
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {key: without_nan(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(each) for each in value]
    if hasattr(value, "tolist") and not isinstance(value, type):
        return without_nan(value.tolist())
    return value


def last_words(error: BaseException) -> str:
    """An exception in one line, as it stands below its traceback."""
    lines = "".join(traceback.format_exception_only(type(error), error)).strip().split("\n")
    return lines[-1 if isinstance(error, SyntaxError) else 0][:REASON_MOST]


def show(error: BaseException) -> None:
    """Prints the traceback as Python would, without our own frames."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_OURS):
        trace = trace.tb_next
    error.__traceback__ = trace
    try:
        sys.excepthook(type(error), error, trace)
    except Exception as second:  # noqa: BLE001 - a hook of the user's own, or a full disk: the reason is told all the same
        os.write(2, f"{last_words(error)}\n(its traceback can't be printed: {last_words(second)})\n".encode())


def exit_code(leave: SystemExit) -> int:
    """What Python makes of `sys.exit(…)`: a number is the code, nothing is 0, all else is printed and 1."""
    if leave.code is None:
        return 0
    if isinstance(leave.code, int):
        return leave.code & 0xFF
    print(leave.code, file=sys.stderr)
    return 1


def flush() -> None:
    """Writes out what the call has printed; raises OSError when that can't be."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not stream.closed:
            stream.flush()


def point_output(out: int, err: int) -> None:
    """Has standard output and standard error go to these files."""
    os.dup2(out, 1)
    os.dup2(err, 2)
