"""One client of the socket: what it is sent, whether it reads, and who it is, as the kernel says."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from asyncio.trsock import TransportSocket
from typing import Any

import msgspec

from gristmill.supervisor.core.sanitise import encodable

log = logging.getLogger(__name__)

UNREAD_LIMIT = 1 << 18
"""Bytes that may wait for a slow reader before updates pass it by."""


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


def refusal(number: Any, why: str, code: int = 2) -> bytes:
    """The line that says no; what can't be written as UTF-8 is shown as escapes."""
    return msgspec.json.encode({"id": number, "ok": False, "error": encodable(why), "code": code}) + b"\n"


def turn_away(client: socket.socket, why: str) -> None:
    """One line for somebody who does not get in, where it can be said without waiting."""
    try:
        client.send(refusal(None, why), socket.MSG_DONTWAIT)
    except OSError as error:
        log.debug("a stranger did not wait for the refusal: %s", error)


def peer(sock: socket.socket | TransportSocket) -> tuple[int, int]:
    """The process and the user at the other end, as the kernel says; 0 for a process that can't be seen from here."""
    found = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, _ = struct.unpack("3i", found)
    return int(pid), int(uid)
