"""What `grist doctor` is told of a machine, and what it says of it: values alone.

Nothing is read here and nothing judged. Sizes are bytes, times seconds since the epoch; `None` stands for a limit
that there is not. Fields are plain, so that they travel as JSON.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is: `warn` may stay as it is, `FAIL` keeps Gristmill from keeping its promises."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: which check, how bad, what was found, and the command that mends it ("" where none is needed)."""

    check: str
    level: Level
    found: str
    mend: str = ""


@dataclass(frozen=True, slots=True)
class FolderReading:
    """A folder. `kind` is "" where there is none, else `folder` or `other`; `fault` says why it can't be looked at.

    `loose` names the first parent that others may write to and that is not sticky, `foreign` the first that belongs to
    another user than root and us; both "" where there is none. Of a folder that is not there yet, everything but
    `path` and `kind` tells of the nearest parent that is. `idle` are files of a jobs folder that nothing takes, though
    they begin as scripts do.
    """

    path: str
    kind: str = "folder"
    fault: str = ""
    ours: bool = True
    mode: int = 0o755
    others_may_write: bool = False
    usable: bool = True
    file_system: str = "ext4"
    remote: bool = False
    in_memory: bool = False
    modified: float = 0.0
    loose: str = ""
    foreign: str = ""
    idle: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VolumeReading:
    """The file system that the state lies on; `inodes` is 0 where it has no fixed number of them."""

    free: int
    total: int
    inodes_free: int = 0
    inodes: int = 0
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Ailment:
    """A condition that the daemon is in."""

    kind: str
    reason: str
    since: float
    holds: bool


@dataclass(frozen=True, slots=True)
class DaemonReading:
    """The daemon. `holder` holds the lock of the state folder, `elsewhere` that of the jobs folder.

    `version` is "" unless it answered, `fault` says why not; `socket_bytes` is the length of the socket's path.
    """

    socket: str
    socket_bytes: int
    socket_there: bool = False
    socket_private: bool = True
    holder: int | None = None
    elsewhere: int | None = None
    version: str = ""
    ailments: tuple[Ailment, ...] = ()
    fault: str = ""


@dataclass(frozen=True, slots=True)
class SessionReading:
    """What a logout does to this user. `unit` is the path of the service of this jobs folder, "" without one.

    `kills` is logind's KillUserProcesses, `clears` its RemoveIPC, each as it concerns this user.
    """

    user: str
    logind: bool = True
    linger: bool = False
    kills: bool = False
    clears: bool = False
    unit: str = ""


@dataclass(frozen=True, slots=True)
class LimitsReading:
    """Resource limits of the daemon, or of this shell while none runs; `used` counts this user's processes."""

    whose: str
    files: int | None
    files_most: int | None
    processes: int | None
    used: int
    file_size: int | None = None
    core: int | None = 0
    core_beside: bool = False
    cpu: int | None = None
    address: int | None = None


@dataclass(frozen=True, slots=True)
class CgroupReading:
    """The control group, version 0 where there is none; each limit is the tightest up to the top."""

    version: int
    path: str = "/"
    delegated: bool = False
    divided: bool = False
    """Whether our daemon has made groups below it that hold tasks to their claims."""
    memory: int | None = None
    cores: float | None = None
    processes: int | None = None
    processes_now: int = 0


@dataclass(frozen=True, slots=True)
class InotifyReading:
    """Hints that files came; `fault` says why there is none to be had."""

    instances: int
    watches: int
    fault: str = ""


@dataclass(frozen=True, slots=True)
class MachineReading:
    """Kernel and hardware. `lacking` names system calls that Gristmill uses and the kernel refused."""

    kernel: str
    cores: int
    memory: int
    pressure: tuple[str, ...] = ("cpu", "memory", "io")
    oom_counted: bool = True
    overcommit: int = 0
    committed: int = 0
    commit_limit: int = 0
    lacking: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PythonReading:
    """The interpreter. `loose` names what of it others may write to, `path_loose` such entries of PATH."""

    version: tuple[int, int, int]
    executable: str
    there: bool = True
    sqlite: str = ""
    loose: tuple[str, ...] = ()
    path_loose: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SettingsReading:
    """The settings files: `user` for all jobs folders, `folder` for this one.

    `said` has the path of each that is there and what it says, `faults` a line for each problem, which are what a start
    would end with. `polite` says why only a part of the machine may be used now; `disk_kept` are bytes, None where
    they can't be told.
    """

    user: str
    folder: str
    said: tuple[tuple[str, tuple[str, ...]], ...] = ()
    faults: tuple[str, ...] = ()
    polite: str = ""
    disk_kept: int | None = None


@dataclass(frozen=True, slots=True)
class Readings:
    """All that is read, at the time `now`, for Gristmill `version`, as root or not."""

    now: float
    version: str
    root: bool
    jobs: FolderReading
    state: FolderReading
    volume: VolumeReading
    daemon: DaemonReading
    session: SessionReading
    limits: LimitsReading
    cgroup: CgroupReading
    inotify: InotifyReading
    machine: MachineReading
    python: PythonReading
    settings: SettingsReading
