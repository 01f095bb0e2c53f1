"""What a process that makes one call after another writes into the journal by itself: claims, and plain exits.

An exit is plain where no more is to be said of a call than what it returned; of all others the worker is told (see
`runner`). Standard library only, Python ≥ 3.8.
"""

from __future__ import annotations

import os
import socket
import time
from typing import Any

from . import outcome, row
from .journal import claim

BRIEF = 0.05  # seconds; a longer call has been told of, and what was done to it meanwhile its worker knows


class Record:
    """What a runner that is used again writes down by itself."""

    def __init__(self, journal: row.Journal, sock: socket.socket, run: str, base: int, worker: int) -> None:
        """`sock` is the row; `base` are the bytes of memory that are no call's own; `worker` is the worker's pid."""
        self.journal, self.sock, self.base, self.worker = journal, sock, base, worker
        self.traces = (run + "/result", run + "/progress")  # files that say that there is more to tell
        self.files: list[int] = []  # what the output of calls goes to, whatever a call makes of its standard files
        self.key = ""  # the call in hand
        self.began = self.born = 0.0
        self.exit: list[bytes] = []  # of the call before, which is not written yet
        self.answer: dict[str, Any] = {}  # the same as it is answered where it can't be written

    def give(self, files: list[int]) -> None:
        """Output goes there from now on."""
        for fd in self.files:
            os.close(fd)
        self.files = files
        outcome.point_output(files[0], files[-1])

    def claim(self, key: str) -> None:
        """Writes down that a call begins, and how the last one ended."""
        self.journal.reserve()
        self.key, self.began, self.born = key, time.time(), time.monotonic()
        self.journal.append(*self.exit, claim(key, self.began))
        self.exit = []

    def settle(self) -> None:
        """Writes down how the last call ended, if that is not written yet."""
        if self.exit:
            bodies, self.exit = self.exit, []
            self.journal.append(*bodies)

    def close(self, answer: dict[str, Any]) -> bool:
        """Makes the record of an exit; False where there is more to be said of the call than that."""
        took = time.monotonic() - self.born
        if answer["code"] or answer["left"] or answer["last"] or took > BRIEF or any(map(os.path.lexists, self.traces)):
            return False
        if any(os.fstat(fd).st_size for fd in self.files):
            return False
        now = time.time()
        value = "" if "value" not in answer else ',"value":' + outcome.quote(answer["value"])
        rss = max(0, answer["rss"] - self.base)
        self.exit = [(f'{{"e":"{self.key}","code":0,"signal":null,"why":null,"t0":{now - took!r},"t":{now!r},'
                      f'"cpu":{answer["cpu"]!r},"rss":{rss}{value}}}').encode()]
        self.answer = answer
        return True
