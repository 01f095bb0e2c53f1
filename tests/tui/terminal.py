"""A terminal of our own: runs the screens on a pty and reads every byte that they send, as fast as a line lets it.

`rate` is the line's bytes a second and `trip` its round trip in seconds: what the program writes is taken at once, as
the buffers of a network do, and seen later. The terminal answers where its cursor is (`CSI 6n`) when it has seen that.
"""

from __future__ import annotations

import asyncio
import math
import os
import pty
import sys
import termios
import time
from collections.abc import Callable
from types import TracebackType

from tests.waiting import DEADLINE

PROGRAM = "import sys; from gristmill.tui.app import run; sys.exit(run(*sys.argv[1:3], **eval(sys.argv[3])))"
QUESTION, ANSWER = b"\x1b[6n", b"\x1b[7;9R"


class Terminal:
    """One run of the screens in it; an async context manager."""

    def __init__(
        self, socket: str, width: int = 120, height: int = 40, *, rate: float = math.inf, trip: float = 0.0,
        answers: bool = True, options: str = "{}", **environment: str,
    ) -> None:
        self.rate, self.trip, self.answers = rate, trip, answers
        self._words = (sys.executable, "-c", PROGRAM, socket, "/home/me/jobs", options)
        self._size = (height, width)
        self._environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(width), "LINES": str(height)}
        self._environment.update(environment)
        self.seen = bytearray()
        """All that has arrived."""
        self.sent = 0
        """Bytes that the program wrote; what is not seen yet is on the line."""
        self._line: list[tuple[float, bytes]] = []
        self._free_at = 0.0
        self._asked_to = 0
        self._news = asyncio.Event()

    async def __aenter__(self) -> Terminal:
        self._master, slave = pty.openpty()
        os.set_blocking(self._master, False)
        termios.tcsetwinsize(slave, self._size)
        self.process = await asyncio.create_subprocess_exec(
            *self._words, stdin=slave, stdout=slave, stderr=slave, env=self._environment, start_new_session=True
        )
        os.close(slave)
        asyncio.get_running_loop().add_reader(self._master, self._read)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:  # fmt: skip
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        asyncio.get_running_loop().remove_reader(self._master)
        os.close(self._master)

    def _read(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            data = os.read(self._master, 65536)
        except OSError:  # EIO: the program has left its terminal
            loop.remove_reader(self._master)
            return
        self.sent += len(data)
        for at in range(0, len(data), 256):  # a line carries packets, not screens
            piece = data[at : at + 256]
            now = time.monotonic()
            self._free_at = max(now, self._free_at) + len(piece) / self.rate
            delay = self._free_at + self.trip / 2 - now
            if delay <= 0:
                self._arrive(piece)
            else:
                loop.call_later(delay, self._arrive, piece)

    def _arrive(self, piece: bytes) -> None:
        self.seen += piece
        while self.answers and (asked := self.seen.find(QUESTION, self._asked_to)) >= 0:
            self._asked_to = asked + len(QUESTION)
            self.type(ANSWER)
        self._news.set()

    def type(self, keys: bytes) -> None:
        """Send keys; they are there after half a round trip."""
        asyncio.get_running_loop().call_later(self.trip / 2, self._write, keys)

    def _write(self, keys: bytes) -> None:
        try:
            os.write(self._master, keys)
        except OSError:
            pass  # the program has gone

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait until this holds; looks again whenever something has arrived."""
        end = time.monotonic() + DEADLINE
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"never came true: {what}\n{bytes(self.seen[-3000:])!r}")
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), 0.2)
            except TimeoutError:
                pass

    async def sees(self, text: str, since: int = 0) -> float:
        """Wait until this text has arrived, from a byte on; how long that took in seconds."""
        began = time.monotonic()
        await self.until(lambda: self.seen.find(text.encode(), since) >= 0, f"sees {text!r}")
        return time.monotonic() - began

    async def goes(self, keys: bytes, text: str) -> None:
        """Send keys, and wait until this text has arrived after them."""
        since = len(self.seen)
        self.type(keys)
        await self.sees(text, since)
        if keys.endswith(b"\x1b"):
            await asyncio.sleep(0.4)  # an escape with a key right behind it would be one key

    async def leave(self) -> int:
        """Press `q`; the exit code."""
        self.type(b"q")
        return await asyncio.wait_for(self.process.wait(), DEADLINE)
