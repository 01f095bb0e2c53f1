"""The test's end of `shim.c`: switches faults of the C library on and off in daemon, spawner and workers.

Owns the shared page that tells the preloaded library what to do. It starts and stops no process.
"""

from __future__ import annotations

import errno
import mmap
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

GROUPS = ("rename", "link", "unlink", "mkdir", "fsync", "write", "create", "open", "grow", "fork", "socket")
"""Kinds of calls, in the order of `enum group`: the first six can be told to kill, all can be told to fail."""
ROOM_IS_NEEDED = ("write", "create", "mkdir", "grow")

_HEAD = struct.Struct("=5q256s256s16q")
_FAULT = struct.Struct("=iiqq232s")
_FAULTS = 8
_SEEN = struct.calcsize("=5q256s256s")
_RECORD = struct.Struct("=256s256sqq")
_RECORD_AT = _HEAD.size + _FAULTS * _FAULT.size


@dataclass(frozen=True)
class Library:
    """The compiled library."""

    path: Path

    @classmethod
    def build(cls, folder: Path) -> Library:
        """Compiles it into `folder`; skips the test that asks where there is no C compiler."""
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if compiler is None:
            pytest.skip("no C compiler: the library that brings faults can't be built")
        target = folder / "shim.so"
        source = Path(__file__).with_name("shim.c")
        command = [compiler, "-shared", "-fPIC", "-O1", "-U_FORTIFY_SOURCE", "-o", str(target), str(source), "-ldl"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return cls(target)


class Shim:
    """Faults for all processes started with `env`, in the role `daemon`, `worker` (spawner too) or `any`."""

    def __init__(self, library: Library, folder: Path, role: str = "any") -> None:
        folder.mkdir()
        self._folder = folder
        path = folder / "control"
        path.write_bytes(bytes(_RECORD_AT + _RECORD.size))
        with path.open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), 0)
        self.env = {"LD_PRELOAD": str(library.path), "GRIST_SHIM_CONTROL": str(path), "GRIST_SHIM_ROLE": role}

    def __enter__(self) -> Shim:
        return self

    def __exit__(self, *_: object) -> None:
        self._page.close()

    def act_in(self, role: str) -> None:
        """Names the role that processes started from now on must have; merge `env` into theirs afterwards."""
        self.env["GRIST_SHIM_ROLE"] = role

    def clear(self) -> None:
        """Takes every fault away; counts begin anew."""
        self._page[:] = bytes(len(self._page))

    # ── deaths ────────────────────────────────────────────────────────────────────────────────────────────────

    def kill_at(self, group: str, number: int, below: Path, after: bool = False) -> None:
        """Has a process kill itself at its `number`-th (from 1) call of `group` below a folder; counting starts now."""
        self.count(below)
        struct.pack_into("=3q", self._page, 16, GROUPS.index(group), number, after)

    def count(self, below: Path) -> None:
        """Counts calls below a folder from now on, and kills nobody."""
        struct.pack_into("=3q256s", self._page, 16, 0, 0, 0, _text(below, 256))
        struct.pack_into("=16q", self._page, _SEEN, *[0] * 16)

    def seen(self, group: str) -> int:
        """How many calls of `group` were made since counting began; with a death, that one is the last of them."""
        return int(struct.unpack_from("=16q", self._page, _SEEN)[GROUPS.index(group)])

    # ── errors ────────────────────────────────────────────────────────────────────────────────────────────────

    def fail(self, code: int, *groups: str, below: Path | None = None, room: int = 0) -> int:
        """Makes calls of these groups (below a folder) fail with `code` until `heal`; returns a number for that.

        With `room`, writes go through until so many bytes have been written.
        """
        at = next(n for n in range(_FAULTS) if self._fault(n)[1] == 0)
        calls = sum(1 << GROUPS.index(group) for group in groups)
        where = _HEAD.size + at * _FAULT.size
        _FAULT.pack_into(self._page, where, calls, 0, room, 0, _text(below, 232))
        struct.pack_into("=i", self._page, where + 4, code)  # last: now it counts
        return at

    def fill(self, below: Path, room: int = 0) -> int:
        """Makes the disk full below a folder, with `room` bytes left."""
        return self.fail(errno.ENOSPC, *ROOM_IS_NEEDED, below=below, room=room)

    def heal(self, fault: int) -> None:
        """Ends what `fail` or `fill` began."""
        struct.pack_into("=i", self._page, _HEAD.size + fault * _FAULT.size + 4, 0)

    def hits(self, fault: int) -> int:
        """How many calls have failed by it."""
        return int(self._fault(fault)[3])

    @contextmanager
    def failing(self, code: int, *groups: str, below: Path | None = None) -> Iterator[None]:
        """As `fail`, for the length of a block."""
        fault = self.fail(code, *groups, below=below)
        yield
        self.heal(fault)

    def _fault(self, at: int) -> tuple[int, int, int, int, bytes]:
        calls, code, room, hits, below = _FAULT.unpack_from(self._page, _HEAD.size + at * _FAULT.size)
        return calls, code, room, hits, below

    # ── what is done to files ─────────────────────────────────────────────────────────────────────────────────

    def record(self, below: Path, log: Path) -> None:
        """Writes down every call that changes something below a folder, in a new file; see `replay.read`."""
        log.touch()
        struct.pack_into("=256sqq", self._page, _RECORD_AT + 256, _text(log, 256), 0, 0)
        struct.pack_into("=256s", self._page, _RECORD_AT, _text(below, 256))  # last: now it records

    def stop_recording(self) -> None:
        """Ends that; what was recorded stays."""
        struct.pack_into("=256s", self._page, _RECORD_AT, b"")

    def recorded(self) -> int:
        """The number of the last call that was recorded, from 1."""
        return int(_RECORD.unpack_from(self._page, _RECORD_AT)[2])

    # ── time and place ────────────────────────────────────────────────────────────────────────────────────────

    def shift_clock(self, seconds: float) -> None:
        """Moves the wall clock from what it truly is; the monotonic one goes on."""
        struct.pack_into("=q", self._page, 0, int(seconds * 1e9))

    def slow_sync(self, milliseconds: int) -> None:
        """Makes every fsync take this much longer."""
        struct.pack_into("=q", self._page, 8, milliseconds)

    def reboot(self, boot_id: str) -> None:
        """Shows another boot id to who starts from now on, as after a restart of the machine."""
        path = self._folder / "boot_id"
        path.write_text(boot_id + "\n", encoding="ascii")
        struct.pack_into("=256s", self._page, 40 + 256, _text(path, 256))


def _text(path: Path | None, size: int) -> bytes:
    data = b"" if path is None else os.fsencode(path)
    assert len(data) < size, f"{path}: too long for the shared page"
    return data
