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
from multiprocessing import process
from pathlib import Path
from typing import Any, NamedTuple

from gristmill.supervisor.edge.parcels import Parcels
from gristmill.supervisor.python import pickles

INLINE_BYTES = 3000
"""Outcomes up to this size go through the record, with the worker's own answer; larger ones are files."""


def run(item: int) -> dict[str, Any]:
    """Runs one call; returns its outcome for the record, or notes it and raises what the call raised."""
    box, broken = place = _enter(f"{os.environ['GRIST_CALLS']}/{os.environ['GRIST_JOB']}")
    try:
        if broken is not None:
            raise broken
        function, args, kwargs = pickles.loads(box.unpack(item))
        value = function(*args, **kwargs)
    except BaseException as error:
        told = _told(item, box, pickles.failure(error)) | {"error": repr(error)[:200]}
        if place.broken is not None:
            told["broken"] = True  # no call can be made here: the executor gives up
        Path(os.environ["GRIST_RESULT"]).write_text(json.dumps(told), encoding="utf-8")
        raise
    return _told(item, box, pickles.success(value))


def chunk(function: Callable[..., Any], calls: Iterable[tuple[Any, ...]]) -> list[Any]:
    """Several calls of `map` in one."""
    return [function(*arguments) for arguments in calls]


class Greeting(NamedTuple):
    """What a process hears before it makes the first call of a job."""

    variables: dict[str, str]
    """The program's own."""
    authkey: bytes
    """What queues and dictionaries of the program's `multiprocessing.Manager` ask for."""
    initializer: Callable[[], object] | None = None


class Place(NamedTuple):
    """Where the calls of a job are; `broken` is why none of them can be made in this process."""

    parcels: Parcels
    broken: BaseException | None = None


@lru_cache(1)
def _enter(folder: str) -> Place:
    """Begins with the calls of another program: its variables are those of this process from now on."""
    box = Parcels(Path(folder))
    try:
        greeting: Greeting = pickles.loads(box.greeting())
        os.environ.update(greeting.variables)
        process.current_process().authkey = greeting.authkey
        if greeting.initializer is not None:
            greeting.initializer()
    except BaseException as error:  # noqa: BLE001 - told by each call that comes here
        return Place(box, error)
    return Place(box)


def _told(item: int, box: Parcels, data: bytes) -> dict[str, Any]:
    if len(data) <= INLINE_BYTES:
        return {"pickle": binascii.b2a_base64(data, newline=False).decode()}
    return {"file": str(box.keep(f"r{item}", data)), "bytes": len(data)}
