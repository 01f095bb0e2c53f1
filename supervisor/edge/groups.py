"""Control groups, v1 and v2: which ones a process is in, from its own up to the top that can be seen, and their files.

It knows where groups are and what bounds them; what a bound means for us is for its callers to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

CONTROLLERS = ("memory", "cpu", "pids", "cpuacct")
UNBOUND = 1 << 60
"""A v1 memory limit from here on means none."""
MEMORY = ("memory.max", "memory.high", "memory.limit_in_bytes")
"""Files that bound a group's memory."""
PROC = Path("/proc")


def hierarchies(proc: Path = PROC) -> dict[str, Path]:
    """Where each v1 controller is mounted, and the unified hierarchy under the name ""."""
    return {name: point for name, (point, _) in _mounts(proc).items()}


def memberships(pid: int | str, proc: Path = PROC) -> dict[str, str]:
    """The path of the process in each hierarchy, as seen from its mount and named as by `hierarchies`."""
    roots = {name: root for name, (_, root) in _mounts(proc).items()}
    found = {}
    text = (proc / str(pid) / "cgroup").read_text(encoding="utf-8", errors="surrogateescape")
    for line in text.splitlines():
        _, names, path = line.split(":", 2)
        for name in names.split(","):
            root = roots.get(name, "/")
            inside = root != "/" and (path + "/").startswith(root + "/")  # a container that sees its part of the tree
            found[name] = (path[len(root) :] or "/") if inside else path
    return found


def _mounts(proc: Path) -> dict[str, tuple[Path, str]]:
    """(mount point, what of the hierarchy is mounted there) of each controller; the first mount counts."""
    found: dict[str, tuple[Path, str]] = {}
    text = (proc / "self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    for line in text.splitlines():
        ours, _, theirs = line.partition(" - ")
        kind, _, options = theirs.split(" ", 2)
        root, point = (_plain(word) for word in ours.split(" ")[3:5])
        if kind == "cgroup2":
            found.setdefault("", (Path(point), root))
        elif kind == "cgroup":
            for name in set(options.split(",")) & set(CONTROLLERS):
                found.setdefault(name, (Path(point), root))
    return found


def _plain(word: str) -> str:
    r"""A path of mountinfo, where blanks and backslashes are written like \040."""
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), word)


def lineages(mounts: Mapping[str, Path], paths: Mapping[str, str]) -> dict[str, tuple[Path, ...]]:
    """For each controller our group and all above it, innermost first; a v2 controller is found under its name too."""
    found = {name: _lineage(mount, paths.get(name, "/")) for name, mount in mounts.items()}
    if "" in found:
        for name in CONTROLLERS:
            found.setdefault(name, found[""])
    return found


def _lineage(mount: Path, path: str) -> tuple[Path, ...]:
    home = mount / path.lstrip("/")
    if ".." in path.split("/") or not home.is_dir():
        home = mount  # the path means another view of the tree, as in a container
    return (home, *(above for above in home.parents if above.is_relative_to(mount)))


def word(path: Path) -> str:
    """The content of a file of the kernel's, "" where there is none: a controller that is off, or the top group."""
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def memory_bound(group: Path) -> int | None:
    """The memory in bytes that a group may have. `memory.high` bounds too: past it the kernel stalls who allocates."""
    return least(word(group / name) for name in MEMORY)


def least(words: Iterable[str]) -> int | None:
    """The least of some memory limits as the kernel writes them."""
    return min((int(each) for each in words if each.isdigit() and int(each) < UNBOUND), default=None)


def quota(group: Path) -> float | None:
    """The cores that a group's CPU quota comes to."""
    return cores(word(group / "cpu.max") or f"{word(group / 'cpu.cfs_quota_us')} {word(group / 'cpu.cfs_period_us')}")


def cores(text: str) -> float | None:
    """The cores of "quota period", the way cpu.max has it; None where it sets none."""
    most, _, period = text.partition(" ")
    return int(most) / int(period) if most.isdigit() and period.isdigit() else None


def narrowest(found: Iterable[tuple[float | None, Path]]) -> tuple[float, Path] | None:
    """The least of (bound, group), None where nothing bounds."""
    return min(((bound, group) for bound, group in found if bound is not None), default=None)
