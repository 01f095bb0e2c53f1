"""The daemon's socket: JSON lines from processes of the same user, nothing else, no network.

Owns connections and their limits; what a request means is `api`'s. A peer of another user is refused by the
credentials that the kernel reports, a line that is too long ends its connection, a reader that does not read is
skipped and never waited for.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import stat
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from gristmill.supervisor.core.errors import FolderError, GristError, RequestError
from gristmill.supervisor.core.protocol import LINE_LIMIT

log = logging.getLogger(__name__)

BACKLOG = 1024
UNREAD_LIMIT = 1 << 21
"""Bytes that may wait for a slow reader before updates pass it by."""


class Connection:
    """One client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self._writer = reader, writer
        self.stale = False

    def push(self, line: bytes) -> bool:
        """Sends a line unless too much is unread already."""
        if self._writer.transport.get_write_buffer_size() > UNREAD_LIMIT or self._writer.is_closing():
            return False
        self._writer.write(line)
        return True

    async def answer(self, message: dict[str, Any]) -> None:
        """Sends an answer and waits until the client has room for more."""
        self._writer.write(msgspec.json.encode(message) + b"\n")
        await self._writer.drain()

    def close(self) -> None:
        """Hangs up."""
        self._writer.close()


Handler = Callable[[Connection, dict[str, Any]], Awaitable[Any]]


class Server:
    """Listens, and answers each request with what `handler` returns or raises."""

    def __init__(self, path: Path, handler: Handler, left: Callable[[Connection], None]) -> None:
        self._path, self._handler, self._left = path, handler, left
        self._server: asyncio.Server | None = None
        self._connections: set[Connection] = set()

    async def start(self) -> None:
        """Binds the socket; a stale one of a daemon that is gone is replaced (the daemon's lock is held already)."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        old = os.umask(0o177)
        try:
            if self._path.exists() and stat.S_ISSOCK(os.lstat(self._path).st_mode):
                self._path.unlink()
            sock.bind(os.fspath(self._path))
        except OSError as error:
            sock.close()
            why = error.strerror or str(error)
            raise FolderError(f"{self._path}: {why} – name a shorter folder with --state") from error
        finally:
            os.umask(old)
        self._server = await asyncio.start_unix_server(self._serve, sock=sock, backlog=BACKLOG, limit=LINE_LIMIT)

    async def stop(self) -> None:
        """Stops listening and hangs up on everybody."""
        if self._server is None:
            return
        self._server.close()
        self._path.unlink(missing_ok=True)
        for connection in list(self._connections):
            connection.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if peer_uid(writer) not in (os.geteuid(), 0):
            writer.close()
            return
        connection = Connection(reader, writer)
        self._connections.add(connection)
        try:
            while line := await reader.readline():
                await connection.answer(await self._respond(connection, line))
        except (OSError, ValueError) as error:  # the client left, or its line was too long
            log.debug("a client was dropped: %s", error)
        finally:
            self._connections.discard(connection)
            self._left(connection)
            connection.close()

    async def _respond(self, connection: Connection, line: bytes) -> dict[str, Any]:
        number: Any = None
        try:
            request = msgspec.json.decode(line)
            if not isinstance(request, dict):
                raise RequestError("a request is a JSON object")
            number = request.get("id")
            return {"id": number, "ok": True, "data": await self._handler(connection, request)}
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            return {"id": number, "ok": False, "error": f"not understood: {error}", "code": 2}
        except GristError as error:
            return {"id": number, "ok": False, "error": str(error), "code": error.code}
        except Exception as error:  # caught once, here: a request's fault is not the daemon's end
            log.exception("a request failed")
            return {"id": number, "ok": False, "error": f"the daemon could not do it: {error}", "code": 2}


def peer_uid(writer: asyncio.StreamWriter) -> int:
    """The user at the other end, as the kernel says."""
    sock = writer.get_extra_info("socket")
    size = struct.calcsize("3i")
    _, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return int(uid)
