"""A worker's end of the process that makes its calls: what it was given, what it has been told, what it answers.

Standard library only, Python ≥ 3.8.
"""

from __future__ import annotations

import json
import socket
from typing import Any

from .output import Output
from .row import Row


class Hand:
    """The worker's end of one runner, before which stands a row."""

    def __init__(self, pid: int, sock: socket.socket, line: Row, once: bool, nice: int) -> None:
        """`once`: each of its calls has a process of its own."""
        self.pid, self.sock, self.row, self.once, self.nice = pid, sock, line, once, nice
        self.serials: tuple[int, ...] = ()  # of the files that its output goes to
        self.context: dict[str, Any] | None = None  # what it was last told that its calls share
        self.heard = False  # its socket is polled
        self.spent = 0.0  # CPU seconds of the calls that have ended
        self.inbox = b""

    def files(self, outputs: list[Output]) -> tuple[int, ...]:
        """The descriptors of files for its output, where these are others than it has."""
        serials = tuple(output.serial for output in outputs)
        if serials == self.serials:
            return ()
        self.serials = serials
        return tuple(dict.fromkeys((outputs[0].fd, outputs[-1].fd)))

    def read(self) -> list[dict[str, Any]]:
        """Its answers since; none where there is none yet, or will be none: its exit says so."""
        try:
            data = self.sock.recv(1 << 16, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not data:
            self.heard = False  # hung up: how it ended is learned as its parent
        *lines, self.inbox = (self.inbox + data).split(b"\n")
        return [json.loads(line) for line in lines if line]  # an empty one says that the journal has something
