"""Processes as /proc tells of them: who descends from whom, and a signal that reaches nobody else."""

from __future__ import annotations

import collections
import ctypes
import errno
import os

from .libc import PIDFD_OPEN, PIDFD_SEND_SIGNAL, libc

NO_DESCRIPTOR = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}


def name_process(name: str) -> None:
    """What `ps` and `top` show."""
    try:
        fd = os.open("/proc/self/comm", os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return  # no descriptor left: the name of before will do
    os.write(fd, name.encode()[:15])
    os.close(fd)


def read_stat(pid: int) -> tuple[int, int, bytes]:
    """(parent, start in ticks since the boot, state) of a process, which pid and start name; OSError without one."""
    fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    try:
        stat = os.read(fd, 1024)
    finally:
        os.close(fd)
    fields = stat[stat.rindex(b")") + 2 :].split(None, 20)
    return int(fields[1]), int(fields[19]), fields[0]


def descendants(root: int) -> list[tuple[int, int, bytes]]:
    """(pid, start, state) of all that descends from `root`, from one pass over /proc; `root` itself is left out."""
    children = collections.defaultdict(list)
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                parent, start, state = read_stat(int(entry))
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended while we looked
            children[parent].append((int(entry), start, state))
    found, todo = [], [root]
    while todo:
        more = children[todo.pop()]
        found += more
        todo += [pid for pid, _, _ in more]
    return found


def offspring(root: int) -> list[tuple[int, int, bytes]]:
    """The same, asked of each process for its own children: it costs what the tree is, not what the machine runs.

    The kernel may pass over a child whose sibling is buried in the very moment: so this is for those who look again.
    """
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        try:
            threads = os.listdir(f"/proc/{pid}/task")
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
        for thread in threads:
            try:
                with open(f"/proc/{pid}/task/{thread}/children", "rb", buffering=0) as file:
                    children = [int(word) for word in file.readall().split()]
            except (FileNotFoundError, ProcessLookupError):
                if pid == root:
                    return descendants(root)  # a kernel that is not built to tell
                continue
            for child in children:
                try:
                    found.append((child, *read_stat(child)[1:]))
                except (FileNotFoundError, ProcessLookupError):
                    continue
                todo.append(child)
    return found


def send_signal(pid: int, start: int, number: int) -> bool:
    """Signals the process that was started at `start`, and no other that may have its pid by now.

    False when there was no descriptor left to do it with; one that has ended needs no signal any more.
    """
    fd = libc.syscall(PIDFD_OPEN, pid, 0, None, 0)
    if fd < 0:
        return ctypes.get_errno() not in NO_DESCRIPTOR
    try:
        if read_stat(pid)[1] == start:
            libc.syscall(PIDFD_SEND_SIGNAL, fd, number, None, 0)
    except (FileNotFoundError, ProcessLookupError):
        pass  # it has ended since
    except OSError:
        return False
    finally:
        os.close(fd)
    return True
