"""Calls on a node, made by `node.py` and `callee.py` as an engine would start them, with no engine there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from gristmill.supervisor import errand
from gristmill.supervisor.beyond import PROGRAMS
from gristmill.supervisor.edge import outcome
from gristmill.supervisor.edge.chunks import Chunks
from gristmill.supervisor.executors import callee

MODULE = """
import os, subprocess, sys, time
loads = []
def load():
    loads.append(os.getpid())
    print("loading")
def cube(n):
    print("cube of", n, os.environ["WORD"], sys.stdin.read())
    return {"cube": n ** 3, "loads": len(loads), "own": loads == [os.getpid()], "pid": os.getpid()}
def fail(n):
    raise ValueError("no " + str(n))
def leave(n):
    sys.exit(n)
def hang(n):
    if n == 1:
        subprocess.Popen(["sleep", "4711"], start_new_session=True)
        time.sleep(60)
    return n
def forget(n):
    subprocess.Popen(["sleep", "4711"], start_new_session=True)
    return n
def die(n):
    if n == 1:
        os.kill(os.getpid(), 9)
    return n
def odd(n):
    return [float("nan"), (1, 2)] if n == 1 else object()
"""
FORK: None = None
REUSE = [None, 1 << 30]


class Slot:
    """A chunk of calls of one function, in one slot."""

    def __init__(self, base: Path, function: str, recycle: Any, count: int = 3, **context: Any) -> None:
        base.joinpath("cubes.py").write_text(MODULE)
        self.chunks = Chunks(base / "shared", PROGRAMS)
        self.chunks.home(1, None, None)
        self.name = self.chunks.reserve(1)
        call = {"target": f"cubes:{function}", "preload": "cubes:load", "path": [str(base)], "recycle": recycle}
        shared: dict[str, Any] = {
            "cwd": str(base), "env": {"WORD": "heard"}, "ahead": {}, "unset": [], "timeout": None, "grace": 1.0,
            "nice": 0, "wait": False, "most": None, "err": False, "call": call, **context,
        }  # fmt: skip
        orders = [{"do": f"1.{n}.1", "env": {}, "argv": [], "args": [], "kwargs": {"n": n}, "stdin": f"in {n}"}
                  for n in range(count)]  # fmt: skip
        script = errand.slot_script(str(self.chunks.path(self.name)), sys.executable, "", own=False)
        head = {"v": 1, "pack": count, "slots": 1, "most": None, "context": shared}
        self.chunks.fill(self.name, head, orders, script)
        self.command = ["sh", str(self.chunks.path(self.name) / "slot"), "0"]
        self.count = count

    def run(self) -> list[dict[str, Any]]:
        """The records, once the slot has ended."""
        done = subprocess.run(self.command, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        return self.records()

    def records(self) -> list[dict[str, Any]]:
        found = self.chunks.records(self.name, range(self.count))
        return [found[index] for index in sorted(found)]

    def log(self, record: dict[str, Any]) -> str:
        return Path(record["log"]).read_text()


def _values(records: list[dict[str, Any]]) -> list[Any]:
    return [json.loads(record["value"]) for record in records]


@pytest.mark.parametrize("recycle", [FORK, REUSE])
def test_a_slot_loads_once_and_calls_each(tmp_path: Path, recycle: Any) -> None:
    slot = Slot(tmp_path, "cube", recycle)
    records = slot.run()
    values = _values(records)
    assert [value["cube"] for value in values] == [0, 1, 8]
    assert {value["loads"] for value in values} == {1}
    assert {value["own"] for value in values} == {recycle is not FORK}
    assert len({value["pid"] for value in values}) == (3 if recycle is FORK else 1)
    assert [slot.log(record).replace("loading\n", "") for record in records] == [
        f"cube of {n} heard in {n}\n" for n in range(3)
    ]
    assert {(record["code"], record["signal"], record["why"]) for record in records} == {(0, None, None)}


def test_a_process_that_made_enough_calls_gives_way_to_another(tmp_path: Path) -> None:
    pids = [value["pid"] for value in _values(Slot(tmp_path, "cube", [2, None], count=5).run())]
    assert pids[0] == pids[1] != pids[2] == pids[3] != pids[4]


@pytest.mark.parametrize("recycle", [FORK, REUSE])
def test_a_call_that_fails_says_why(tmp_path: Path, recycle: Any) -> None:
    slot = Slot(tmp_path, "fail", recycle)
    record = slot.run()[2]
    assert (record["code"], record["raised"]) == (1, "ValueError: no 2")
    assert 'raise ValueError("no " + str(n))' in slot.log(record)
    assert "callee.py" not in slot.log(record)
    assert [record["code"] for record in Slot(tmp_path, "leave", recycle).run()] == [0, 1, 2]


@pytest.mark.parametrize("recycle", [FORK, REUSE])
def test_a_call_that_is_killed_takes_no_other_with_it(tmp_path: Path, recycle: Any) -> None:
    ends = [(record["code"], record["signal"]) for record in Slot(tmp_path, "die", recycle).run()]
    assert ends == [(0, None), (None, 9), (0, None)]


@pytest.mark.parametrize("recycle", [FORK, REUSE])
def test_a_timeout_ends_the_call_and_what_it_started(tmp_path: Path, recycle: Any) -> None:
    slot = Slot(tmp_path, "hang", recycle, timeout=0.5)
    records = slot.run()
    assert [record["why"] for record in records] == [None, "timeout", None]
    assert records[1]["wall"] < 3
    assert not _left(slot)


@pytest.mark.parametrize("recycle", [FORK, REUSE])
def test_what_a_call_leaves_behind_is_ended_and_the_next_one_is_made(tmp_path: Path, recycle: Any) -> None:
    slot = Slot(tmp_path, "forget", recycle)
    assert _values(slot.run()) == [0, 1, 2]
    assert not _left(slot)


def _left(slot: Slot) -> list[int]:
    """Processes that have the chunk's result in their environment."""
    mark, found = str(slot.chunks.path(slot.name)).encode(), []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if mark in Path(f"/proc/{pid}/environ").read_bytes():
                found.append(int(pid))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("recycle", [FORK, REUSE])
