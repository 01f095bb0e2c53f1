"""The file that a daemon's governor is recorded in, for `grist replay`: readable by its owner alone, bounded in size.

Once it is open nothing here hurts the daemon: what can't be written is a fault in words, and the record begins anew,
with the governor's state, once it can. The form of the lines is `core.trace`'s.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from pathlib import Path
from typing import Any

from gristmill.supervisor.core import figures, trace
from gristmill.supervisor.core.errors import GristError
from gristmill.supervisor.core.governor.decision import Decision
from gristmill.supervisor.core.governor.reading import Reading
from gristmill.supervisor.core.sanitise import safe

MOST_BYTES = 1 << 30
_TAIL = 1 << 16


class Recorder:
    """One trace file, held by one daemon."""

    def __init__(self, path: Path, most: int = MOST_BYTES) -> None:
        """Opens the file, or goes on with a trace that is there; raises GristError where that can't be done."""
        self._path, self._most = path, most
        self._begun = self._full = False
        self.fault = ""
        """Why nothing is recorded now, "" while all is well."""
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
        except OSError as error:
            raise GristError(f"--record {safe(str(path))}: {error.strerror} – name another file") from error
        try:
            self._size = self._prepare()
        except OSError as error:
            os.close(self._fd)
            held = error.errno in (errno.EAGAIN, errno.EACCES)
            what = "another daemon records there" if held else error.strerror
            raise GristError(f"--record {safe(str(path))}: {what} – name another file") from error

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets the file go."""
        os.close(self._fd)

    def keep(self, state: Any, reading: Reading, decision: Decision) -> None:
        """Writes one period down; `state` is the governor's from before the decision. Never raises for a full disk."""
        if self._full:
            return
        try:
            line = trace.step(reading, decision)
            if not self._begun:
                line = trace.begin(state) + line
        except (TypeError, ValueError) as error:  # a reading or state that has no JSON: the daemon goes on
            self._begun = False
            self.fault = f"record: a reading can't be written down: {error}"
            return
        if self._size + len(line) > self._most:
            self._full = True
            self.fault = f"record: {safe(str(self._path))} holds {figures.size(self._size)}: nothing more is recorded"
            return
        try:
            self._write(line)
        except OSError as error:
            self._begun = False
            self.fault = f"record: {safe(str(self._path))} can't be written: {error.strerror}"
            return
        self._begun = True
        self.fault = ""

    def _write(self, line: bytes) -> None:
        """The whole line, or what is written of it is cut off again, now or before the next."""
        if not self._begun:
            os.ftruncate(self._fd, self._size)
        if os.write(self._fd, line) < len(line):
            raise OSError(errno.ENOSPC, "no room for a whole line")
        self._size += len(line)

    def _prepare(self) -> int:
        """Takes the file for us alone; returns its size without a line that was not finished."""
        status = os.fstat(self._fd)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a plain file")
        if not trace.MARK.startswith(os.pread(self._fd, len(trace.MARK), 0)):
            raise OSError(errno.EINVAL, "holds something else than a trace")
        fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.fchmod(self._fd, 0o600)
        end = os.fstat(self._fd).st_size
        while end:
            begin = max(0, end - _TAIL)
            found = os.pread(self._fd, end - begin, begin).rfind(b"\n")
            if found >= 0:
                end = begin + found + 1
                break
            end = begin
        return end
