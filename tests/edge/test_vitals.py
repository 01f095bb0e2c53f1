"""The machine core by core, from files as the kernel writes them."""

from pathlib import Path

from gristmill.supervisor.edge.vitals import Vitals


def stat(proc: Path, *busy: int) -> None:
    lines = ["cpu  1 2 3 4 5 6 7 8 0 0"]
    lines += [f"cpu{number} {each} 0 0 {1000 - each} 0 0 0 0 0 0" for number, each in enumerate(busy)]
    (proc / "stat").write_text("\n".join([*lines, "intr 0", ""]))


def test_how_busy_a_core_was_is_told_from_two_looks(tmp_path: Path) -> None:
    stat(tmp_path, 0, 0)
    now = [100.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds
        (tmp_path / "stat").write_text("cpu0 50 0 0 1050 0 0 0 0\ncpu1 10 0 25 1065 0 0 0 0\n")

    vitals = Vitals({}, tmp_path, lambda: now[0], sleep)
    assert [(core.number, core.percent) for core in vitals.cores()] == [(0, 50.0), (1, 35.0)]
    assert [core.percent for core in vitals.cores()] == [50.0, 35.0], "too soon for another look"
    now[0] += 1
    (tmp_path / "stat").write_text("cpu0 50 0 0 1150 0 0 0 0\ncpu1 110 0 25 1065 0 0 0 0\n")
    assert [core.percent for core in vitals.cores()] == [0.0, 100.0]


def test_memory_is_in_bytes(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal:  2048 kB\nSwapFree:  1 kB\nHugePages_Total:   3\n")
    assert Vitals({}, tmp_path).memory() == {"MemTotal": 2 << 20, "SwapFree": 1024, "HugePages_Total": 3}


def test_each_disk_is_named_once_and_a_missing_folder_has_none(tmp_path: Path) -> None:
    (disk,) = Vitals({"state": tmp_path, "jobs": tmp_path, "gone": tmp_path / "gone"}, tmp_path).disks()
    assert (disk.what, disk.path) == ("state, jobs", str(tmp_path))
    assert 0 < disk.free_bytes <= disk.total_bytes
