"""The line to the daemon: connect, subscribe, keep trying, and ask with ids and deadlines.

Owns the socket. Everything here is awaited in a task of its own, so that the screens never wait for the daemon.
Refuses to know what an update means: it only sees that none is missing.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import msgspec
from textual.message import Message

from gristmill.supervisor.core.errors import NoDaemonError, RequestError
from gristmill.supervisor.core.protocol import LINE_LIMIT, Update
from gristmill.tui.messages import Arrived, LinkLost

SILENCE_S = 10.0
"""A daemon that says nothing for so long is asked anew, on a new connection."""
DEADLINE_S = 8.0
"""Seconds that a connection and an answer may take."""
UPDATE_LIMIT = 256 * LINE_LIMIT
"""Bytes that one line of the daemon's may have: a snapshot names every job, and there may be a hundred thousand."""
RETRIES = (0.25, 0.5, 1.0, 2.0, 3.0)


class _Head(msgspec.Struct):
    """What every line from the daemon may have, to tell answers from updates."""

    id: int | None = None
    ok: bool = False
    data: Any = None
    error: str = ""
    event: str = ""
    seq: int = 0


_HEAD = msgspec.json.Decoder(_Head)
_UPDATE = msgspec.json.Decoder(Update)


class BrokenLineError(Exception):
    """What came can't be followed: it does not decode, or something before it is missing."""


_ENDS = (BrokenLineError, OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError)
"""How a connection ends; anything else is a fault of ours."""


def pause_after(failures: int) -> float:
    """Seconds to wait after so many failed tries in a row."""
    return RETRIES[min(failures, len(RETRIES)) - 1] if failures else 0.0


class Link:
    """One daemon's socket, for as long as the app lives; `tell` gets every message."""

    def __init__(self, path: str, tell: Callable[[Message], object]) -> None:
        self.path = path
        self._tell = tell
        self._heard = 0
        self._writer: asyncio.StreamWriter | None = None
        self._ids = itertools.count(2)
        self._asked: dict[int, asyncio.Future[Any]] = {}

    async def run(self) -> None:
        """Stay connected until cancelled; a connection that had worked is tried again at once."""
        failures = 0
        while True:
            self._heard = 0
            try:
                await self._follow()
            except _ENDS as error:
                failures = failures + 1 if self._heard < 2 else 0
                self._tell(LinkLost(describe(error)))
                await asyncio.sleep(pause_after(failures))
            finally:
                self._hang_up()

    async def _follow(self) -> None:
        """One connection, from the subscription to its end; always ends with an exception."""
        opening = asyncio.open_unix_connection(self.path, limit=UPDATE_LIMIT)
        reader, writer = await asyncio.wait_for(opening, DEADLINE_S)
        self._writer = writer
        writer.write(b'{"id":1,"op":"subscribe"}\n')
        seq: int | None = None
        while True:
            line = await asyncio.wait_for(reader.readuntil(b"\n"), SILENCE_S)
            seq = self._take(line, seq)

    def _take(self, line: bytes, seq: int | None) -> int | None:
        """Hand one line on; the sequence number that stands after it."""
        try:
            head = _HEAD.decode(line)
            if head.id is not None:
                self._answer(head)
                return seq
            if head.error and not head.event:
                raise BrokenLineError(head.error)  # its last word: the daemon hangs up on us
            if head.event != "snapshot" and (seq is None or head.seq != seq + 1):
                raise BrokenLineError(f"update {head.seq} does not follow {seq}")
            update = _UPDATE.decode(line)
        except msgspec.MsgspecError as error:
            raise BrokenLineError(f"the daemon speaks otherwise: {error}") from error
        self._heard += 1
        self._tell(Arrived(update))
        return update.seq

    def _answer(self, head: _Head) -> None:
        asked = self._asked.pop(head.id or 0, None)
        if head.id == 1 and not head.ok:
            raise BrokenLineError(head.error or "the daemon refused to be watched")
        if asked is None or asked.done():
            return
        if head.ok:
            asked.set_result(head.data)
        else:
            asked.set_exception(RequestError(head.error or "refused without a reason"))

    def _hang_up(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        for asked in self._asked.values():
            if not asked.done():
                asked.set_exception(NoDaemonError("the daemon went away before it answered"))
        self._asked.clear()

    async def ask(self, op: str, **fields: Any) -> Any:
        """The data of the answer; raises `RequestError` where it is refused, `NoDaemonError` where none comes."""
        if self._writer is None:
            raise NoDaemonError("no daemon to ask")
        number = next(self._ids)
        asked: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._asked[number] = asked
        self._writer.write(msgspec.json.encode({"id": number, "op": op, **fields}) + b"\n")
        try:
            return await asyncio.wait_for(asked, DEADLINE_S)
        except TimeoutError as error:
            raise NoDaemonError(f"no answer within {DEADLINE_S:.0f} s") from error
        finally:
            self._asked.pop(number, None)


def describe(error: BaseException) -> str:
    """Why there is no daemon, in a few words."""
    match error:
        case FileNotFoundError():
            return "no socket there"
        case ConnectionRefusedError():
            return "nobody listens at the socket"
        case PermissionError():
            return "the socket belongs to another user"
        case TimeoutError():
            return "the daemon does not answer"
        case asyncio.IncompleteReadError() | ConnectionError():
            return "the daemon hung up"
        case OSError():
            return error.strerror or type(error).__name__
    return str(error) or type(error).__name__
