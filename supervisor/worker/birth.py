"""How a program is started: posix_spawn(3), its environment, and what a task is born with."""

from __future__ import annotations

import ctypes
import errno
import os
import sys

from .libc import IOPRIO_LAST, ROOM, libc, place_at_disk, take_place_at_disk
from .signals import IGNORED, signal_set

TYPE_CHECKING = False  # as type checkers know it, without the cost of `typing` in each worker
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

SPAWN_FLAGS = 0x04 | 0x08 | 0x80  # POSIX_SPAWN_SETSIGDEF, _SETSIGMASK, _SETSID: the same in glibc and musl
_ENCODING = sys.getfilesystemencoding()
_PLACE = place_at_disk()
"""Ours, which workers and tasks are born with."""


def input_file(text: str) -> int:
    """The descriptor of a file that gives this text."""
    fd = os.memfd_create("stdin", os.MFD_CLOEXEC)
    left = text.encode("utf-8", "surrogateescape")
    while left:
        left = left[os.write(fd, left) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def find_program(name: str, path: str) -> str:
    """The file that `name` means on `path`, as execvp looks it up; raises FileNotFoundError."""
    if "/" in name:
        return name
    for folder in path.split(":"):
        candidate = os.path.join(folder or ".", name)
        if os.access(candidate, os.X_OK) and not os.path.isdir(candidate):
            return candidate
    raise FileNotFoundError(errno.ENOENT, "command not found", name)


def plain_bytes(texts: list[str]) -> list[bytes]:
    """As the system calls take them; raises ValueError for what those would cut short or could not say."""
    found = [text.encode(_ENCODING, "surrogateescape") for text in texts]
    if b"\0" in b"".join(found):
        raise ValueError("embedded null byte")
    return found


class Environment:
    """The variables of the tasks of one job, in the form in which the kernel takes them.

    Most are the same for all; those that each task has of its own lie at the end, where the next one's replace them.
    """

    def __init__(self, shared: dict[str, str], own: Iterable[str], last: dict[str, str]) -> None:
        """`own` are the names of those that tasks have of their own, before those of `shared`; `last` has the last
        word."""
        self.names = tuple(own)
        same = {name: value for name, value in shared.items() if name not in self.names}
        same.update(last)
        if any(not name or "=" in name for name in (*same, *self.names)):
            raise ValueError("illegal environment variable name")
        self.path = same.get("PATH", os.defpath)
        self.void = last.keys() & set(self.names)
        self.first = len(same)
        self.array = (ctypes.c_char_p * (self.first + len(self.names) - len(self.void) + 1))()
        lines: Any = plain_bytes([f"{name}={value}" for name, value in same.items()])
        self.array[: self.first] = lines

    def dress(self, own: dict[str, str]) -> ctypes.Array[ctypes.c_char_p]:
        """The environment of a task with these variables, whose names are the same as ever."""
        if self.void:
            own = {name: value for name, value in own.items() if name not in self.void}
        lines: Any = plain_bytes([f"{name}={value}" for name, value in own.items()])
        self.array[self.first : -1] = lines
        return self.array


class Birth:
    """posix_spawn(3), with all that is the same for each task prepared once.

    `os.posix_spawn` makes everything anew each time, which costs as much as a third of all else that a worker does.
    """

    def __init__(self) -> None:
        self.attributes = ctypes.create_string_buffer(ROOM)
        libc.posix_spawnattr_init(self.attributes)
        libc.posix_spawnattr_setflags(self.attributes, ctypes.c_short(SPAWN_FLAGS))
        libc.posix_spawnattr_setsigmask(self.attributes, signal_set(()))
        libc.posix_spawnattr_setsigdefault(self.attributes, signal_set(IGNORED))
        self.ends: tuple[int, ...] = ()
        self.files = ctypes.create_string_buffer(ROOM)
        libc.posix_spawn_file_actions_init(self.files)
        self.pid = ctypes.c_int()

    def give(self, ends: tuple[int, ...]) -> None:
        """The next ones have these descriptors as 0, 1 and 2; raises OSError without the memory for it."""
        if ends != self.ends:
            libc.posix_spawn_file_actions_destroy(self.files)
            libc.posix_spawn_file_actions_init(self.files)
            for number, fd in enumerate(ends):
                if code := libc.posix_spawn_file_actions_adddup2(self.files, fd, number):
                    self.ends = ()
                    raise OSError(code, os.strerror(code))
            self.ends = ends

    def spawn(self, program: bytes, argv: list[bytes], environment: ctypes.Array[ctypes.c_char_p]) -> int:
        """Starts a program in a session of its own, with signals as they are by default; its pid. Raises OSError."""
        words = (ctypes.c_char_p * (len(argv) + 1))(*argv)
        code = libc.posix_spawn(ctypes.byref(self.pid), program, self.files, self.attributes, words, environment)
        if code:
            raise OSError(code, os.strerror(code), os.fsdecode(program))
        return self.pid.value


class Birthright:
    """What a task is born with, as its worker has it in that moment: with all that it forks, and for no call more.

    Its place at the disk, which its worker shares from then on: that writes little, and waits for the disk only when
    it leaves. And that it goes first if memory does run out, not the user's shell; that, the worker takes on for the
    moment of the birth only. (Niceness it can't: nobody may take back his own.)
    """

    def __init__(self) -> None:
        self.last, self.place = False, _PLACE
        try:
            self.score = os.open("/proc/self/oom_score_adj", os.O_RDWR | os.O_CLOEXEC)
            self.own = os.read(self.score, 16)
        except OSError:
            self.score = -1  # a kernel without it

    def queue_last(self, last: bool) -> None:
        """Last in line for the disk, or in the place that we came with."""
        if last != self.last:
            self.last = last
            take_place_at_disk(IOPRIO_LAST if last else self.place)

    def go_first(self, first: bool) -> None:
        """The first to be killed for lack of memory, or as likely as we came."""
        if self.score >= 0:
            try:
                os.write(self.score, b"300" if first else self.own)
            except OSError:
                pass  # this user may not: then it is as it was
