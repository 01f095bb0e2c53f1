"""One connection of the daemon's, on a real socket: what waits for a slow reader is bounded."""

from __future__ import annotations

import asyncio
import socket

from gristmill.supervisor.edge.server import UNREAD_LIMIT, Connection
from tests.waiting import DEADLINE

LINE = b"x" * 50_000 + b"\n"


async def test_updates_pass_a_slow_reader_by_and_reach_it_again_when_it_has_read() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        connection = Connection(*await asyncio.open_unix_connection(sock=ours))
        taken = sum(connection.push(LINE) for _ in range(1000))
        assert taken * len(LINE) < UNREAD_LIMIT + (2 << 20)
        assert not connection.push(LINE)
        theirs.setblocking(False)
        loop, read = asyncio.get_running_loop(), 0
        while read < taken * len(LINE):
            read += len(await loop.sock_recv(theirs, 1 << 20))
        assert connection.push(LINE)
        await connection.close()


async def test_hanging_up_waits_for_nobody_who_does_not_read() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        connection = Connection(*await asyncio.open_unix_connection(sock=ours))
        while connection.push(LINE):
            pass
        connection.drop("too many")
        async with asyncio.timeout(DEADLINE):
            await connection.close()
