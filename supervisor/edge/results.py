"""What tasks give back: the JSON file that a task wrote at `$GRIST_RESULT`, on its way into the store.

A small result becomes a row and its file goes once that row is durable; a large one stays a file and the row says
where it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import msgspec

INLINE_BYTES = 1 << 20
"""Results up to this size are kept in the store itself."""


class Result(NamedTuple):
    """`row` is JSON for the store; `file` is to be removed when the row is durable, None to keep it."""

    row: bytes
    file: Path | None
    fault: str = ""


def collect(path: Path) -> Result:
    """Reads a task's result; raises FileNotFoundError when it was collected before.

    What is not JSON stays a file, and `fault` says so in the user's words.
    """
    size = path.stat().st_size
    if size > INLINE_BYTES:
        return leave(path)
    data = path.read_bytes()
    try:
        msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        return leave(path, f"its result is not JSON ({error}); kept as {path}")
    return Result(data, path)


def inline(text: str) -> Result:
    """What a call returned, JSON."""
    return Result(text.encode(), None)


def leave(path: Path, fault: str = "") -> Result:
    """A result that stays the file that it is."""
    return Result(msgspec.json.encode({"file": str(path), "bytes": path.stat().st_size}), None, fault)
