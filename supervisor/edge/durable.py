"""Files and names that a power cut does not take back."""

from __future__ import annotations

import errno
import os


def sync_folder(path: str | os.PathLike[str]) -> None:
    """Makes what was made, renamed or removed in a folder last."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that knows no such thing
            raise
    finally:
        os.close(fd)


def write_new(path: str | bytes | os.PathLike[str], data: bytes, mode: int) -> None:
    """Writes a file that is not there yet, on to the disk; its name lasts once its folder was synced. Raises OSError,
    FileExistsError where there is one."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(fd)
