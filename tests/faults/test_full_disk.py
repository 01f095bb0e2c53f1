"""A full disk: nothing new is started and why is said, what runs is not cut, exits are kept; all goes on by itself."""

from __future__ import annotations

import errno
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.shim import Shim
from tests.faults.witness import cpu_s
from tests.mill import Mill

WORK = """command = "while ! test -e go; do sleep 0.05; done; echo {index} >> done; exit {index}"
[items]
total = 6
per_task = 1
"""


def check_all_ended(mill: Mill) -> None:
    """Six tasks, each run once, each exit code right."""
    mill.ended("work")
    assert [task["exit_code"] for task in mill.tasks("work")] == list(range(6))
    assert [task["attempts"] for task in mill.tasks("work")] == [1] * 6
    assert sorted((mill.base / "done").read_text().split()) == list("012345")


PLACES = {"logs": ["logs"], "database": ["queue.db", "queue.db-wal"], "run folders": ["runs"], "all": [""]}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("killed", [False, True], ids=["", "killed while full"])
def test_no_room(mill: Mill, shim: Shim, place: str, killed: bool) -> None:
    """A quota on one folder, or on all that is ours; some of what ran then ends while nothing can be written."""
    mill.start("--limit", "2")
    mill.drop_claimed("work.toml", WORK)
    mill.running("work", 2)
    full = [shim.fill(mill.state / name) for name in PLACES[place]]
    (mill.base / "go").touch()
    mill.until((mill.base / "done").exists, "a running task was cut")
    if place in ("database", "all"):
        mill.until(lambda: mill.status()["daemon"]["state"] == "held", "not held")
        assert any(map(shim.hits, full))
    if killed:
        mill.kill()
        met = [shim.hits(fault) for fault in full]
        mill.begin("--limit", "2")
        mill.until(lambda: [shim.hits(fault) for fault in full] != met or mill.ask("status"), "it has not come so far")
    for fault in full:
        shim.heal(fault)
    if killed:
        mill.ready()
    check_all_ended(mill)
    mill.until(lambda: mill.status()["daemon"]["state"] == "ok", "the state is not left by itself")
    mill.drop("after.toml", 'command = "echo words"\n')
    assert mill.ended("after")["state"] == "done"
    assert mill.grist("log", "after") == "words\n"


ROW = """
import os, time
def step(index):
    with open("done", "ab", buffering=0) as file:
        file.write(b"%d\\n" % index)
    if index == 400:
        open("there", "w").close()
        while not os.path.exists("go"):
            time.sleep(0.02)
    return index
"""
CALLS = 1500
"""More than two steps of room in a journal hold, which is set aside before they are claimed."""


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("killed", [False, True], ids=["", "killed while full"])
def test_no_room_while_calls_stand_in_a_row(mill: Mill, shim: Shim, place: str, killed: bool) -> None:
    """None of them is lost or made twice, and what each returned is there in the end."""
    (mill.base / "steps.py").write_text(ROW)
    python = mill.base / "python"  # that of calls has none of our variables, by which the shim is told
    python.write_text("\n".join([
        "#!/bin/sh", *(f"export {name}={shlex.quote(value)}" for name, value in shim.env.items()),
        f'exec {shlex.quote(sys.executable)} "$@"',
    ]))
    python.chmod(0o700)
    mill.start("--limit", "1")
    mill.drop_claimed("row.toml", f"""call = "steps:step"
isolation = "reuse"
python = "./python"
items = {{ total = {CALLS} }}
""")
    mill.until((mill.base / "there").exists, "they are not called")
    full = [shim.fill(mill.state / name) for name in PLACES[place]]
    (mill.base / "go").touch()
    if place in ("run folders", "all"):  # what is written elsewhere may fit into what is there
        mill.until(lambda: any(map(shim.hits, full)), "nobody met the full disk")
    if killed:
        mill.kill()
        mill.begin("--limit", "1")
    mill.after(0.5)
    for fault in full:
        shim.heal(fault)
    if killed:
        mill.ready()
    job = mill.ended("row")
    assert (job["state"], job["items_done"]) == ("done", CALLS)
    assert sorted(map(int, (mill.base / "done").read_text().split())) == list(range(CALLS))
    rows = [json.loads(line) for line in mill.grist("results", "row", "--json").splitlines()]
    assert [row["result"] for row in rows] == list(range(CALLS))
    mill.until(lambda: mill.status()["daemon"]["state"] == "ok", "the state is not left by itself")


def test_a_database_without_room_holds_new_tasks_and_says_so(mill: Mill, shim: Shim) -> None:
    mill.start("--limit", "2")
    mill.drop_claimed("work.toml", WORK)
    mill.running("work", 2)
    full = [shim.fill(mill.state / name) for name in PLACES["database"]]
    (mill.base / "go").touch()
    words = mill.until(lambda: (d := mill.status()["daemon"])["state"] == "held" and d["reason"], "not held")
    assert words.startswith("the database can't be written")
    assert "HELD" in mill.grist("status")
    assert "nothing can be taken in now" in mill.grist("add", "--", "true", code=2)
    for fault in full:
        shim.heal(fault)
    check_all_ended(mill)
    assert not mill.condition("database")


def test_folders_that_can_be_made_and_not_written_to(mill: Mill, shim: Shim) -> None:
    """As with a quota of blocks: a worker comes to be and can write nothing down. It is not replaced without end."""
    full = shim.fail(errno.ENOSPC, "write", "grow", below=mill.state / "runs")
    mill.start("--limit", "2")
    assert mill.process is not None
    (mill.base / "go").touch()
    mill.drop("work.toml", WORK)
    held = mill.until(lambda: (d := mill.ask("status")["daemon"])["state"] == "held" and d, "not held")
    assert held["conditions"][0]["kind"] == "run folders"
    before, hits = cpu_s(mill.process.pid), shim.hits(full)
    mill.after(3)
    assert cpu_s(mill.process.pid) - before < 1.0
    assert shim.hits(full) - hits < 60, "it is tried again and again"
    shim.heal(full)
    check_all_ended(mill)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Mill]:
    """A mill whose state lies on a file system of 8 MB; root alone may mount one."""
    if os.geteuid() != 0:
        pytest.skip("a small file system can be mounted by root alone; the quota shim tries the same")
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", place], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"no tmpfs here: {done.stderr.decode()}")
    with Mill(tmp_path) as made:
        made.state = place / "state"
        yield made
    subprocess.run(["umount", "-l", place], check=True)


def test_a_truly_full_disk(small: Mill) -> None:
    """A stranger fills the file system to the last byte; the daemon is killed and comes again."""
    small.start("--limit", "2", "--disk-reserve", "1 B")
    small.drop_claimed("work.toml", WORK)
    small.running("work", 2)
    ballast = small.state.parent / "ballast"
    with open(ballast, "wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(bytes(4096))
    (small.base / "go").touch()
    held = small.until(lambda: (d := small.status()["daemon"])["state"] == "held" and d, "not held")
    assert held["reason"]
    small.kill()
    small.start("--limit", "2", "--disk-reserve", "1 B")
    small.until(lambda: small.status()["daemon"]["state"] == "held", "not held after the restart")
    ballast.unlink()
    check_all_ended(small)
    small.until(lambda: small.status()["daemon"]["state"] == "ok", "the state is not left by itself")
