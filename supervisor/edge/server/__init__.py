"""The daemon's socket: JSON lines from processes of the same user, nothing else, no network.

Owns the socket's file, connections and their limits; what a request means is `api`'s. A peer of another user is
refused by the credentials that the kernel reports, a line that is too long ends its connection, a reader that does
not read is skipped and never waited for, and when there are too many connections the one silent longest goes.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import resource
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from gristmill.supervisor.core.errors import FolderError, GristError, RequestError
from gristmill.supervisor.core.protocol import LINE_LIMIT
from gristmill.supervisor.edge.server.connection import UNREAD_LIMIT, Connection, peer, refusal, turn_away
from gristmill.supervisor.edge.server.place import bind, identity

__all__ = ["UNREAD_LIMIT", "Connection", "Server"]

log = logging.getLogger(__name__)

BACKLOG = 1024
CONNECTIONS = 4096
"""Connections at most, however many descriptors there are; of those half belong to workers and files."""
ACCEPTS = 64
"""Clients taken in at once, so that a crowd at the door does not keep those inside waiting."""
REST_S = 0.01
"""Seconds until the door is tried again when nobody more could be let in; whoever is in has so long to speak."""
NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
GRACE_S = 0.5
"""Seconds that requests in hand have to end in when the daemon stops."""


Handler = Callable[[Connection, dict[str, Any]], Awaitable[Any]]


class Server:
    """Listens, and answers each request with what `handler` returns or raises."""

    def __init__(self, path: Path, handler: Handler, left: Callable[[Connection], None]) -> None:
        """Binds the socket; a stale one of a daemon that is gone is replaced (the daemon's lock is held already)."""
        self._path, self._handler, self._left = path, handler, left
        self._sock = bind(path)
        self._file = identity(path)
        self._timers: list[asyncio.TimerHandle] = []
        self._clients: dict[asyncio.Task[None], Connection | None] = {}
        self._silent: dict[Connection, None] = {}  # who has no request in hand, the one silent longest first
        self.fault = ""
        """Why nobody can find the socket any more, "" while all is well."""

    async def start(self) -> None:
        """Lets clients in."""
        self._sock.listen(BACKLOG)
        asyncio.get_running_loop().add_reader(self._sock, self._accept)

    def look(self) -> None:
        """Binds anew where the socket's file has vanished or was replaced, as by cleaners of temporary folders: to be
        done now and then."""
        if identity(self._path) == self._file:
            self.fault = ""
            return
        try:
            sock = bind(self._path)
        except FolderError as error:
            if str(error) != self.fault:
                log.warning("nobody can reach this daemon: %s", error)
            self.fault = str(error)
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._sock)
        self._sock.close()
        self._sock, self._file, self.fault = sock, identity(self._path), ""
        sock.listen(BACKLOG)
        loop.add_reader(sock, self._accept)
        log.warning("%s was taken away and is bound anew", self._path)

    def _later(self, seconds: float, what: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        self._timers = [timer for timer in self._timers if timer.when() > loop.time() and not timer.cancelled()]
        self._timers.append(loop.call_later(seconds, what))

    async def stop(self) -> None:
        """Stops listening, lets requests in hand end for a moment, and hangs up on everybody."""
        asyncio.get_running_loop().remove_reader(self._sock)
        for timer in self._timers:
            timer.cancel()
        self._sock.close()
        self._path.unlink(missing_ok=True)
        for connection in list(self._silent):
            connection.drop()
        if self._clients:
            await asyncio.wait(self._clients, timeout=GRACE_S)
        for task, left in list(self._clients.items()):
            if left is not None:
                left.drop()
            task.cancel()
        if self._clients:
            await asyncio.wait(self._clients)

    # ── who comes in ──────────────────────────────────────────────────────────────────────────────────────────

    def _accept(self) -> None:
        for _ in range(ACCEPTS):
            if len(self._clients) >= room() and not self._make_room():
                return self._rest()
            try:
                client, _ = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return None
            except OSError as error:
                if error.errno not in NO_ROOM:
                    raise
                return None if self._make_room() else self._rest()
            client.setblocking(False)
            if peer(client)[1] not in (os.geteuid(), 0):
                with client:
                    turn_away(client, "this daemon answers to its own user alone")
                continue
            task = asyncio.get_running_loop().create_task(self._serve(client), name="client")
            self._clients[task] = None
            task.add_done_callback(self._gone)
        return None

    def _make_room(self) -> bool:
        """Hangs up on the client silent longest: one that never asked, else one that does not watch, else any.

        False where all are busy.
        """
        ranks = (next((one for one in self._silent if one.worth() == rank), None) for rank in range(3))
        oldest = next(filter(None, ranks), None)
        if oldest is None:
            return False
        del self._silent[oldest]
        oldest.drop("hung up: too many connections are open, and this one was silent longest")
        return True

    def _rest(self) -> None:
        """Lets those outside wait a moment: a door that can't be opened must not be tried without end."""
        sock, loop = self._sock, asyncio.get_running_loop()
        loop.remove_reader(sock)
        self._later(REST_S, lambda: loop.add_reader(sock, self._accept) if sock is self._sock else None)

    def _gone(self, task: asyncio.Task[None]) -> None:
        connection = self._clients.pop(task)
        if connection is not None:
            self._silent.pop(connection, None)
            self._left(connection)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a client's line broke by a fault of ours", exc_info=error)

    # ── what is said ──────────────────────────────────────────────────────────────────────────────────────────

    async def _serve(self, client: socket.socket) -> None:
        connection = Connection(*await asyncio.open_unix_connection(sock=client, limit=LINE_LIMIT))
        task = asyncio.current_task()
        assert task is not None
        self._clients[task] = connection
        self._silent[connection] = None
        try:
            while line := await connection.reader.readline():
                self._silent.pop(connection, None)
                connection.asked = True
                connection.answer(await self._respond(connection, line))
                self._silent[connection] = None
                await connection.read()
        except ValueError:
            connection.answer(refusal(None, f"a line has {LINE_LIMIT >> 20} MiB at most – this one had no end"))
        except OSError as error:
            log.debug("a client left: %s", error)
        finally:
            try:
                await connection.close()
            except OSError as error:
                log.debug("a client left without its answer: %s", error)

    async def _respond(self, connection: Connection, line: bytes) -> bytes:
        number: Any = None
        try:
            request = msgspec.json.decode(line)
            if not isinstance(request, dict):
                raise RequestError("a request is a JSON object")
            number = request.get("id")
            data = await self._handler(connection, request)
            return msgspec.json.encode({"id": number, "ok": True, "data": data}) + b"\n"
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            return refusal(number, f"not understood: {error}")
        except RecursionError:
            return refusal(number, "not understood: it is nested too deeply")
        except GristError as error:
            return refusal(number, str(error), error.code)
        except Exception as error:  # caught once, here: a request's fault is not the daemon's end
            log.exception("a request failed")
            return refusal(number, f"the daemon could not do it: {error}")


def room() -> int:
    """How many connections there may be: half of what may be open, so that workers and files find their part."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return CONNECTIONS if soft == resource.RLIM_INFINITY else max(8, min(CONNECTIONS, soft // 2))