def test_what_cannot_be_imported_is_told_of_each_task(tmp_path: Path, recycle: Any) -> None:
    records = Slot(tmp_path, "nothing", recycle).run()
    assert {(record["code"], record["text"]) for record in records} == {(126, "cannot start: cubes has no nothing")}


@pytest.mark.parametrize("recycle", [FORK, REUSE])
def test_one_that_is_told_to_end_leaves_the_rest_to_others(tmp_path: Path, recycle: Any) -> None:
    slot = Slot(tmp_path, "hang", recycle)
    process = subprocess.Popen(slot.command)
    claim = slot.chunks.path(slot.name) / "rec" / "1.claim"
    end = time.monotonic() + 60
    while not claim.exists():
        assert time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert [record["why"] for record in slot.records()] == [None, "term"]
    assert not (slot.chunks.path(slot.name) / "rec" / "2.claim").exists()
    assert not _left(slot)


class Array:
    def tolist(self) -> list[float]:
        return [1.0, float("inf")]


@pytest.mark.parametrize(
    "value", [1, 1.5, float("nan"), "ä\udc80", [1, (2, {"a": float("inf")})], {"x": Array()}, None, True]
)
def test_what_a_call_returns_is_written_as_here(value: Any) -> None:
    assert callee.encode(value) == outcome.encode_value(value)


@pytest.mark.parametrize("value", [object(), {1, 2}, 1 + 2j, {(1, 2): 3}])
def test_what_is_no_json_is_refused_as_here(value: Any) -> None:
    with pytest.raises(outcome.UnfitError) as here:
        outcome.encode_value(value)
    with pytest.raises(callee.UnfitError) as there:
        callee.encode(value)
    assert str(there.value) == str(here.value)
