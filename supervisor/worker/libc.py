"""Calls of libc and the kernel that Python has no function for, by number where libc has none either."""

from __future__ import annotations

import ctypes
import errno
import os

FALLOC_FL_KEEP_SIZE = 1
PR_SET_CHILD_SUBREAPER = 36
PIDFD_OPEN, PIDFD_SEND_SIGNAL = 434, 424  # system calls of Linux ≥ 5.3; Python has them from 3.9 on
IOPRIO_SET = {"x86_64": 251, "aarch64": 30}.get(os.uname().machine)
IOPRIO_GET = None if IOPRIO_SET is None else IOPRIO_SET + 1
IOPRIO_WHO_PROCESS, IOPRIO_LAST = 1, 2 << 13 | 7  # "best effort", the class that all are in, at its lowest level
ROOM = 1024  # bytes, more than the structures of libc take that are handed to it: 336 at most

libc = ctypes.CDLL(None, use_errno=True)
libc.prctl.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong)
libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
libc.syscall.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_long)
libc.syscall.restype = ctypes.c_long
libc.posix_spawn.argtypes = (ctypes.c_void_p, ctypes.c_char_p, *[ctypes.c_void_p] * 4)


def set_process(option: int, value: int) -> None:
    """Sets an attribute of this process, by the number that prctl has for it."""
    libc.prctl(option, value, 0, 0, 0)


def become_subreaper() -> None:
    """Takes on what its descendants leave behind."""
    set_process(PR_SET_CHILD_SUBREAPER, 1)


def set_aside(fd: int, start: int, size: int, name: str) -> None:
    """Has the disk keep room for so many bytes of the file `name`, whose size stays; raises OSError when there is none,
    and not where the file system can't promise it."""
    if libc.fallocate(fd, FALLOC_FL_KEEP_SIZE, start, size):
        code = ctypes.get_errno()
        if code not in (errno.EOPNOTSUPP, errno.ENOSYS):
            raise OSError(code, os.strerror(code), name)


def place_at_disk() -> int:
    """This process's place in line for the disk, as the kernel numbers them."""
    return 0 if IOPRIO_GET is None else int(libc.syscall(IOPRIO_GET, IOPRIO_WHO_PROCESS, 0, None, 0))


def take_place_at_disk(place: int) -> None:
    """Has it, and what it starts from now on, stand there."""
    if IOPRIO_SET is not None:
        libc.syscall(IOPRIO_SET, IOPRIO_WHO_PROCESS, 0, place, 0)
