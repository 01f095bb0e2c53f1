"""What a worker runs for an item of an executor's job: the call that its program packed.

It runs in the program's own interpreter, with its search path and variables. What a call gives back goes to the program
as a small table: the pickled outcome in base64, or the file that holds it. A call that raises fails its task as well.
"""

from __future__ import annotations

import binascii
import json
import os
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from gristmill.supervisor.edge.parcels import Parcels
from gristmill.supervisor.python import pickles

INLINE_BYTES = 3000
"""Outcomes up to this size go through the record, with the worker's own answer; larger ones are files."""


def run(item: int) -> dict[str, Any]:
    """Runs one call; returns its outcome for the record, or notes it and raises what the call raised."""
    box = _enter(f"{os.environ['GRIST_CALLS']}/{os.environ['GRIST_JOB']}")
    try:
        function, args, kwargs = pickles.loads(box.unpack(item))
        value = function(*args, **kwargs)
    except BaseException as error:
        told = _told(item, box, pickles.failure(error)) | {"error": repr(error)[:200]}
        Path(os.environ["GRIST_RESULT"]).write_text(json.dumps(told), encoding="utf-8")
        raise
    return _told(item, box, pickles.success(value))


def chunk(function: Callable[..., Any], calls: Iterable[tuple[Any, ...]]) -> list[Any]:
    """Several calls of `map` in one."""
    return [function(*arguments) for arguments in calls]


@lru_cache(1)
def _enter(place: str) -> Parcels:
    """Begins with the calls of another program: its variables are those of this process from now on."""
    box = Parcels(Path(place))
    os.environ.update(box.variables())
    return box


def _told(item: int, box: Parcels, data: bytes) -> dict[str, Any]:
    if len(data) <= INLINE_BYTES:
        return {"pickle": binascii.b2a_base64(data, newline=False).decode()}
    return {"file": str(box.keep(f"r{item}", data)), "bytes": len(data)}
