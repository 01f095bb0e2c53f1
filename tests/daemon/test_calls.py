"""Jobs of calls, end to end: a function of the user's, called for each task in an interpreter that is warm."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.mill import Mill

MODULE = """
import os, sys, time

TABLE = None

def load():
    global TABLE
    print("loading")
    TABLE = list(range(100))

def square(index):
    return index * index

def look_up(index):
    print("looking up", index)
    return {"value": TABLE[index], "pid": os.getpid(), "spawner": os.getppid()}

def name(layers, word):
    return [layers, word, os.environ["GRIST_LAYERS"]]

def total(start, count):
    return sum(range(start, start + count))

def end(item):
    if item == "raise":
        raise ValueError("no such fold")
    if item == "exit 3":
        sys.exit(3)
    if item == "exit text":
        sys.exit("good-bye")
    if item == "exit 0":
        sys.exit()
    if item == "_exit 4":
        os._exit(4)
    if item == "segfault":
        import ctypes
        ctypes.string_at(0)
    if item == "kill":
        os.kill(os.getpid(), 9)
    if item == "set":
        return {1, 2}
    return item

def odd(item):
    if item == "raise":
        raise ValueError("no file \\udcff, ä")
    return [item, "\\udcff \\U0001f600"]

def linger(index):
    print("begun", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def lab(turning: Mill) -> Mill:
    """A daemon on two workers, with a module beside its jobs folder."""
    (turning.base / "lab.py").write_text(MODULE)
    return turning


def results(mill: Mill, name: str) -> list[Any]:
    """What each item gave, in order."""
    return [json.loads(line)["result"] for line in mill.grist("results", name, "--json").splitlines()]


def log_of(mill: Mill, task: str) -> str:
    return mill.grist("log", task)


BOTH = pytest.mark.parametrize("isolation", ["fork", "reuse"])


@BOTH
def test_what_a_function_returns_is_the_result_of_its_item(lab: Mill, isolation: str) -> None:
    lab.drop("squares.toml", f'call = "lab:square"\nisolation = "{isolation}"\n[items]\ntotal = 20\n')
    assert lab.ended("squares")["state"] == "done"
    assert results(lab, "squares") == [index * index for index in range(20)]


def test_a_function_gets_parameters_or_a_range(lab: Mill) -> None:
    lab.drop("grid.toml", 'call = "lab:name"\n[grid]\nlayers = [1, 2]\nword = ["a b", "$HOME"]\n')
    lab.drop("sums.toml", 'call = "lab:total"\n[items]\ntotal = 10\nper_task = 4\n')
    assert (lab.ended("grid")["state"], lab.ended("sums")["state"]) == ("done", "done")
    assert results(lab, "grid") == [[1, "a b", "1"], [1, "$HOME", "1"], [2, "a b", "2"], [2, "$HOME", "2"]]
    assert list(dict.fromkeys(results(lab, "sums"))) == [0 + 1 + 2 + 3, 4 + 5 + 6 + 7, 8 + 9]


def test_what_is_loaded_once_is_there_in_every_call_and_each_call_has_a_process_and_a_log(lab: Mill) -> None:
    lab.drop("look.toml", 'call = "lab:look_up"\npreload = "lab:load"\n[items]\ntotal = 6\n')
    job = lab.ended("look")
    found = results(lab, "look")
    assert [one["value"] for one in found] == list(range(6))
    assert len({one["pid"] for one in found}) == 6
    assert log_of(lab, "look/4") == "looking up 4\n"
    assert (lab.state / "logs" / str(job["id"]) / "import.log").read_text() == "loading\n"


def test_a_process_that_is_used_again_makes_many_calls_and_each_has_its_own_log(lab: Mill) -> None:
    lab.drop("look.toml", 'call = "lab:look_up"\npreload = "lab:load"\nisolation = "reuse"\n'
                          "recycle = 4\n[items]\ntotal = 12\n[limits]\nworkers = 1\n")
    assert lab.ended("look")["state"] == "done"
    pids = [one["pid"] for one in results(lab, "look")]
    assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [4, 4, 4]
    for index in range(12):
        assert log_of(lab, f"look/{index}") == f"looking up {index}\n"


@BOTH
def test_each_end_is_told_for_what_it_is(lab: Mill, isolation: str) -> None:
    ends = {
        "raise": ("failed", 1, None, "ValueError: no such fold"),
        "exit 3": ("failed", 3, None, "exit 3"),
        "exit text": ("failed", 1, None, "exit 1"),
        "exit 0": ("done", 0, None, ""),
        "_exit 4": ("failed", 4, None, "exit 4"),
        "segfault": ("failed", None, signal.SIGSEGV, "SIGSEGV"),
        "kill": ("failed", None, signal.SIGKILL, "SIGKILL"),
        "set": ("failed", 1, None, "what it returned is not JSON: a set in it has no place there"),
        "all is well": ("done", 0, None, ""),
    }
    lab.drop("ends.toml", f'call = "lab:end"\nisolation = "{isolation}"\n[items]\nlist = {json.dumps(list(ends))}\n')
    assert lab.ended("ends")["items_failed"] == 7
    tasks = lab.tasks("ends")
    told = [(task["state"], task["exit_code"], task["signal"], task["reason"]) for task in tasks]
    assert told == list(ends.values())
    trace = log_of(lab, "ends/0")
    assert trace.startswith("Traceback") and trace.endswith("ValueError: no such fold\n")
    assert "runner.py" not in trace, "a user sees frames of ours"
    assert log_of(lab, "ends/2") == "good-bye\n"
    assert "Segmentation fault" in log_of(lab, "ends/5") and 'lab.py", line' in log_of(lab, "ends/5")
    assert results(lab, "ends") == ["all is well"]


@BOTH
def test_half_a_character_in_what_a_call_says_is_shown_and_stops_nobody(lab: Mill, isolation: str) -> None:
    lab.drop("odd.toml", f'call = "lab:odd"\nisolation = "{isolation}"\n[items]\nlist = ["raise", "give"]\n')
    assert lab.ended("odd")["items_failed"] == 1
    assert lab.tasks("odd")[0]["reason"] == r"ValueError: no file \udcff, ä"
    assert results(lab, "odd") == [["give", "? 😀"]]


@BOTH
def test_timeout_cancel_and_retry_are_what_they_are_for_commands(lab: Mill, isolation: str) -> None:
    lab.drop("slow.toml", f'call = "lab:linger"\nisolation = "{isolation}"\ntimeout = 5\n[items]\ntotal = 2\n')
    lab.ended("slow")
    assert [(task["state"], task["reason"]) for task in lab.tasks("slow")] == [("timeout", "ran longer than 5 s")] * 2
    assert log_of(lab, "slow/1") == "begun\n"
    lab.drop("long.toml", f'call = "lab:linger"\nisolation = "{isolation}"\n[items]\ntotal = 2\n')
    pid = lab.running("long")[0]["pid"]
    lab.grist("cancel", "long")
    assert lab.ended("long")["state"] == "canceled"
    assert not Path("/proc", str(pid)).exists()
    lab.drop("twice.toml", f'call = "lab:end"\nisolation = "{isolation}"\n[items]\nlist = ["raise"]\n'
                           "[retry]\nattempts = 2\nbackoff = 0\n")
    lab.ended("twice")
    assert [(task["state"], task["attempts"]) for task in lab.tasks("twice")] == [("failed", 2)]


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ("lab:sqare", "call: lab has no sqare – it has end, linger, load, look_up, name, odd, square, total"),
        ("lab:TABLE", "call: lab:TABLE is no function, but a NoneType"),
        ("lab:name", "call: lab:name(layers, word) is called with (index): missing a required argument: 'word'"),
        ("lba:square", "importing lba failed: ModuleNotFoundError: No module named 'lba' – its traceback is in {log}"),
        ("broken:f", "importing broken failed: ZeroDivisionError: division by zero – its traceback is in {log}"),
        ("quits:f", "importing quits failed: SystemExit: 5 – its traceback is in {log}"),
        ("dies:f", "importing dies ended its interpreter (exit 6): going down – what it printed is in {log}"),
    ],
)
def test_what_can_not_be_called_fails_the_job_once_and_runs_nothing(lab: Mill, call: str, reason: str) -> None:
    (lab.base / "broken.py").write_text("1 / 0\n")
    (lab.base / "quits.py").write_text("raise SystemExit(5)\n")
    (lab.base / "dies.py").write_text("import os\nprint('going down', flush=True)\nos._exit(6)\n")
    lab.drop("bad.toml", f'call = "{call}"\n[items]\ntotal = 10_000\n')
    job = lab.ended("bad")
    log = lab.state / "logs" / str(job["id"]) / "import.log"
    assert (job["state"], job["reason"]) == ("failed", reason.format(log=log))
    assert (job["items_done"], job["items_failed"]) == (0, 0)
    lab.until((lab.jobs / "failed" / "bad.toml").exists, "the file was not moved to failed/")
    if "traceback" in reason:
        assert "Error: " in log.read_text() or "SystemExit: 5" in log.read_text()
        assert "warm.py" not in log.read_text(), "a user sees frames of ours"


