"""The shelves of the jobs folder: accepted/, done/, failed/, rejected/, and the moves from the spool and between them.

Every move is a rename that never replaces a file: where the name is taken, the file gets a number. Nothing here is
written down; the caller makes a batch of moves durable (`JobsFolder.sync`) before it records where they went.
"""

from __future__ import annotations

import ctypes
import errno
import filecmp
import os
from collections.abc import Iterable
from pathlib import Path

from gristmill.supervisor.core import filenames

_NOREPLACE = 1
_AT_FDCWD = -100
_RENAMEAT2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)  # as of glibc 2.28


class Shelves:
    """Where the files of jobs lie, below one jobs folder. A place is `SHELF/NAME`, bytes."""

    def __init__(self, folder: Path, spool: Path) -> None:
        self._base, self._spool = os.fsencode(folder), os.fsencode(spool)

    def free_place(self, shelf: str, name: bytes, taken: set[bytes]) -> bytes:
        """`shelf/NAME`, or with a number before the suffix where that is taken (by a file, or in `taken`)."""
        above = shelf.encode()

        def is_taken(name: bytes) -> bool:
            place = os.path.join(above, name)
            return place in taken or os.path.lexists(os.path.join(self._base, place))

        return os.path.join(above, filenames.free(name, is_taken))

    def place(self, batch: str, name: bytes, place: bytes) -> bytes | None:
        """Moves a claimed file to `place`, or beside it where that is taken by now; None when it is placed already."""
        return self._rename(os.path.join(self._spool, batch.encode(), name), place)

    def move(self, origin: bytes, shelf: str) -> bytes | None:
        """Moves a file to another shelf; returns its place there, None when its user took it away."""
        return self._rename(os.path.join(self._base, origin), self.free_place(shelf, os.path.basename(origin), set()))

    def put(self, source: bytes, shelf: str, name: bytes) -> bytes:
        """Moves a file of our making to a shelf; returns its place there. What holds the same bytes already, from
        before a crash, is left as it is."""
        above = os.path.join(self._base, shelf.encode())
        os.makedirs(above, exist_ok=True)
        number = 1
        while True:
            target = os.path.join(above, filenames.numbered(name, number))
            try:
                rename_new(source, target)
            except FileExistsError:
                if not filecmp.cmp(source, target, shallow=False):
                    number += 1
                    continue
                os.unlink(source)
            return os.path.join(shelf.encode(), os.path.basename(target))

    def find(self, shelf: str, name: bytes, data: bytes) -> bytes | None:
        """The place on a shelf of a file of this name, numbered or not, that holds these bytes."""
        number = 1
        while True:
            place = os.path.join(shelf.encode(), filenames.numbered(name, number))
            try:
                if _holds(os.path.join(self._base, place), data):
                    return place
            except FileNotFoundError:
                return None
            number += 1

    def reject(self, batch: str, name: bytes, why: str) -> bytes:
        """Moves a claimed file to `rejected/` and writes why into `NAME.error` beside it; returns its place."""
        text = (why.rstrip("\n") + "\n").encode("utf-8", "backslashreplace")
        shelf = os.path.join(self._base, b"rejected")
        os.makedirs(shelf, exist_ok=True)

        def is_taken(name: bytes) -> bool:
            if os.path.lexists(os.path.join(shelf, name)):
                return True
            try:
                return not _begins(os.path.join(shelf, filenames.error_of(name)), text)
            except FileNotFoundError:
                return False

        target = filenames.free(name, is_taken)
        error = os.path.join(shelf, filenames.error_of(target))
        hidden = os.path.join(os.path.dirname(self._spool), b"error.part")  # whoever sees NAME.error sees all of it
        with open(hidden, "wb") as out:
            out.write(text)
        os.rename(hidden, error)
        return self.place(batch, name, os.path.join(b"rejected", target)) or os.path.join(b"rejected", target)

    def tidy(self, batches: Iterable[str]) -> None:
        """Removes batches of the spool that are empty now."""
        for batch in batches:
            try:
                os.rmdir(os.path.join(self._spool, batch.encode()))
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.ENOENT):
                    raise

    def _rename(self, source: bytes, place: bytes) -> bytes | None:
        shelf, name = os.path.split(place)
        while True:
            target = os.path.join(self._base, place)
            try:
                rename_new(source, target)
            except FileExistsError:
                place = self.free_place(os.fsdecode(shelf), name, set())
            except FileNotFoundError:
                if not os.path.isdir(self._base):
                    raise  # the folder is gone, which says nothing about the file
                if not os.path.lexists(source):
                    return None
                os.makedirs(os.path.join(self._base, shelf), exist_ok=True)  # the shelf itself was taken away
            else:
                return place


def rename_new(source: bytes, target: bytes) -> None:
    """Renames a file to a name that is free; raises FileExistsError where it is not."""
    if _RENAMEAT2 is not None:
        if _RENAMEAT2(_AT_FDCWD, source, _AT_FDCWD, target, _NOREPLACE) == 0:
            return
        code = ctypes.get_errno()
        if code not in (errno.EINVAL, errno.ENOSYS):
            raise OSError(code, os.strerror(code), source, None, target)
    if os.path.lexists(target):  # a file system that can't tell in one step: nearly the same in two
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
    os.rename(source, target)


def _begins(path: bytes, text: bytes) -> bool:
    """Whether a file holds these words or the first of them: our own, from before a crash or on a full disk."""
    return os.path.getsize(path) <= len(text) and _holds(path, text[: os.path.getsize(path)])


def _holds(path: bytes, data: bytes) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError:
        return False  # a link, or not ours to read: another file
    with os.fdopen(fd, "rb") as file:
        return os.fstat(fd).st_size == len(data) and file.read(len(data) + 1) == data
