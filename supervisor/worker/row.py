"""The row of calls that stand before a runner which is used again, and the journal that it shares with its worker.

A worker and its runner that spoke of each call would cost more than the call. So orders lie in a socket whose *reading*
end both have: the runner takes the next one from it, the worker takes back what is not to run, and the kernel gives
each order to one of them alone. What was taken is written down by the runner, the exit of a call and the claim
of the next, and the worker reads in the journal what became of its orders. Standard library only, Python ≥ 3.8.
"""

from __future__ import annotations

import array
import collections
import errno
import os
import socket
from collections.abc import Iterator
from typing import Any

from . import journal

ROOM = socket.CMSG_SPACE(2 * array.array("i").itemsize)
"""Bytes for two descriptors beside a message."""
MOST = 1 << 16
"""Bytes of a message in the row."""
ORDER = b'{"do":"'
"""How an order begins; its key follows."""
SHARED = b'{"shared":'
"""How words begin that are no order."""


class Journal(journal.Journal):
    """A journal with two writers, each of whom has it open for himself: what the other wrote since is no fence."""

    def __init__(self, path: str, end: int = 0) -> None:
        """`end` is where what is known of it ends: a fence may come right after."""
        self.fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        self.end = self.reserved = end
        self.torn = True  # always begins a line of its own, for the other may have left a torn one

    def append(self, *bodies: bytes) -> None:
        line = b"\n" + b"".join(map(journal.sealed, bodies))
        written = os.write(self.fd, line)
        position = os.lseek(self.fd, 0, os.SEEK_CUR)
        before, start = self.end, position - written
        self.end = position
        if written != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "journal")
        if start != before and not all(map(is_ours, os.pread(self.fd, start - before, before).split(b"\n"))):
            raise journal.FencedError


def is_ours(line: bytes) -> bool:
    """Whether a line of a journal is of a worker or its runner: whole, and no fence."""
    return not line or (journal.sealed(line[9:]) == line + b"\n" and not line.startswith(b'{"fence"', 9))


def order_key(line: bytes) -> str:
    """The key of an order."""
    return line[len(ORDER) : line.index(b'"', len(ORDER))].decode()


def send(sock: socket.socket, data: bytes, fds: tuple[int, ...] = ()) -> int:
    """Sends bytes, and copies of descriptors beside them; returns how many bytes went."""
    return sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])


def receive(sock: socket.socket, flags: int = 0) -> tuple[bytes, list[int]]:
    """Bytes, and the descriptors that came beside them; none of either where the other side has hung up."""
    try:
        data, ancillary, _, _ = sock.recvmsg(MOST, ROOM, socket.MSG_CMSG_CLOEXEC | flags)
    except ConnectionError:
        return b"", []
    return data, [fd for _, _, raw in ancillary for fd in array.array("i", raw)]


class Row:
    """The worker's side of it. `sent` are the orders without an end, oldest first, the one in hand among them."""

    def __init__(self, journal: str, at: int) -> None:
        """`at` is where in the journal what comes now will be written."""
        self.ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.ours.setblocking(False)
        self.sent: collections.deque[dict[str, Any]] = collections.deque()
        self.at = at
        self._file = os.open(journal, os.O_RDONLY | os.O_CLOEXEC)

    def tell(self, words: dict[str, Any], fds: tuple[int, ...]) -> None:
        """Says what the orders behind it share, its `shared` variables first, and gives the files for their output
        where `fds` has some."""
        send(self.ours, journal.encode(words), fds)

    def put(self, message: dict[str, Any]) -> bool:
        """Puts an order into the row; False where that is full."""
        line = message["line"]
        try:
            if len(line) <= MOST:
                self.ours.send(line)
            else:
                with open(os.memfd_create("order", os.MFD_CLOEXEC), "w+b") as file:
                    file.write(line)
                    file.flush()
                    send(self.ours, journal.encode({"do": message["do"]}), (file.fileno(),))
        except BlockingIOError:
            return False
        self.sent.append(message)
        return True

    def take_back(self) -> tuple[list[dict[str, Any]], bool]:
        """The orders that the runner has not taken, which it won't see any more, and whether it has heard all else.

        It may take one in the middle of this.
        """
        keys, heard = set(), True
        while True:
            try:
                data = self.theirs.recv(256, socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            if data.startswith(ORDER):
                keys.add(order_key(data))
            else:
                heard = False
        back = [message for message in self.sent if message["do"] in keys]
        left = [message for message in self.sent if message["do"] not in keys]
        self.sent.clear()
        self.sent.extend(left)
        return back, heard

    def read(self) -> Iterator[tuple[bytes, str, bytes]]:
        """What was written into the journal since it was last read: kind, key and body of each record that has a key,
        and (b"f", "", b"") for a fence."""
        while data := os.pread(self._file, 1 << 20, self.at):
            whole = data.rfind(b"\n") + 1  # the last line may be being written
            if not whole:
                return
            self.at += whole
            for line in data[:whole].split(b"\n"):
                if line.startswith(b'{"fence"', 9):
                    yield b"f", "", b""
                elif line[12:15] == b'":"':
                    yield line[11:12], line[15 : line.index(b'"', 15)].decode(), line[9:]

    def leave(self) -> None:
        """The runner's side has no use for the worker's."""
        self.ours.close()
        os.close(self._file)

    def close(self) -> None:
        self.ours.close()
        self.theirs.close()
        os.close(self._file)
