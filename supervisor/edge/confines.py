"""What binds a process: resource limits, control group, inotify; read from /proc, /sys and one try that is undone.

Any process of ours can be asked about, so that the daemon's confines are told and not those of the shell beside it.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

from gristmill.supervisor.core.readings import CgroupReading, InotifyReading, LimitsReading

CONTROLLERS = ("memory", "cpu", "pids")
UNBOUND = 1 << 60
"""A v1 memory limit from here on means none."""


# ── resource limits ───────────────────────────────────────────────────────────────────────────────────────────────


def limits(pid: int, whose: str) -> LimitsReading:
    """The limits of process `pid`."""
    rows = {}
    for line in Path(f"/proc/{pid}/limits").read_text(encoding="ascii").splitlines()[1:]:
        soft, hard = line[26:].split()[:2]
        rows[line[:26].strip()] = (_number(soft), _number(hard))
    pattern = Path("/proc/sys/kernel/core_pattern").read_text(encoding="utf-8", errors="replace").strip()
    root = os.geteuid() == 0  # whom the kernel lets start as many processes as there are pids
    return LimitsReading(
        whose=whose, files=rows["Max open files"][0], files_most=rows["Max open files"][1],
        processes=None if root else rows["Max processes"][0], used=_threads(os.geteuid()),
        file_size=rows["Max file size"][0], core=rows["Max core file size"][0],
        core_beside=not pattern.startswith(("|", "/")), cpu=rows["Max cpu time"][0],
        address=rows["Max address space"][0],
    )


def _number(word: str) -> int | None:
    return None if word == "unlimited" else int(word)


def _threads(uid: int) -> int:
    """How many processes and threads run as `uid`: the count that RLIMIT_NPROC bounds."""
    count = 0
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            if os.stat(f"/proc/{entry}").st_uid == uid:
                count += len(os.listdir(f"/proc/{entry}/task"))
        except OSError:
            continue  # it ended while we looked
    return count


# ── control groups ────────────────────────────────────────────────────────────────────────────────────────────────


def cgroup(pid: int) -> CgroupReading:
    """The control group of process `pid`, with the tightest limit of each kind up to the top."""
    mounts, paths = _hierarchies(), _memberships(pid)
    homes = {name: _home(mounts[name], paths.get(name, "/")) for name in mounts}
    if not homes:
        return CgroupReading(version=0)
    version = 1 if set(homes) & set(CONTROLLERS) else 2
    unified = homes.get("")
    tops = {name: (homes.get(name) or unified, mounts.get(name) or mounts.get("")) for name in CONTROLLERS}
    here = homes.get("memory") or next(iter(homes.values())) if version == 1 else unified
    memory, cores, processes = _memory(*tops["memory"]), _cores(*tops["cpu"]), _processes(*tops["pids"])
    return CgroupReading(
        version=version, path=paths.get("memory" if version == 1 else "", "/"),
        delegated=here is not None and os.access(here, os.W_OK) and os.access(here / "cgroup.procs", os.W_OK),
        memory=memory, cores=cores, processes=processes[0], processes_now=processes[1],
    )


def _hierarchies() -> dict[str, Path]:
    """Where each v1 controller is mounted, and the unified hierarchy under the name ""."""
    found: dict[str, Path] = {}
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        _, point, kind, options, *_ = line.split(" ")
        if kind == "cgroup2":
            found.setdefault("", Path(point))
        elif kind == "cgroup":
            for name in set(options.split(",")) & set(CONTROLLERS):
                found.setdefault(name, Path(point))
    return found


def _memberships(pid: int) -> dict[str, str]:
    """The path of the process in each hierarchy, as `_hierarchies` names them."""
    found = {}
    for line in Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        _, names, path = line.split(":", 2)
        for name in names.split(","):
            found[name] = path
    return found


def _home(mount: Path, path: str) -> Path:
    """The folder of a group; its mount where the path means another view of the tree, as in a container."""
    home = mount / path.lstrip("/")
    return home if home.is_dir() and ".." not in path.split("/") else mount


def _up(home: Path | None, mount: Path | None) -> Iterator[Path]:
    """A group and all above it."""
    while home is not None and mount is not None:
        yield home
        if home in (mount, home.parent):
            return
        home = home.parent


def _word(path: Path) -> str:
    """The content of a file of the kernel's, "" where there is none: a controller that is off, or the top group."""
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _memory(home: Path | None, mount: Path | None) -> int | None:
    words = (_word(at / name) for at in _up(home, mount) for name in ("memory.max", "memory.high",
                                                                      "memory.limit_in_bytes"))
    return min((int(word) for word in words if word.isdigit() and int(word) < UNBOUND), default=None)


def _cores(home: Path | None, mount: Path | None) -> float | None:
    found = []
    for at in _up(home, mount):
        quota, _, period = (_word(at / "cpu.max") or
                            f"{_word(at / 'cpu.cfs_quota_us')} {_word(at / 'cpu.cfs_period_us')}").partition(" ")
        if quota.isdigit() and period.isdigit():
            found.append(int(quota) / int(period))
    return min(found, default=None)


def _processes(home: Path | None, mount: Path | None) -> tuple[int | None, int]:
    """(the limit with the least room, how many count against it)."""
    found = []
    for at in _up(home, mount):
        most, now = _word(at / "pids.max"), _word(at / "pids.current")
        if most.isdigit() and now.isdigit():
            found.append((int(most) - int(now), int(most), int(now)))
    return min(found)[1:] if found else (None, 0)


# ── inotify ───────────────────────────────────────────────────────────────────────────────────────────────────────


def inotify(folder: Path) -> InotifyReading:
    """Whether an instance and a watch on `folder` can be had; both are given back at once."""
    base = Path("/proc/sys/fs/inotify")
    instances, watches = (_word(base / name) for name in ("max_user_instances", "max_user_watches"))
    return InotifyReading(int(instances or 0), int(watches or 0), _try_inotify(folder))


def _try_inotify(folder: Path) -> str:
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
    if fd < 0:
        return os.strerror(ctypes.get_errno())
    try:
        if folder.is_dir() and libc.inotify_add_watch(fd, os.fsencode(folder), 0x80) < 0:  # IN_MOVED_TO
            return os.strerror(ctypes.get_errno())
    finally:
        os.close(fd)
    return ""
