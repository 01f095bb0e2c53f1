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
import stat
import struct
from asyncio.trsock import TransportSocket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from gristmill.supervisor.core.errors import FolderError, GristError, RequestError
from gristmill.supervisor.core.protocol import LINE_LIMIT

log = logging.getLogger(__name__)

BACKLOG = 1024
UNREAD_LIMIT = 1 << 18
"""Bytes that may wait for a slow reader before updates pass it by."""
CONNECTIONS = 4096
"""Connections at most, however many descriptors there are; of those half belong to workers and files."""
ACCEPTS = 64
"""Clients taken in at once, so that a crowd at the door does not keep those inside waiting."""
REST_S = 0.01
"""Seconds until the door is tried again when nobody more could be let in; whoever is in has so long to speak."""
NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
GRACE_S = 0.5
"""Seconds that requests in hand have to end in when the daemon stops."""


class Connection:
    """One client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self._writer = reader, writer
        self.stale = self.asked = self.watches = False

    def worth(self) -> int:
        """How much is lost by hanging up on it while it is silent: 0, 1 or 2."""
        return 2 if self.watches and not self.stale else 1 if self.asked else 0

    @property
    def pid(self) -> int:
        """The process that speaks."""
        return peer(self._writer.get_extra_info("socket"))[0]

    @property
    def has_room(self) -> bool:
        """Whether little enough is unread."""
        return self._writer.transport.get_write_buffer_size() <= UNREAD_LIMIT and not self._writer.is_closing()

    def push(self, line: bytes) -> bool:
        """Sends a line unless too much is unread already."""
        self.watches = True
        if not self.has_room:
            return False
        self._writer.write(line)
        return True

    def answer(self, line: bytes) -> None:
        """Sends an answer, however much is unread."""
        self._writer.write(line)

    async def read(self) -> None:
        """Waits until the client has room for more; others get their turn in any case."""
        await self._writer.drain()
        await asyncio.sleep(0)

    async def close(self) -> None:
        """Hangs up once the client has read what was said; raises OSError when it left before that."""
        self._writer.close()
        await self._writer.wait_closed()

    def drop(self, why: str = "") -> None:
        """Hangs up now, with a last word for who can still hear it."""
        if why and not self._writer.transport.get_write_buffer_size():
            self._writer.write(refusal(None, why))
        self._writer.close()
        if self._writer.transport.get_write_buffer_size():
            self._writer.transport.abort()


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


def refusal(number: Any, why: str, code: int = 2) -> bytes:
    """The line that says no; what can't be written as UTF-8 is shown as escapes."""
    why = why.encode("utf-8", "backslashreplace").decode()
    return msgspec.json.encode({"id": number, "ok": False, "error": why, "code": code}) + b"\n"


def room() -> int:
    """How many connections there may be: half of what may be open, so that workers and files find their part."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return CONNECTIONS if soft == resource.RLIM_INFINITY else max(8, min(CONNECTIONS, soft // 2))


def turn_away(client: socket.socket, why: str) -> None:
    """One line for somebody who does not get in, where it can be said without waiting."""
    try:
        client.send(refusal(None, why), socket.MSG_DONTWAIT)
    except OSError as error:
        log.debug("a stranger did not wait for the refusal: %s", error)


def bind(path: Path) -> socket.socket:
    """A socket at `path`, for its user alone, on which nobody listens yet; raises FolderError with the mend."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        check_place(path)
        os.fchmod(sock.fileno(), 0o600)  # the file gets this mode when it is made: a umask would be every thread's
        sock.bind(os.fspath(path))
    except OSError as error:
        sock.close()
        why = error.strerror or str(error)
        raise FolderError(f"{path}: {why} – name another, shorter folder with --state") from error
    except FolderError:
        sock.close()
        raise
    return sock


def identity(path: Path) -> tuple[int, int] | None:
    """Which file that is, None where there is none to be seen."""
    try:
        status = os.lstat(path)
    except OSError:
        return None  # gone, or its folder is: binding it anew says what is the matter
    return status.st_dev, status.st_ino


def check_place(path: Path) -> None:
    """Clears a stale socket away; raises FolderError where others could put theirs in its place, or have."""
    folder = os.stat(path.parent)
    if folder.st_uid != os.geteuid() or stat.S_IMODE(folder.st_mode) & 0o077:
        raise FolderError(f"{path.parent}: is not yours alone, and the socket would lie in it – chmod 700 as its owner")
    try:
        kind = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise FolderError(f"{path}: is in the way: it is no socket – move it elsewhere")
    path.unlink()


def peer(sock: socket.socket | TransportSocket) -> tuple[int, int]:
    """The process and the user at the other end, as the kernel says; 0 for a process that can't be seen from here."""
    found = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, _ = struct.unpack("3i", found)
    return int(pid), int(uid)
