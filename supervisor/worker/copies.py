"""Logs where scripts of batch systems say that they want them: a link while the task runs, a copy at its end."""

from __future__ import annotations

import os
import stat


def is_our_link(path: str, log: str) -> bool:
    """Whether it is a link to a log beside this one, or of another job."""
    try:
        return os.path.dirname(os.path.dirname(os.readlink(path))) == os.path.dirname(os.path.dirname(log))
    except OSError:
        return False


def link_log(log: str, target: str) -> None:
    """Has the log of a task that begins found where its script says; a file that was there gives way, as ever."""
    try:
        os.makedirs(os.path.dirname(target) or ".", exist_ok=True)
        if os.path.exists(log) and os.path.exists(target) and os.path.samefile(log, target):
            return  # there it is
        plain = os.path.isfile(target) and not os.path.islink(target)
        if plain or not os.path.lexists(target) or is_our_link(target, log):
            os.symlink(log, target + ".new~")
            os.rename(target + ".new~", target)
    except OSError:
        pass  # the copy at its end tells of it


def copy_log(path: str, target: str, log: str, append: bool) -> None:
    """Copies what a task wrote (at `path`, "" for nothing) to where its script says, as its batch system would have.
    `log` is what its log was to be called."""
    os.makedirs(os.path.dirname(target) or ".", exist_ok=True)
    if is_our_link(target, log):
        os.unlink(target)
    if path and os.path.exists(target) and os.path.samefile(path, target):
        return
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe that nobody reads is no place for it
    file = os.open(target, flags | (os.O_APPEND if append else os.O_TRUNC), 0o666)
    with os.fdopen(file, "wb", 0) as out:
        if path and stat.S_ISREG(os.fstat(file).st_mode):
            with open(path, "rb", 0) as source:
                while block := source.read(1 << 20):
                    view = memoryview(block)
                    while view:
                        view = view[out.write(view) or 0 :]
