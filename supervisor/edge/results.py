"""What tasks give back: the JSON file that a task wrote at `$GRIST_RESULT`, on its way into the store.

A small result becomes a row and its file goes once that row is durable; a large one stays a file and the row says
where it is.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from gristmill.supervisor.core import harvest

INLINE_BYTES = 1 << 20
"""Results up to this size are kept in the store itself."""

SPREAD_BYTES = 64 << 20
"""Of a range's list that is kept as a file: up to this size its entries are rows."""

_ESCAPE = re.compile(r"\\(?:ud[89ab]..\\ud[c-f]..|(ud[89a-f]..)|.)")
"""An escape in JSON as Python writes it: of a character by its two halves, of half a character (1), or another."""


class Result(NamedTuple):
    """`row` is JSON for the store; `file` is to be removed when the row is durable, None to keep it."""

    row: bytes
    file: Path | None
    fault: str = ""


def collect(path: Path) -> Result:
    """Reads a task's result; raises FileNotFoundError when it was collected before.

    What is not JSON stays as it is, and `fault` says so in the user's words. What is no file is not read: a pipe would
    hold up the daemon for ever.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        return leave(path, f"its result is no plain file; kept as {path}")
    if status.st_size > INLINE_BYTES:
        return leave(path)
    data = path.read_bytes()
    try:
        msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        return leave(path, f"its result is not JSON ({error}); kept as {path}")
    return Result(data, path)


def inline(text: str) -> Result:
    """What a call returned, JSON in ASCII. Half a character in it, which no reader takes, becomes a question mark."""
    if r"\ud" in text:
        text = _ESCAPE.sub(lambda found: "?" if found[1] else found[0], text)
    return Result(text.encode(), None)


def decoded(row: bytes, count: int) -> Any:
    """What a task of so many items gave back; of a range with one entry an item also where that is kept as a file.

    Of what is nested too deeply to be read here, the text.
    """
    if count > 1 and (left := harvest.reference(row)) is not None and INLINE_BYTES < left.bytes <= SPREAD_BYTES:
        try:
            if stat.S_ISREG(os.stat(left.file).st_mode):
                found = msgspec.json.decode(Path(left.file).read_bytes())
                if isinstance(found, list) and len(found) == count:
                    return found
        except (OSError, msgspec.DecodeError, RecursionError):
            pass  # it was taken away or is no JSON: the reference is all there is to tell
    try:
        return msgspec.json.decode(row)
    except RecursionError:
        return row.decode()


def leave(path: Path, fault: str = "") -> Result:
    """A result that stays the file that it is."""
    return Result(msgspec.json.encode(harvest.Reference(str(path), path.stat().st_size)), None, fault)
