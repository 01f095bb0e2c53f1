"""What binds a process: resource limits, control group, inotify; read from /proc, /sys and one try that is undone.

Any process of ours can be asked about, so that the daemon's confines are told and not those of the shell beside it.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from gristmill.supervisor.core.readings import CgroupReading, InotifyReading, LimitsReading
from gristmill.supervisor.core.subtree import LEAF
from gristmill.supervisor.edge import groups

CONTROLLERS = ("memory", "cpu", "pids")


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
    mounts, paths = groups.hierarchies(), groups.memberships(pid)
    lineages = groups.lineages(mounts, paths)
    if not lineages:
        return CgroupReading(version=0)
    version = 1 if set(mounts) & set(CONTROLLERS) else 2
    home = next(iter(lineages.get("", ())), None)
    divided = home is not None and home.name == LEAF and bool(groups.word(home.parent / "cgroup.subtree_control"))
    memory, cpu, pids = (lineages.get(name, ()) for name in CONTROLLERS)
    here = (memory or next(iter(lineages.values())))[0]
    cores = groups.narrowest((groups.quota(group), group) for group in cpu)
    processes = _processes(pids)
    return CgroupReading(
        version=version, path=paths.get("memory" if version == 1 else "", "/"),
        delegated=os.access(here, os.W_OK) and os.access(here / "cgroup.procs", os.W_OK),
        memory=min((bound for bound in map(groups.memory_bound, memory) if bound is not None), default=None),
        divided=divided,
        cores=None if cores is None else cores[0], processes=processes[0], processes_now=processes[1],
    )


def _processes(lineage: tuple[Path, ...]) -> tuple[int | None, int]:
    """(the limit with the least room, how many count against it)."""
    found = []
    for at in lineage:
        most, now = groups.word(at / "pids.max"), groups.word(at / "pids.current")
        if most.isdigit() and now.isdigit():
            found.append((int(most) - int(now), int(most), int(now)))
    return min(found)[1:] if found else (None, 0)


# ── inotify ───────────────────────────────────────────────────────────────────────────────────────────────────────


def inotify(folder: Path) -> InotifyReading:
    """Whether an instance and a watch on `folder` can be had; both are given back at once."""
    base = Path("/proc/sys/fs/inotify")
    instances, watches = (groups.word(base / name) for name in ("max_user_instances", "max_user_watches"))
    return InotifyReading(int(instances or 0), int(watches or 0), _try_inotify(folder))


def _try_inotify(folder: Path) -> str:
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
    if fd < 0:
        return os.strerror(ctypes.get_errno())
    try:
        if os.path.isdir(folder) and libc.inotify_add_watch(fd, os.fsencode(folder), 0x80) < 0:  # IN_MOVED_TO
            return os.strerror(ctypes.get_errno())
    finally:
        os.close(fd)
    return ""