def test_a_job_whose_import_failed_goes_on_once_that_is_mended(lab: Mill) -> None:
    lab.drop("late.toml", 'call = "late:f"\n[items]\ntotal = 3\n')
    assert lab.ended("late")["state"] == "failed"
    (lab.base / "late.py").write_text("def f(index):\n    return index\n")
    lab.grist("retry", "late")
    lab.until(lambda: lab.job("late")["state"] == "done", "it was not run")
    assert results(lab, "late") == [0, 1, 2]


def test_a_job_whose_module_broke_on_the_way_keeps_what_it_has_and_goes_on_when_that_is_mended(lab: Mill) -> None:
    good = "import os\ndef f(index):\n    open('ran', 'a').write(f'{index} ')\n"
    (lab.base / "frail.py").write_text(good.replace("    open", "    if index == 1:\n        1 / 0\n    open"))
    lab.drop("frail.toml", 'call = "frail:f"\n[items]\ntotal = 4\n[retry]\nattempts = 2\nbackoff = "1h"\n')
    lab.until(lambda: lab.job("frail").get("items_done") == 3, "the others were not run")
    lab.kill()
    (lab.base / "frail.py").write_text("1 / 0\n")
    lab.start("--limit", "2")
    job = lab.ended("frail")
    assert job["reason"].startswith("importing frail failed: ZeroDivisionError")
    assert (job["items_done"], job["items_failed"]) == (3, 1)
    (lab.base / "frail.py").write_text(good)
    lab.grist("retry", "frail")
    lab.until(lambda: lab.job("frail")["state"] == "done", "it did not go on")
    assert lab.job("frail")["items_done"] == 4
    assert sorted((lab.base / "ran").read_text().split()) == ["0", "1", "2", "3"]


