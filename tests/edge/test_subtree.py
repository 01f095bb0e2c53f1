"""Leaves of a control group tree, on a real tree of folders whose files are as the kernel has them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gristmill.supervisor.edge.subtree import Subtree


class Tree:
    """A unified hierarchy in which the daemon is in group `/mine`."""

    def __init__(self, base: Path) -> None:
        self.base, self.proc, self.mine = base, base / "proc", base / "cg" / "mine"
        (self.proc / "self").mkdir(parents=True)
        (self.proc / "self/mountinfo").write_text(f"31 23 0:26 / {base}/cg rw - cgroup2 cgroup2 rw\n")
        self.mine.mkdir(parents=True)
        self.put("/mine")
        self.say("cgroup.controllers", "cpuset cpu io memory pids")
        self.say("cgroup.subtree_control", "")
        self.say("cgroup.procs", f"{os.getpid()}\n")

    def put(self, path: str) -> None:
        (self.proc / "self/cgroup").write_text(f"0::{path}\n")

    def say(self, name: str, text: str) -> None:
        (self.mine / name).write_text(text)

    def open(self, *runs: int) -> Subtree:
        found = Subtree("ab", self.proc)
        found.open(runs)
        return found

    def leaves(self) -> list[str]:
        return sorted(path.name for path in self.mine.iterdir() if path.is_dir())


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_the_daemon_goes_into_its_leaf_and_each_worker_has_one(tree: Tree) -> None:
    subtree = tree.open()
    assert subtree.reason == ""
    assert (tree.mine / "daemon/cgroup.procs").read_text() == str(os.getpid())
    assert (tree.mine / "cgroup.subtree_control").read_text() == "+cpu"  # the last of what was written
    assert subtree.leaf(3) == str(tree.mine / "grist-ab-3")
    subtree.leaf(4)
    assert tree.leaves() == ["daemon", "grist-ab-3", "grist-ab-4"]
    subtree.remove(3)
    assert tree.leaves() == ["daemon", "grist-ab-4"]


def test_a_daemon_that_systemd_put_into_its_leaf_stays_there(tree: Tree) -> None:
    (tree.mine / "daemon").mkdir()
    tree.put("/mine/daemon")
    tree.say("cgroup.procs", "")
    assert tree.open().reason == ""
    assert not (tree.mine / "daemon/cgroup.procs").exists()


def test_a_leaf_in_which_something_lives_goes_later(tree: Tree) -> None:
    subtree = tree.open()
    process = Path(subtree.leaf(3)) / "living"
    process.touch()  # what keeps a folder from being removed, as a process keeps a group
    subtree.remove(3)
    assert "grist-ab-3" in tree.leaves()
    process.unlink()
    (tree.mine / "grist-ab-3" / "made by the task").mkdir()
    subtree.leaf(4)
    assert tree.leaves() == ["daemon", "grist-ab-4"]


def test_leaves_of_workers_that_are_gone_are_cleared_at_a_start_and_no_others(tree: Tree) -> None:
    for name in ("grist-ab-1", "grist-ab-2", "grist-cd-1", "other"):
        (tree.mine / name).mkdir()
    tree.open(2)
    assert tree.leaves() == ["daemon", "grist-ab-2", "grist-cd-1", "other"]


@pytest.mark.parametrize(("name", "text", "why"), [
    ("cgroup.controllers", "pids", "neither the memory nor the cpu"),
    ("cgroup.procs", "1\n", "other processes"),
])  # fmt: skip
def test_what_can_not_be_divided_is_left_alone_and_said(tree: Tree, name: str, text: str, why: str) -> None:
    tree.say(name, text)
    subtree = tree.open()
    assert why in subtree.reason
    assert subtree.leaf(1) == ""
    subtree.remove(1)
    assert tree.leaves() == []


def test_where_there_are_no_groups_of_version_2_nothing_is_done(tree: Tree) -> None:
    (tree.proc / "self/mountinfo").write_text("")
    assert "version 2" in tree.open().reason


def test_a_scope_that_nobody_delegated_is_left_alone(tree: Tree) -> None:
    scope = tree.base / "cg" / "shell.scope"
    tree.mine.rename(scope)
    tree.mine = scope
    tree.put("/shell.scope")
    assert "not delegated" in tree.open().reason
    try:
        os.setxattr(scope, "user.delegate", b"1")
    except OSError:
        pytest.skip("this file system keeps no attributes of users")
    assert tree.open().reason == ""
