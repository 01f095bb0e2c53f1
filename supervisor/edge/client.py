"""Talking to a daemon from a plain program: connect, ask, listen. Blocking, standard library only, quick to import."""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Iterator
from typing import Any

from gristmill.supervisor.core.errors import GristError, NoDaemonError

NO_ANSWER = "the daemon does not answer – it may be stopped or its disk may be stuck"


class Client:
    """One connection to the daemon of a jobs folder; a context manager."""

    def __init__(self, path: str | os.PathLike[str], timeout: float | None = 30.0) -> None:
        """Connects; raises NoDaemonError when nobody listens."""
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._connect(path, timeout)
        except NoDaemonError:
            self._sock.close()
            raise
        self._file = self._sock.makefile("rb")
        self._number = 0

    def _connect(self, path: str | os.PathLike[str], timeout: float | None) -> None:
        # A blocking connect waits where many wait at the door; one with Python's timeout gives up at once.
        seconds = timeout or 0.0
        limit = struct.pack("ll", int(seconds), int(seconds % 1 * 1e6))
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        try:
            self._sock.connect(os.fspath(path))
        except BlockingIOError as error:
            raise NoDaemonError(NO_ANSWER) from error
        except PermissionError as error:
            raise NoDaemonError(f"{os.fspath(path)}: belongs to another user, and answers to that one alone") from error
        except OSError as error:
            raise NoDaemonError("no daemon runs for this jobs folder – start one: grist up") from error
        self._sock.settimeout(timeout)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._sock.close()

    def hang_up(self) -> None:
        """Ends what another thread is waiting for here: it hears that the daemon went away."""
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the other side was first

    def ask(self, op: str, **arguments: Any) -> Any:
        """The daemon's answer to one request; raises GristError with its words when it refuses."""
        self._number += 1
        request = {"id": self._number, "op": op, **arguments}
        try:
            answer = self._answer(json.dumps(request).encode() + b"\n")
        except TimeoutError as error:
            raise NoDaemonError(NO_ANSWER) from error
        except OSError as error:
            raise NoDaemonError(f"the daemon went away: {error}") from error
        if answer["ok"]:
            return answer["data"]
        refusal = GristError(answer["error"])
        refusal.code = answer.get("code", 2)
        raise refusal

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            self._sock.sendall(line)
        except BrokenPipeError:
            pass  # it hung up while we spoke, and may have said why
        while (line := self._file.readline()).endswith(b"\n"):
            answer: dict[str, Any] = json.loads(line)
            if "ok" in answer and answer["id"] in (self._number, None):
                return answer
        raise NoDaemonError("the daemon hung up – look at its daemon.log, start it again: grist up")

    def updates(self) -> Iterator[dict[str, Any]]:
        """Subscribes, and yields every update until the daemon hangs up."""
        self._sock.settimeout(None)
        try:
            self._sock.sendall(b'{"id": 0, "op": "subscribe"}\n')
            for line in self._file:
                update = json.loads(line) if line.endswith(b"\n") else {}
                if "event" in update:
                    yield update
        except ConnectionError:
            return  # a daemon that was killed hangs up like this