def test_while_a_module_is_imported_its_job_says_so_and_others_run(lab: Mill) -> None:
    gate = lab.base / "gate"
    os.mkfifo(gate)
    (lab.base / "slow.py").write_text(f"open({str(gate)!r}).close()\ndef f(index):\n    return index\n")
    lab.drop("slow.toml", 'call = "slow:f"\npriority = 5\n[items]\ntotal = 3\n')
    lab.until(lambda: lab.job("slow").get("reason", "").startswith("importing slow: "), "it does not say what it does")
    lab.drop("quick.toml", 'command = "true"\n[items]\ntotal = 10\n')
    assert lab.ended("quick")["state"] == "done"
    assert lab.job("slow")["tasks_running"] == 0
    with open(gate, "w"):
        pass
    assert lab.ended("slow")["items_done"] == 3


def test_a_module_that_was_edited_is_imported_again_for_the_next_job(lab: Mill) -> None:
    (lab.base / "model.py").write_text("def f(index):\n    return 'old'\n")
    lab.drop("first.toml", 'call = "model:f"\n')
    lab.ended("first")
    lab.drop("second.toml", 'call = "model:f"\n[items]\ntotal = 1\n')
    lab.ended("second")
    (lab.base / "model.py").write_text("def f(index):\n    return 'the new one'\n")
    lab.drop("third.toml", 'call = "model:f"\n[items]\ntotal = 1\n')
    lab.ended("third")
    assert (results(lab, "second"), results(lab, "third")) == (["old"], ["the new one"])
    assert lab.job("first")["state"] == "failed"  # f() without items


def test_calls_and_commands_share_the_workers_that_there_are(mill: Mill) -> None:
    (mill.base / "lab.py").write_text(MODULE)
    mill.start("--limit", "1")
    for number in range(3):
        mill.drop(f"calls-{number}.toml", f'call = "lab:square"\nname = "calls-{number}"\n'
                                          f"[items]\ntotal = {3 + number}\n")
        mill.drop(f"commands-{number}.toml", f'command = "true"\nname = "commands-{number}"\n[items]\ntotal = 3\n')
    for number in range(3):
        assert mill.ended(f"calls-{number}")["state"] == "done"
        assert mill.ended(f"commands-{number}")["state"] == "done"
