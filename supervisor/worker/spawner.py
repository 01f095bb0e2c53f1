"""The process that workers are forked from: on request, which comes with the new worker's socket."""

from __future__ import annotations

import array
import gc
import json
import os
import select
import signal
import socket
import sys

from .birth import Birth
from .journal import encode
from .kills import Kills
from .launcher import Launcher
from .leaf import Leaf
from .libc import become_subreaper
from .processes import name_process, send_signal
from .signals import IGNORED, ORDERS, listen_to_signals

TYPE_CHECKING = False  # as type checkers know it, without the cost of `typing` in each worker
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .worker import Worker


def work(
    hire: Callable[[socket.socket, str, int], Worker], sock: socket.socket, run: str, slot: int, group: str = ""
) -> None:
    """The life of a worker process, from the fork on."""
    leaf = Leaf(group) if group else None
    entered = leaf is not None and leaf.enter()
    os.setsid()
    name_process(f"grist-{slot}")
    become_subreaper()
    worker = hire(sock, run, slot)
    if entered:
        worker.leaf = leaf
        if os.access(group + "/memory.events", os.R_OK):
            worker.kills.narrow(group + "/memory.events")
    worker.serve(listen_to_signals())
    os.fsync(worker.journal.fd)


class Spawner:
    """Forks workers on request and reaps them; a packet of the daemon's carries the new worker's socket."""

    def __init__(self, sock: socket.socket, hire: Callable[[socket.socket, str, int], Worker] = Launcher) -> None:
        self.sock, self.hire = sock, hire
        self.guarded: list[list[int]] = []  # processes, by pid and start, that the daemon has stopped itself
        self.wakes = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def serve(self) -> None:
        wake, wake_write = self.wakes
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        poll.register(wake, select.POLLIN)
        while True:
            for fd, _ in poll.poll():
                if fd == wake:
                    os.read(wake, 4096)
                    self.reap()
                elif not self.obey():
                    for pid, start in self.guarded:
                        send_signal(pid, start, signal.SIGCONT)
                    return

    def obey(self) -> bool:
        """Does what a packet asks for; False when the daemon is gone. Its workers find that out by themselves."""
        room = socket.CMSG_SPACE(array.array("i").itemsize)
        try:
            packet, ancillary, _, _ = self.sock.recvmsg(1 << 16, room)
        except OSError:
            packet = b""
        if not packet:
            return False
        order = json.loads(packet)
        if "guard" in order:
            self.guarded = order["guard"]
        elif "find" in order:
            self.find(order["find"])
        else:
            self.fork(order, ancillary)
        return True

    def find(self, question: dict[str, Any]) -> None:
        """Commands need no function; one for calls answers."""

    def fork(self, order: dict[str, Any], ancillary: list[Any]) -> None:
        Kills.prepare()
        sock = socket.socket(fileno=array.array("i", ancillary[0][2])[0])
        os.set_inheritable(sock.fileno(), False)
        try:
            pid = os.fork()
        except OSError as error:
            sock.close()
            self.sock.send(encode({"failed": order["run"], "errno": error.errno, "text": str(error)}))
            return
        if pid == 0:
            status = 1
            try:
                self.sock.close()
                signal.set_wakeup_fd(-1)
                for fd in self.wakes:
                    os.close(fd)
                work(self.hire, sock, order["run"], order["slot"], order.get("group", ""))
                status = 0
            finally:
                if status and os.path.isdir(order["run"]):  # if not, a later daemon has removed it: nothing is lost
                    sys.excepthook(*sys.exc_info())
                os._exit(status)
        sock.close()

    def reap(self) -> None:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass  # its socket has told the daemon
        except ChildProcessError:
            pass


def settle() -> None:
    """Makes a process fit to be what workers are forked from."""
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    for order in (signal.SIGCHLD, *ORDERS):  # here, for a worker's own doing is paid for in pages that it copies
        signal.signal(order, lambda *_: None)
    os.chdir("/")
    Launcher.birth = Birth()
    gc.collect()
    gc.freeze()  # keeps the collector from touching, and so copying, pages that all workers share
    gc.set_threshold(100_000)  # next to nothing here is in cycles, and each collection is time that a task waits
