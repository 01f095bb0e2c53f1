"""Files that carry calls to workers, many in one, and large results back.

Owns a folder for each open job, `calls/JOB` in the state folder. A parcel is a file named by its first item, which
holds the bytes of a run of items: an index, then one after another. Files are what dispatch costs: a parcel is made
for as many calls as wait at the moment, and goes when none of them is needed any more. Standard library only: programs
write here and their workers read.
"""

from __future__ import annotations

import os
import shutil
import struct
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path

from gristmill.supervisor.edge.durable import sync_folder

_HEAD = struct.Struct("<8sQ")
_MAGIC = b"gristcal"
GREETING = "greeting"


class GoneError(LookupError):
    """A call's arguments are not there any more: its program has had its answer, or has ended."""


def folder(state: Path, job: int) -> Path:
    """Where the parcels of a job are."""
    return state / "calls" / str(job)


def jobs(state: Path) -> list[int]:
    """The jobs of which there are parcels, or results that are files."""
    try:
        return [int(name) for name in os.listdir(state / "calls") if name.isdigit()]
    except FileNotFoundError:
        return []


def clear(state: Path, job: int) -> None:
    """Removes the parcels of a job that is over, and what its calls shared; results that are files stay."""
    place = folder(state, job)
    for name in os.listdir(place):
        if name.isdigit():
            (place / name).unlink(missing_ok=True)
    (place / GREETING).unlink(missing_ok=True)
    shutil.rmtree(place / "shared", ignore_errors=True)
    try:
        place.rmdir()
    except OSError:
        pass  # results are there


class Parcels:
    """The parcels of one job, in its folder."""

    def __init__(self, place: Path) -> None:
        self._folder = place
        self._fd, self._first = -1, 0
        self._ends: tuple[int, ...] = ()

    def close(self) -> None:
        """Lets go of the parcel that was read last."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd, self._ends = -1, ()

    # ── the program ───────────────────────────────────────────────────────────────────────────────────────────

    def pack(self, first: int, calls: Sequence[bytes], durable: bool) -> Path:
        """Writes items `first`… into a parcel, which may be there already from a try before."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        ends, end = [], 0
        for call in calls:
            end += len(call)
            ends.append(end)
        path = self._folder / f"{first:015d}"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(fd, "wb") as file:
            file.write(_HEAD.pack(_MAGIC, len(calls)) + struct.pack(f"<{len(calls)}Q", *ends))
            file.writelines(calls)
            file.flush()
            if durable:
                os.fsync(fd)
        if durable:
            sync_folder(self._folder)
        return path

    def greet(self, words: bytes) -> None:
        """Writes down what every process that makes calls is told first; it may hold secrets."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(self._folder / GREETING, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(fd, "wb") as file:
            file.write(words)

    # ── the worker ────────────────────────────────────────────────────────────────────────────────────────────

    def unpack(self, item: int) -> bytes:
        """The bytes of an item; raises GoneError."""
        if not self._first <= item < self._first + len(self._ends):
            self._open(item)
        at = item - self._first
        start = self._ends[at - 1] if at else 0
        base = _HEAD.size + 8 * len(self._ends)
        return _read(self._fd, self._ends[at] - start, base + start)

    def _open(self, item: int) -> None:
        self.close()
        gone = f"the arguments of call {item} are gone: its program has had its answer, or has ended"
        try:
            names = sorted(name for name in os.listdir(self._folder) if name.isdigit())
            at = bisect_right(names, f"{item:015d}") - 1
            if at < 0:
                raise GoneError(gone)
            self._fd, self._first = os.open(self._folder / names[at], os.O_RDONLY | os.O_CLOEXEC), int(names[at])
        except OSError as error:
            raise GoneError(f"{gone} ({error})") from error
        magic, count = _HEAD.unpack(_read(self._fd, _HEAD.size, 0))
        if magic != _MAGIC or item >= self._first + count:
            self.close()
            raise GoneError(gone)
        self._ends = struct.unpack(f"<{count}Q", _read(self._fd, 8 * count, _HEAD.size))

    def greeting(self) -> bytes:
        """What a process that makes calls is told first; raises GoneError."""
        try:
            return (self._folder / GREETING).read_bytes()
        except FileNotFoundError as error:
            raise GoneError("the program of this call has ended, and what it had packed is gone") from error

    def keep(self, name: str, data: bytes) -> Path:
        """Writes a large result; the file appears when it is whole."""
        path = self._folder / name
        partial = path.with_suffix(".part")
        partial.write_bytes(data)
        partial.rename(path)
        return path


def _read(fd: int, size: int, at: int) -> bytes:
    """All of these bytes; a read is cut short past 2 GiB."""
    found = os.pread(fd, size, at)
    while len(found) < size:
        more = os.pread(fd, size - len(found), at + len(found))
        if not more:
            raise GoneError(f"a parcel ends at byte {at + len(found)}, too early: was the disk full?")
        found += more
    return found
