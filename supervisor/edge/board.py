"""The place where daemons of all users of a machine leave their cards: `gristmill-who-UID/` in a folder that all may
write to, one file a daemon.

Nothing in such a place is believed but what the kernel says of it: folder and file must belong to the user whose number
the folder's name has, no link is followed, no pipe waited for, and nothing long is read.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

FOLDER = re.compile(r"gristmill-who-(0|[1-9][0-9]{0,9})")
FILE = re.compile(r"[0-9a-f]{10}\.json")
BYTES = 4096
DAEMONS = 32
"""Cards of one user that are read at most."""


class Found(NamedTuple):
    """What lies there under the name of a user, who is its owner."""

    uid: int
    data: bytes


def base(environ: Mapping[str, str]) -> Path:
    """The place: `GRIST_WHO`, else /tmp, which is everybody's."""
    return Path(environ.get("GRIST_WHO") or "/tmp")


class Board:
    """The place."""

    def __init__(self, place: Path) -> None:
        self._place = place

    # ── our own ───────────────────────────────────────────────────────────────────────────────────────────────

    def publish(self, name: str, data: bytes) -> None:
        """Leaves a card, readable by all; it is whole at any moment. Raises OSError, also where the folder of our name
        is somebody else's."""
        folder = self._place / f"gristmill-who-{os.geteuid()}"
        try:
            folder.mkdir(mode=0o755)
        except FileExistsError:
            pass  # whose it is, is looked at next
        with _Folder(folder, os.geteuid()) as fd:
            os.fchmod(fd, 0o755)  # whatever the umask is
            partial = f".{name}.{os.getpid()}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
            try:
                with open(os.open(partial, flags, 0o644, dir_fd=fd), "wb") as file:
                    os.fchmod(file.fileno(), 0o644)
                    file.write(data)
                os.rename(partial, name, src_dir_fd=fd, dst_dir_fd=fd)
            except OSError:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(partial, dir_fd=fd)  # on a full disk nothing is left of what is not whole
                raise

    def withdraw(self, name: str) -> None:
        """Takes it away again."""
        folder = self._place / f"gristmill-who-{os.geteuid()}"
        try:
            with _Folder(folder, os.geteuid()) as fd:
                os.unlink(name, dir_fd=fd)
            folder.rmdir()
        except OSError:
            pass  # it is gone, or a card of another daemon of ours is there

    # ── everybody's ───────────────────────────────────────────────────────────────────────────────────────────

    def read(self) -> tuple[list[Found], list[str]]:
        """All cards that are their owners' own, and in words what is not as it should be."""
        found: list[Found] = []
        refused: list[str] = []
        try:
            names = sorted(name for name in os.listdir(self._place) if FOLDER.fullmatch(name))
        except OSError as error:
            return [], [f"{self._place}: {error.strerror}"]
        for name in names:
            uid = int(name.rpartition("-")[2])
            try:
                with _Folder(self._place / name, uid) as fd:
                    cards = sorted(card for card in os.listdir(fd) if FILE.fullmatch(card))[:DAEMONS]
                    for card in cards:
                        try:
                            found.append(Found(uid, _content(card, fd, uid)))
                        except OSError as error:
                            refused.append(f"{self._place / name / card}: {error.strerror}")
            except OSError as error:
                refused.append(f"{self._place / name}: {error.strerror}")
        return found, refused


class _Folder:
    """A folder that is one user's own, open; raises OSError where it is not."""

    def __init__(self, path: Path, uid: int) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        state = os.fstat(self._fd)
        why = _foreign(state, uid)
        if why:
            os.close(self._fd)
            raise PermissionError(1, why, str(path))

    def __enter__(self) -> int:
        return self._fd

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def _content(name: str, folder: int, uid: int) -> bytes:
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    try:
        state = os.fstat(fd)
        if not stat.S_ISREG(state.st_mode) or state.st_size > BYTES or state.st_nlink != 1:
            raise PermissionError(1, "is no card")
        if why := _foreign(state, uid):
            raise PermissionError(1, why)
        return os.read(fd, BYTES)
    finally:
        os.close(fd)


def _foreign(state: os.stat_result, uid: int) -> str:
    if state.st_uid != uid:
        return f"belongs to user {state.st_uid}, not to user {uid}: not believed"
    return "others may write to it: not believed" if state.st_mode & 0o022 else ""
