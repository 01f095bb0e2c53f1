"""`grist metrics`: figures of a running daemon, and a file that node_exporter may read at any moment."""

from __future__ import annotations

import os
import stat
import subprocess

from tests.mill import Mill


def value(text: str, start: str) -> float:
    (line,) = [line for line in text.splitlines() if line.startswith(start)]
    return float(line.rpartition(" ")[2])


def test_what_has_run_is_counted_and_the_daemon_is_weighed(mill: Mill) -> None:
    mill.start("--limit", "2")
    mill.drop_claimed("some.toml", 'command = "exit $(({index} / 2))"\n[items]\ntotal = 3\nper_task = 1\n')
    mill.ended("some")
    text = mill.grist("metrics")
    label = f'jobs="{mill.jobs}"'
    assert value(text, f'gristmill_tasks_ended_total{{{label},state="done"}}') == 2
    assert value(text, f'gristmill_tasks_ended_total{{{label},state="failed"}}') == 1
    assert value(text, "gristmill_task_attempts_total") == 3
    assert value(text, f'gristmill_jobs_ended_total{{{label},state="failed"}}') == 1
    assert value(text, "gristmill_task_wall_seconds_total") > 0
    assert 10e6 < value(text, "gristmill_resident_bytes") < 1e9


def test_the_file_is_whole_readable_by_all_and_says_when_nobody_answers(mill: Mill) -> None:
    mill.start("--limit", "1")
    target = mill.base / "out" / "ann.prom"
    assert "may write to" in mill.grist("metrics", "--textfile", str(target), code=2)
    target.parent.mkdir()
    mill.grist("metrics", "--textfile", str(target))
    assert value(target.read_text(), "gristmill_up") == 1
    assert stat.S_IMODE(target.stat().st_mode) == 0o644
    mill.kill()
    mill.grist("metrics", "--textfile", str(target), code=3)
    assert target.read_text().splitlines()[2:] == [f'gristmill_up{{jobs="{mill.jobs}"}} 0']
    assert os.listdir(target.parent) == ["ann.prom"]
    assert "end with .prom" in mill.grist("metrics", "--textfile", str(target.parent / "x"), code=2)
    assert "goes with --textfile" in mill.grist("metrics", "--every", "1s", code=2)


def test_the_file_is_written_again_and_again(mill: Mill) -> None:
    target = mill.base / "ann.prom"
    process = mill.spawn("metrics", "--textfile", str(target), "--every", "50ms", stdout=subprocess.DEVNULL)
    try:
        mill.until(lambda: target.exists() and value(target.read_text(), "gristmill_up") == 0, "not written")
        mill.start("--limit", "1")
        mill.until(lambda: value(target.read_text(), "gristmill_up") == 1, "not written again")
    finally:
        process.terminate()
        process.wait()
