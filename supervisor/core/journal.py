"""What a worker's journal says: the fate of every task that was sent to it.

Owns the reading of the format that `worker/journal.py` writes. The format is the contract between versions: a record
is a line `CRC32 JSON`; `{"v": VERSION}` comes first; `{"c": key}` is a claim, `{"s": key, "pid": …}` the start of a
task that lives a while (with `shown` where its users see another pid), `{"r": pid, "k": start}` the process in which
calls are made from now on, `{"e": key, …}` an exit, `{"n": key, …}` a start that the machine refused, `{"p": key,
"stopped": …}` how many seconds a task was stopped by now, `{"fence": …}` the mark of a later daemon. A torn line is no
record. Fields may be added; a change of meaning is a new version, which stands in the record that has it: the exit of
an evicted task has 2, so that no older reader takes it for a failure, and all others are still read by it.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from gristmill.supervisor.core.errors import FolderError
from gristmill.supervisor.core.sanitise import encodable

VERSION = 2


class Key(NamedTuple):
    """An attempt, named for the worker: `JOB.NUMBER.ATTEMPT`."""

    job: int
    number: int
    attempt: int

    @classmethod
    def parse(cls, text: str) -> Key:
        job, number, attempt = text.split(".")
        return cls(int(job), int(number), int(attempt))

    def __str__(self) -> str:
        return f"{self.job}.{self.number}.{self.attempt}"


class Start(NamedTuple):
    """When a claim was made, and what was started for it: its pid and its start in ticks since the boot, which names
    it together with the pid. None for the first few milliseconds. `stopped_s` since then it was stopped. `shown` is the
    pid for those who look, where that is another: of a call, below the process that forks them."""

    at: float
    pid: int | None = None
    ticks: int | None = None
    stopped_s: float = 0.0
    shown: int | None = None


class Exit(msgspec.Struct, frozen=True):
    """How an attempt ended. `exit_code` and `signal` exclude each other; `why` says who asked for the end; `oom` that
    the kernel killed it for lack of memory. For `stopped_s` of its time it was stopped."""

    exit_code: int | None
    signal: int | None
    why: str | None
    started_at: float
    ended_at: float
    cpu_s: float
    memory_bytes: int
    log: str | None
    result: str | None
    text: str
    oom: bool = False
    stopped_s: float = 0.0
    value: str | None = None
    """What a call returned, as JSON."""
    raised: str = ""
    """The exception that a call ended by, in one line."""


@dataclass(frozen=True, slots=True)
class Fates:
    """What became of the keys in a journal, by its last word on each; a key in none of these was never claimed.

    `stops` says that its worker knows how to stop a task and to evict it.
    """

    running: dict[Key, Start]
    ended: dict[Key, Exit]
    refused: dict[Key, str]
    stops: bool = False


def read_exit(record: dict[str, Any]) -> Exit:
    """The exit in a worker's message or record."""
    return Exit(
        exit_code=record["code"],
        signal=record["signal"],
        why=record["why"],
        started_at=record["t0"],
        ended_at=record["t"],
        cpu_s=record["cpu"],
        memory_bytes=record["rss"],
        log=record.get("log"),
        result=record.get("result"),
        text=encodable(record.get("text", "")),
        oom=record.get("oom", False),
        stopped_s=record.get("stopped", 0.0),
        value=record.get("value"),
        raised=encodable(record.get("raised", "")),  # whatever the user's exception says
    )


def seal(record: dict[str, Any]) -> bytes:
    """The line for `record`, behind a newline of its own, so that a torn line before it stays alone."""
    body = json.dumps(record, separators=(",", ":")).encode()
    return b"\n%08x %s\n" % (zlib.crc32(body), body)


def _records(data: bytes, keys: Collection[Key] | None) -> Iterator[dict[str, Any]]:
    """All records, but for those that are plainly of other tasks than `keys`: of thousands a few are asked for."""
    wanted = None if keys is None else {str(key).encode() for key in keys}  # `12345678 {"e":"KEY",…`: from byte 15 on
    for line in data.split(b"\n"):
        if wanted is not None and line[12:15] == b'":"' and line[15 : line.find(b'"', 15)] not in wanted:
            continue
        crc, _, body = line.partition(b" ")
        if body and crc == b"%08x" % zlib.crc32(body):
            yield json.loads(body)


def read(data: bytes, keys: Collection[Key] | None = None) -> Fates:
    """The fates of `keys` in a journal's bytes, None for all; claims after a fence are void, for the worker started
    nothing for them."""
    running: dict[Key, Start] = {}
    ended: dict[Key, Exit] = {}
    refused: dict[Key, str] = {}
    fenced = stops = False
    runner: tuple[int | None, int | None] = (None, None)
    for record in _records(data, keys):
        if record.get("v", VERSION) > VERSION:
            raise FolderError("a run folder was written by a newer Gristmill – install that version again")
        stops = stops or record.get("stops", False)
        if "fence" in record:
            fenced = True
        elif "c" in record:
            if not fenced:
                key = Key.parse(record["c"])
                running[key] = Start(record["t"], *runner)
                ended.pop(key, None)  # evicted, or run again by its user: the same attempt once more
                refused.pop(key, None)
        elif "r" in record:
            runner = record["r"], record["k"]
            running = {key: start._replace(pid=runner[0], ticks=runner[1]) for key, start in running.items()}
        elif "s" in record:
            key = Key.parse(record["s"])
            if key in running:
                running[key] = Start(record["t"], record["pid"], record.get("k"), shown=record.get("shown"))
        elif "p" in record:
            key = Key.parse(record["p"])
            if key in running:
                running[key] = running[key]._replace(stopped_s=record["stopped"])
        elif "e" in record:
            key = Key.parse(record["e"])
            running.pop(key, None)
            ended[key] = read_exit(record)
        elif "n" in record:
            key = Key.parse(record["n"])
            running.pop(key, None)
            refused[key] = record["text"]
    return Fates(running, ended, refused, stops)
