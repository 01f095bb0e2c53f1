"""What kernel, session and interpreter are like: read from /proc, from logind, and from calls tried on ourselves."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from gristmill.supervisor.core.readings import MachineReading, PythonReading, SessionReading

LINGER = Path("/var/lib/systemd/linger")
SYSTEM_USERS = 1000
"""Users below this number are the system's own, which logind leaves alone when they log out."""
PATIENCE_S = 5.0


def machine() -> MachineReading:
    """Kernel and hardware."""
    memory = _table(Path("/proc/meminfo"))
    counters = _table(Path("/proc/vmstat"))
    return MachineReading(
        kernel=f"Linux {platform.release()}", cores=len(os.sched_getaffinity(0)),
        memory=memory.get("MemTotal", 0) * 1024,
        pressure=tuple(name for name in ("cpu", "memory", "io") if _readable(f"/proc/pressure/{name}")),
        oom_counted="oom_kill" in counters,
        overcommit=int(_text(Path("/proc/sys/vm/overcommit_memory")) or 0),
        committed=memory.get("Committed_AS", 0) * 1024, commit_limit=memory.get("CommitLimit", 0) * 1024,
        lacking=_lacking(),
    )


def _lacking() -> tuple[str, ...]:
    """System calls that fail when tried: an old kernel, or a container that forbids them."""
    tries: dict[str, Callable[[], int]] = {
        "pidfd_open": lambda: os.pidfd_open(os.getpid()),
        "memfd_create": lambda: os.memfd_create("trial", os.MFD_CLOEXEC),
    }
    found = []
    for name, open_ in tries.items():
        try:
            os.close(open_())
        except OSError:
            found.append(name)
    return tuple(found)


def _readable(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return bool(file.read(1))  # a kernel with psi=0 has the file and refuses to read it
    except OSError:
        return False


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _table(path: Path) -> dict[str, int]:
    """`name value` or `name: value kB` lines."""
    rows = (line.split() for line in _text(path).splitlines())
    return {row[0].rstrip(":"): int(row[1]) for row in rows if len(row) > 1 and row[1].isdigit()}


def python(loose: tuple[str, ...], path_loose: tuple[str, ...]) -> PythonReading:
    """This interpreter; what others may write to is told by whoever can tell."""
    import sqlite3

    return PythonReading(
        version=sys.version_info[:3], executable=sys.executable, there=os.access(sys.executable, os.X_OK),
        sqlite=sqlite3.sqlite_version, loose=loose, path_loose=path_loose,
    )


def session(user: str, unit: Path) -> SessionReading:
    """What logind does when `user` logs out."""
    uid = os.geteuid()
    logind = all(Path("/run/systemd", name).is_dir() for name in ("system", "users"))
    return SessionReading(
        user=user, logind=logind, linger=lingers(user),
        kills=logind and uid != 0 and _manager_says("KillUserProcesses", False),
        clears=logind and uid >= SYSTEM_USERS and _manager_says("RemoveIPC", True),
        unit=str(unit) if unit.exists() else "",
    )


def lingers(user: str) -> bool:
    """Whether services of `user` stay when the user has logged out."""
    return (LINGER / user).exists()


def _manager_says(name: str, default: bool) -> bool:
    """A setting of logind as it is in force: asked over the bus, since many files and drop-ins may hold it."""
    try:
        done = subprocess.run(
            ["busctl", "get-property", "org.freedesktop.login1", "/org/freedesktop/login1",
             "org.freedesktop.login1.Manager", name],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return default  # what Debian ships
    return done.stdout.split() == ["b", "true"] if done.returncode == 0 else default
