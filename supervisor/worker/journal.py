"""The journal of one worker: records, and the file that they are appended to.

Owns the writing of the format that `core.journal` reads. The format is the contract between versions.
"""

from __future__ import annotations

import errno
import json
import os
import zlib

from .libc import set_aside

TYPE_CHECKING = False  # as type checkers know it, without the cost of `typing` in each worker
if TYPE_CHECKING:
    from typing import Any

VERSION = 1  # of the journal's records; a reader refuses a newer one
VERSION_EVICTED = 2  # of the exit of an evicted task: who does not know what that is would take it for a failure
JOURNAL_STEP = 1 << 16  # bytes set aside at a time, so that a full disk can't lose an exit record
RECORD_ROOM = 1 << 13  # what a claim and an exit may take at most

_encoder = json.JSONEncoder(separators=(",", ":"))  # made once: a task of a millisecond has two records


def encode(record: dict[str, Any]) -> bytes:
    """A message, and in the journal a record: compact JSON. Odd bytes in names survive as escapes."""
    return _encoder.encode(record).encode()


def claim(key: str, now: float) -> bytes:
    """The record of a claim, as `encode` would make it."""
    return f'{{"c":"{key}","t":{now!r}}}'.encode()


def exit_record(record: dict[str, Any]) -> bytes:
    """The record of an exit, as `encode` would make it; of one that has no more to say than most, and where its log is,
    in a quarter of the time."""
    log = record.get("log")
    if len(record) == 8 + (log is not None) and record["why"] is None and record["signal"] is None:
        text = '{"e":"%s","code":%d,"signal":null,"why":null,"t0":%r,"t":%r,"cpu":%r,"rss":%d'
        text %= record["e"], record["code"], record["t0"], record["t"], record["cpu"], record["rss"]
        return (text + ("}" if log is None else f',"log":{_encoder.encode(log)}}}')).encode()
    return encode(record)


def sealed(body: bytes) -> bytes:
    """A journal line: the checksum of `body`, the body, a newline."""
    return b"%08x %s\n" % (zlib.crc32(body), body)


class FencedError(Exception):
    """Another daemon has taken over this run folder: nothing may be started here any more."""


class Journal:
    """The append-only record of one worker."""

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        self.end = 0  # where our own last record ends; more in the file than that is a fence
        self.reserved = 0
        self.torn = False  # the last write was cut short by a full disk

    def reserve(self) -> None:
        """Sets room aside for a claim and its exit; raises OSError when there is none."""
        if self.end + RECORD_ROOM > self.reserved:
            self.reserved = max(self.reserved, self.end)
            set_aside(self.fd, self.reserved, JOURNAL_STEP, "journal")
            self.reserved += JOURNAL_STEP

    def append(self, *bodies: bytes) -> None:
        """Writes records at once; raises FencedError when somebody else wrote since our last one."""
        line = b"\n" * self.torn + b"".join(map(sealed, bodies))
        written = os.write(self.fd, line)
        self.torn = written != len(line)
        position = os.lseek(self.fd, 0, os.SEEK_CUR)
        fenced = position != self.end + written
        self.end = position
        if self.torn:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "journal")
        if fenced:
            raise FencedError
