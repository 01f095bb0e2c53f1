"""Control groups found from the kernel's own formats, in a folder that stands for /proc and the mounted trees."""

from __future__ import annotations

from pathlib import Path

from gristmill.supervisor.edge import groups


def world(base: Path, mounts: list[str], membership: str) -> Path:
    """A /proc whose mountinfo and membership are these; {base} in a line is the folder."""
    proc = base / "proc"
    (proc / "self").mkdir(parents=True)
    (proc / "self/mountinfo").write_text("".join(line.format(base=base) + "\n" for line in mounts))
    (proc / "self/cgroup").write_text(membership)
    return proc


def seen(proc: Path) -> dict[str, tuple[Path, ...]]:
    return groups.lineages(groups.hierarchies(proc), groups.memberships("self", proc))


def test_v2_is_walked_up_to_the_top(tmp_path: Path) -> None:
    proc = world(tmp_path, [
        "25 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw",
        "31 23 0:26 / {base}/cg rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot",
    ], "0::/user.slice/user-7.slice/grist.service\n")
    home = tmp_path / "cg/user.slice/user-7.slice/grist.service"
    home.mkdir(parents=True)
    lineage = seen(proc)["memory"]
    assert lineage == (home, home.parent, home.parent.parent, tmp_path / "cg")
    assert seen(proc)["cpu"] == lineage


def test_v1_has_a_tree_for_each_controller_and_blanks_in_its_paths(tmp_path: Path) -> None:
    proc = world(tmp_path, [
        "32 31 0:29 / {base}/my\\040groups/cpu rw - cgroup cgroup rw,cpu,cpuacct",
        "35 31 0:32 / {base}/my\\040groups/memory rw - cgroup cgroup rw,memory",
        "36 31 0:33 / {base}/my\\040groups/systemd rw - cgroup cgroup rw,name=systemd",
        "41 31 0:38 / {base}/my\\040groups/unified rw - cgroup2 cgroup2 rw",
    ], "4:memory:/jobs/a\n2:cpu,cpuacct:/jobs\n1:name=systemd:/init.scope\n0::/init.scope\n")
    base = tmp_path / "my groups"
    for path in ("cpu/jobs", "memory/jobs/a", "unified/init.scope"):
        (base / path).mkdir(parents=True)
    found = seen(proc)
    assert found["cpu"] == found["cpuacct"] == (base / "cpu/jobs", base / "cpu")
    assert found["memory"] == (base / "memory/jobs/a", base / "memory/jobs", base / "memory")
    assert found["pids"] == (base / "unified/init.scope", base / "unified")


def test_a_container_sees_its_part_of_the_tree_under_its_own_mount(tmp_path: Path) -> None:
    proc = world(tmp_path, [
        "35 31 0:32 /docker/c0ffee {base}/memory rw - cgroup cgroup rw,memory",
        "36 31 0:33 /docker/c0ffee {base}/cpu rw - cgroup cgroup rw,cpu",
    ], "4:memory:/docker/c0ffee/inner\n2:cpu:/docker/c0ffee\n")
    (tmp_path / "memory/inner").mkdir(parents=True)
    (tmp_path / "cpu").mkdir()
    assert seen(proc)["memory"] == (tmp_path / "memory/inner", tmp_path / "memory")
    assert seen(proc)["cpu"] == (tmp_path / "cpu",)


def test_a_path_that_means_another_view_is_taken_for_the_top(tmp_path: Path) -> None:
    proc = world(tmp_path, ["31 23 0:26 / {base}/cg rw - cgroup2 cgroup2 rw"], "0::/../elsewhere\n")
    (tmp_path / "cg").mkdir()
    (tmp_path / "elsewhere").mkdir()
    assert seen(proc)["memory"] == (tmp_path / "cg",)


def test_bounds_are_read_as_the_kernel_writes_them(tmp_path: Path) -> None:
    assert groups.quota(tmp_path) is None
    assert groups.memory_bound(tmp_path) is None
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert groups.quota(tmp_path) is None
    (tmp_path / "cpu.max").write_text("250000 100000\n")
    assert groups.quota(tmp_path) == 2.5
    (tmp_path / "memory.max").write_text("max\n")
    assert groups.memory_bound(tmp_path) is None
    (tmp_path / "memory.high").write_text("1073741824\n")
    assert groups.memory_bound(tmp_path) == 1 << 30
    assert groups.least(["9223372036854771712"]) is None  # v1's "no limit"
    assert groups.cores("-1 100000") is None
