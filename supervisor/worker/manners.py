"""Manners of a task that has begun: it lets others go before it, and keeps to what it claims."""

from __future__ import annotations

import errno
import os
import resource  # which `os.wait4` imports at its first call otherwise, in each worker


def make_nice(pid: int, nice: int) -> None:
    """Lets others go before a task that has just begun, and with it what it has forked by now: it leads its group.

    As far as this user may, and as long as the task lives: politeness, not a condition.
    """
    if nice:
        try:
            os.setpriority(os.PRIO_PGRP, pid, nice)
        except OSError:
            pass


def confine(pid: int, space: int) -> None:
    """Has the kernel refuse a task that has just begun more than so many bytes of address space, a process."""
    try:
        resource.prlimit(pid, resource.RLIMIT_AS, (space, space))
    except (ProcessLookupError, PermissionError, ValueError):
        pass  # it has ended, or its own limit is lower


def yield_session(pid: int, nice: int) -> bool:
    """Lets other sessions go before the one that a task leads; False: not now, ask again.

    Where the kernel shares the cores out by session (autogroup: a desktop's kernel, and Debian's, unless a control
    group does it) niceness counts inside a session only, so that ten tasks beside one user's program would have ten
    shares of eleven. The kernel takes one such wish in a tenth of a second from all who are not root (sched(7)).
    """
    try:
        fd = os.open(f"/proc/{pid}/autogroup", os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return True  # a kernel without it, or the task has ended
    try:
        os.write(fd, b"%d" % nice)
    except OSError as error:
        return error.errno != errno.EAGAIN  # politeness, not a condition
    finally:
        os.close(fd)
    return True
