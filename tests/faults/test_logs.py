"""Logs that grow without end, or hold one endless line: the limit holds, and nobody's memory grows."""

from __future__ import annotations

import sys

import psutil
import pytest

from tests.mill import Mill

MB = 1 << 20
FLOOD = """
import os, sys
for number in range(200_000):
    os.write(1, b"line %07d of a task that says too much\\n" % number)
"""
ENDLESS = """
import os, sys, time
block = (b"x" * 997 + b"\\0\\x1b]52;c;aGFjaw==\\x07\\xc2\\x9b") * 1000
for _ in range(100):
    os.write(1, block)
open("written", "w").close()
while not os.path.exists("go"):
    time.sleep(0.05)
"""


def rss(pid: int) -> int:
    return int(psutil.Process(pid).memory_info().rss)


def test_a_log_past_its_limit_loses_its_middle_and_says_so(turning: Mill) -> None:
    (turning.base / "flood.py").write_text(FLOOD)
    turning.drop("flood.toml", f'command = ["{sys.executable}", "flood.py"]\n[limits]\nlog = "256 KiB"\n')
    turning.ended("flood")
    (task,) = turning.tasks("flood")
    assert task["state"] == "done"
    assert "of its log were left out (limits.log)" in task["reason"]
    with open(task["log"], "rb") as file:
        lines = file.read().split(b"\n")
    assert sum(map(len, lines)) + len(lines) <= 1 << 18
    mark = next(number for number, line in enumerate(lines) if line.startswith(b"[gristmill: "))
    assert b"bytes left out here: limits.log = 262144" in lines[mark]
    numbers = [int(line.split()[1]) for line in lines if line.startswith(b"line ") and line.endswith(b"much")]
    assert numbers[:1000] == list(range(1000)), "the beginning is gone"
    assert numbers == sorted(numbers), "lines were mixed up"
    assert numbers[-1] == 199_999, "the end is gone"


def test_a_log_within_its_limit_is_kept_whole(turning: Mill) -> None:
    turning.drop("small.toml", 'command = "seq 1 2000"\n[limits]\nlog = "64 KiB"\n')
    turning.ended("small")
    assert turning.grist("log", "small").split() == [str(number) for number in range(1, 2001)]
    assert turning.tasks("small")[0]["reason"] == ""


@pytest.mark.parametrize("limit", ["", '[limits]\nlog = "1 MiB"\n'], ids=["whole", "with a limit"])
def test_an_endless_line_costs_nobody_memory(turning: Mill, limit: str) -> None:
    assert turning.process is not None
    turning.drop("first.toml", 'command = "true"\n')
    turning.ended("first")
    (turning.base / "endless.py").write_text(ENDLESS)
    turning.drop("endless.toml", f'command = ["{sys.executable}", "endless.py"]\n{limit}')
    daemon = psutil.Process(turning.process.pid)
    before = rss(daemon.pid)
    (task,) = turning.running("endless")
    worker = psutil.Process(task["pid"]).parent()
    assert worker is not None
    most = 0
    while not (turning.base / "written").exists():
        turning.status()
        most = max(most, rss(worker.pid))
    (turning.base / "go").touch()
    turning.ended("endless")
    (task,) = turning.tasks("endless")
    with open(task["log"], "rb") as file:
        size = file.seek(0, 2)
    assert size == 100_000 * 1016 if not limit else size <= MB
    assert rss(daemon.pid) - before < 8 * MB
    assert most < 32 * MB


def test_standard_error_has_a_file_of_its_own_where_the_job_says_so(turning: Mill) -> None:
    turning.drop("both.toml", """stderr = "own"
command = "echo out; echo err >&2; while ! test -e go; do sleep 0.05; done; echo last >&2"
""")
    turning.running("both")
    turning.until(lambda: turning.grist("log", "--err", "both") == "err\n", "standard error is not there yet")
    assert turning.grist("log", "both") == "out\n"
    (turning.base / "go").touch()
    turning.ended("both")
    assert turning.grist("log", "both") == "out\n"
    assert turning.grist("log", "--err", "both") == "err\nlast\n"
    turning.drop("quiet.toml", 'stderr = "own"\ncommand = "echo out"\n')
    turning.ended("quiet")
    assert "has written nothing" in turning.grist("log", "--err", "quiet")
