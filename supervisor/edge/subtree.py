"""The part of the control group tree (v2) that was given to us, where one was: a leaf for each worker.

Owns making and removing the leaves. What a leaf says is written by its worker (see `worker.Group`), and which group is
ours to divide is decided in `core.subtree`. Nothing here raises: without a part of the tree all goes on without.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection
from pathlib import Path

from gristmill.supervisor.core import subtree
from gristmill.supervisor.edge import groups

DELEGATED = "user.delegate"
"""What systemd marks a group with that it has given away, for all to read."""


class Subtree:
    """Our leaves. `reason` says why there are none, "" where there are."""

    def __init__(self, name: str, proc: Path = groups.PROC) -> None:
        """`name` is this daemon's among those that share a part of the tree."""
        self._prefix, self._proc = f"grist-{name}-", proc
        self._top: Path | None = None
        self._left: set[Path] = set()  # to be removed when the last of their processes has gone
        self.reason = "not asked for"

    def open(self, runs: Collection[int]) -> None:
        """Divides the group that we are in, if it is ours; leaves of other runs than these are removed."""
        try:
            self.reason = self._divide()
        except OSError as error:
            self.reason = f"{error.filename or 'a control group'}: {error.strerror}"
        if self.reason:
            self._top = None
            return
        kept = {f"{self._prefix}{run}" for run in runs}
        assert self._top is not None
        self._left = {leaf for leaf in self._top.glob(f"{self._prefix}*") if leaf.name not in kept}
        self._sweep()

    def _divide(self) -> str:
        """Finds our part and puts ourselves into our leaf; why that can't be, or ""."""
        mount = groups.hierarchies(self._proc).get("")
        if mount is None:
            return "there are no control groups of version 2"
        home = subtree.home(groups.memberships("self", self._proc).get("", "/"))
        if isinstance(home, str):
            return home
        self._top = top = mount / home.path.lstrip("/")
        control = top / "cgroup.subtree_control"
        if not all(os.access(path, os.W_OK) for path in (top, top / "cgroup.procs", control)):
            return "it is not delegated to us"
        if top.name.endswith(".scope") and not _is_given(top):
            return "it is not delegated to us"
        there = [name for name in subtree.CONTROLLERS if name in groups.word(top / "cgroup.controllers").split()]
        if not there:
            return "it has neither the memory nor the cpu controller"
        strangers = set(groups.word(top / "cgroup.procs").split()) - {str(os.getpid())}
        if strangers:
            return f"other processes are in it: {', '.join(sorted(strangers)[:5])}"
        leaf = top / subtree.LEAF
        leaf.mkdir(exist_ok=True)
        if home.moves:
            (leaf / "cgroup.procs").write_text(str(os.getpid()))
        for name in there:
            control.write_text(f"+{name}")
        if "cpu" in there:
            (leaf / "cpu.weight").write_text(str(subtree.DAEMON_WEIGHT))
        return ""

    def leaf(self, run: int) -> str:
        """Makes the leaf of a worker; its path, or "" where there are none."""
        if self._top is None:
            return ""
        self._sweep()
        path = self._top / f"{self._prefix}{run}"
        try:
            path.mkdir(exist_ok=True)
        except OSError:
            return ""  # no more groups are allowed, or ours was taken away
        return str(path)

    def remove(self, run: int) -> None:
        """Removes the leaf of a run, as soon as nothing lives in it any more."""
        if self._top is not None:
            self._left.add(self._top / f"{self._prefix}{run}")
            self._sweep()

    def _sweep(self) -> None:
        for path in sorted(self._left):
            try:
                for folder, _, _ in os.walk(path, topdown=False):  # a task may have made some below
                    os.rmdir(folder)
            except OSError as error:
                if error.errno in (errno.EBUSY, errno.ENOTEMPTY):
                    continue  # something lives there: with the next leaf it is tried again
            self._left.discard(path)


def _is_given(group: Path) -> bool:
    """Whether systemd has delegated a scope."""
    try:
        return os.getxattr(group, DELEGATED) == b"1"
    except OSError:
        return False
