"""A look at folders and at the disk below them, as `stat` tells it. Writes nothing, follows links as a daemon would."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gristmill.supervisor.core import filenames
from gristmill.supervisor.core.readings import FolderReading, VolumeReading

IN_MEMORY = ("tmpfs", "ramfs")


@dataclass(frozen=True, slots=True)
class Sense:
    """What tells one folder from another: its file system, which of those are remote, and who else may write."""

    file_system: Callable[[Path], str]
    remote: tuple[str, ...]
    others_may_write: Callable[[os.stat_result], bool]


def folder(path: Path, sense: Sense) -> FolderReading:
    """The folder at `path`; where there is none, its nearest parent speaks for it."""
    there, kind, fault = path, "", ""
    try:
        there = nearest(path)
        status = os.stat(there)
        if there == path:
            kind = "folder" if stat.S_ISDIR(status.st_mode) else "other"
        elif not stat.S_ISDIR(status.st_mode):
            fault = f"{there} is not a folder"
    except OSError as error:
        return FolderReading(path=str(path), kind="", fault=error.strerror or str(error))
    loose, foreign = parents(there, sense)
    system = sense.file_system(there)
    return FolderReading(
        path=str(path), kind=kind, fault=fault, ours=status.st_uid == os.geteuid(), mode=stat.S_IMODE(status.st_mode),
        others_may_write=sense.others_may_write(status), usable=os.access(there, os.R_OK | os.W_OK | os.X_OK),
        file_system=system, remote=system in sense.remote, in_memory=system in IN_MEMORY, modified=status.st_mtime,
        loose=loose, foreign=foreign,
    )


def idle(path: Path) -> tuple[str, ...]:
    """Files that lie in a jobs folder for good: scripts by their first line alone, neither executable nor named so."""
    found = []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                name = os.fsencode(entry.name)
                named = not filenames.job_like(name) or name.lower().endswith(filenames.SUFFIXES)
                if not named and starts_as_script(entry):
                    found.append(filenames.shown(name))
    except OSError:
        pass  # what can't be looked at has its own finding
    return tuple(sorted(found))


def starts_as_script(entry: os.DirEntry[str]) -> bool:
    """Whether a file that nobody may execute begins with `#!`."""
    if not entry.is_file(follow_symlinks=False) or entry.stat(follow_symlinks=False).st_mode & 0o111:
        return False
    try:
        with open(entry.path, "rb") as file:
            return file.read(2) == b"#!"
    except OSError:
        return False


def nearest(path: Path) -> Path:
    """`path`, or its nearest parent that is there; raises OSError where that can't be told."""
    for there in (path, *path.parents):
        try:
            os.lstat(there)
        except (FileNotFoundError, NotADirectoryError):
            continue
        return there
    return Path("/")


def parents(path: Path, sense: Sense) -> tuple[str, str]:
    """The nearest parent that others may write to and that is not sticky, and the nearest that is another user's."""
    loose = foreign = ""
    for parent in Path(os.path.realpath(path)).parents:
        status = os.stat(parent)
        if not loose and sense.others_may_write(status) and not status.st_mode & stat.S_ISVTX:
            loose = str(parent)
        if not foreign and status.st_uid not in (0, os.geteuid()):
            foreign = str(parent)
    return loose, foreign


def volume(path: Path) -> VolumeReading:
    """The file system that `path` lies on, or will, as far as that can be seen."""
    it = os.statvfs(next(filter(os.path.lexists, (path, *path.parents))))
    return VolumeReading(
        free=it.f_bavail * it.f_frsize, total=it.f_blocks * it.f_frsize, inodes_free=it.f_favail, inodes=it.f_files,
        read_only=bool(it.f_flag & os.ST_RDONLY),
    )


def loose(paths: list[str], sense: Sense) -> tuple[str, ...]:
    """Those of the paths that others may write to; one that is no full path is anybody's."""
    found = []
    for path in paths:
        try:
            if not path.startswith("/") or sense.others_may_write(os.stat(path)):
                found.append(path)
        except OSError:
            continue  # what is not there runs nothing
    return tuple(dict.fromkeys(found))
