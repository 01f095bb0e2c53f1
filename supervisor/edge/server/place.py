"""The socket's file: made where nobody else could put another, for its user alone."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

from gristmill.supervisor.core.errors import FolderError


def bind(path: Path) -> socket.socket:
    """A socket at `path`, for its user alone, on which nobody listens yet; raises FolderError with the mend."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        check_place(path)
        os.fchmod(sock.fileno(), 0o600)  # the file gets this mode when it is made: a umask would be every thread's
        sock.bind(os.fspath(path))
    except OSError as error:
        sock.close()
        why = error.strerror or str(error)
        raise FolderError(f"{path}: {why} – name another, shorter folder with --state") from error
    except FolderError:
        sock.close()
        raise
    return sock


def identity(path: Path) -> tuple[int, int] | None:
    """Which file that is, None where there is none to be seen."""
    try:
        status = os.lstat(path)
    except OSError:
        return None  # gone, or its folder is: binding it anew says what is the matter
    return status.st_dev, status.st_ino


def check_place(path: Path) -> None:
    """Clears a stale socket away; raises FolderError where others could put theirs in its place, or have."""
    folder = os.stat(path.parent)
    if folder.st_uid != os.geteuid() or stat.S_IMODE(folder.st_mode) & 0o077:
        raise FolderError(f"{path.parent}: is not yours alone, and the socket would lie in it – chmod 700 as its owner")
    try:
        kind = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise FolderError(f"{path}: is in the way: it is no socket – move it elsewhere")
    path.unlink()
