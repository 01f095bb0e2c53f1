"""Talking to a daemon from a plain program: connect, ask, listen. Blocking, standard library only, quick to import."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from typing import Any

from gristmill.supervisor.core.errors import GristError, NoDaemonError


class Client:
    """One connection to the daemon of a jobs folder; a context manager."""

    def __init__(self, path: str | os.PathLike[str], timeout: float | None = 30.0) -> None:
        """Connects; raises NoDaemonError when nobody listens."""
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._sock.settimeout(timeout)
        try:
            self._sock.connect(os.fspath(path))
        except OSError as error:
            self._sock.close()
            raise NoDaemonError("no daemon runs for this jobs folder – start one: grist up") from error
        self._file = self._sock.makefile("rb")
        self._number = 0

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._sock.close()

    def ask(self, op: str, **arguments: Any) -> Any:
        """The daemon's answer to one request; raises GristError with its words when it refuses."""
        self._number += 1
        request = {"id": self._number, "op": op, **arguments}
        try:
            self._sock.sendall(json.dumps(request).encode() + b"\n")
            while True:
                line = self._file.readline()
                if not line:
                    raise NoDaemonError("the daemon hung up – look at its daemon.log, start it again: grist up")
                answer = json.loads(line)
                if answer.get("id") == self._number:
                    break
        except TimeoutError as error:
            raise NoDaemonError("the daemon does not answer – it may be stopped or its disk may be stuck") from error
        except OSError as error:
            raise NoDaemonError(f"the daemon went away: {error}") from error
        if answer["ok"]:
            return answer["data"]
        refusal = GristError(answer["error"])
        refusal.code = answer.get("code", 2)
        raise refusal

    def updates(self) -> Iterator[dict[str, Any]]:
        """Subscribes, and yields every update until the daemon hangs up."""
        self._sock.settimeout(None)
        try:
            self._sock.sendall(b'{"id": 0, "op": "subscribe"}\n')
            for line in self._file:
                update = json.loads(line)
                if "event" in update:
                    yield update
        except ConnectionError:
            return  # a daemon that was killed hangs up like this
