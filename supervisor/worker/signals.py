"""The signals that workers heed, and how they hear of them."""

from __future__ import annotations

import ctypes
import os
import signal

from .libc import ROOM, libc

TYPE_CHECKING = False  # as type checkers know it, without the cost of `typing` in each worker
if TYPE_CHECKING:
    from collections.abc import Iterable

IGNORED = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGPIPE, signal.SIGXFSZ)
"""What workers ignore, and tasks get back at its default; what we handle goes back by itself."""
ORDERS: dict[int, str] = {
    signal.SIGUSR1: "cancel", signal.SIGURG: "stop", signal.SIGCONT: "go", signal.SIGWINCH: "evict",
}
"""What an orphaned worker hears from the next daemon, which has no socket to it. But for the first they are signals
that a worker which does not know them ignores."""
SIGNAL_BYTES = 128  # of a signalfd_siginfo, which begins with the signal's number


def listen_to_signals() -> int:
    """Has the signals that a worker knows wait for it in a file rather than interrupt it; the file's descriptor.

    A handler costs a frame, a byte in a pipe and whatever call it interrupts once more: for each task that ends.
    """
    heard = {signal.SIGCHLD, *ORDERS}
    signal.pthread_sigmask(signal.SIG_BLOCK, heard)
    fd = libc.signalfd(-1, signal_set(heard), os.O_NONBLOCK | os.O_CLOEXEC)
    if fd < 0:
        raise OSError(ctypes.get_errno(), "signalfd")
    return int(fd)


def signal_set(numbers: Iterable[int]) -> ctypes.Array[ctypes.c_char]:
    """A sigset_t."""
    found = ctypes.create_string_buffer(ROOM)
    libc.sigemptyset(found)
    for number in numbers:
        libc.sigaddset(found, int(number))
    return found
