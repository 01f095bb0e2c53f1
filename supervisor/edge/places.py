"""Where things are: the jobs folder, its state folder, the socket, and which run of the machine this is."""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Mapping
from pathlib import Path

from gristmill.supervisor.core.digest import sha256
from gristmill.supervisor.core.errors import FolderError

_LONG = struct.calcsize("l")
GET_FLAGS, SET_FLAGS = 2 << 30 | _LONG << 16 | 0x6601, 1 << 30 | _LONG << 16 | 0x6602
"""ioctl_iflags(2)."""
TOP_FOLDER = 0x0002_0000
REMOTE = ("nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "9p", "afs", "ceph", "lustre", "beegfs")
SOCKET_LIMIT = 107
"""Bytes that a socket's path may have (sun_path less its end mark)."""


def jobs_dir(option: str | None, environ: Mapping[str, str], here: Path) -> Path:
    """The jobs folder: `--jobs`, `GRIST_JOBS`, the nearest `jobs/` upward from `here`, or `here/jobs`."""
    named = option or environ.get("GRIST_JOBS")
    if named:
        return Path(os.path.abspath(os.path.expanduser(named)))
    for folder in (here, *here.parents):
        if (folder / "jobs").is_dir():
            return folder / "jobs"
    return here / "jobs"


def state_dir(option: str | None, environ: Mapping[str, str], jobs: Path) -> Path:
    """The state folder: `--state`, `GRIST_STATE`, or one for this jobs folder below `$XDG_STATE_HOME/gristmill`."""
    named = option or environ.get("GRIST_STATE")
    if named:
        return Path(os.path.abspath(os.path.expanduser(named)))
    home = environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    real = os.path.realpath(jobs)
    digest = sha256(os.fsencode(real))[:10]
    above = os.path.basename(os.path.dirname(real)) or "root"
    return Path(home) / "gristmill" / f"{above[:40]}-{digest}"


def socket_path(state: Path, environ: Mapping[str, str]) -> Path:
    """The daemon's socket: in the state folder, or in the runtime folder where that path would be too long."""
    path = state / "socket"
    runtime = environ.get("XDG_RUNTIME_DIR")
    if len(os.fsencode(path)) <= SOCKET_LIMIT or not runtime:
        return path
    digest = sha256(os.fsencode(state))[:16]
    return Path(runtime) / f"gristmill-{digest}.socket"


def prepare_state(path: Path) -> None:
    """Makes the state folder, private; raises FolderError where it can't be or would not be safe."""
    from gristmill.supervisor.core.sanitise import encodable  # a daemon's alone

    if encodable(str(path)) != str(path):  # the record and answers name what lies in it
        raise FolderError(f"{path}: its path is not UTF-8 – name another folder with --state")
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        _spread(path)
        for name in ("logs", "runs", "results", "scripts"):
            (path / name).mkdir(mode=0o700, exist_ok=True)
        for name in ("logs", "results"):
            _spread(path / name)
        path.chmod(0o700)
    except OSError as error:
        raise FolderError(f"{path}: {error.strerror} – name another folder with --state") from error
    kind = file_system(path)
    if kind in REMOTE:
        raise FolderError(
            f"{path}: lies on {kind}, where locks and databases break – name a local folder with --state"
        )


def _spread(path: Path) -> None:
    """Has ext4 put what is made in a folder anywhere on the disk (`chattr +T`), rather than near the folder.

    A file's inode is looked for near its folder, past all that were freed there in the last seconds: where somebody has
    just removed ten thousand files, a new one takes 0.5 ms rather than 0.02. Other file systems, and who may not, do
    without.
    """
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        (flags,) = struct.unpack("l", fcntl.ioctl(fd, GET_FLAGS, bytes(_LONG)))
        if file_system(path) == "ext4" and not flags & TOP_FOLDER:
            fcntl.ioctl(fd, SET_FLAGS, struct.pack("l", flags | TOP_FOLDER))
    except OSError:
        pass
    finally:
        os.close(fd)


def file_system(path: Path) -> str:
    """The type of the file system that `path` lies on, "" where /proc can't tell."""
    real = os.path.realpath(path)
    best, kind = "", ""
    try:
        with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as mounts:
            for line in mounts:
                _, point, type_, *_ = line.split(" ")
                point = point.replace("\\040", " ")
                inside = real == point or real.startswith(point.rstrip("/") + "/")
                if inside and len(point) >= len(best):
                    best, kind = point, type_
    except OSError:
        return ""
    return kind


def boot_id() -> str:
    """Names this run of the machine; another one means that no process of before lives."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
