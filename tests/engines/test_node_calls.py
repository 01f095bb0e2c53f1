"""Calls on a node, made by `node.py` as an engine would start them, with no engine there."""

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
from gristmill.supervisor.edge.chunks import Chunks
from gristmill.supervisor.executors import node_call
from gristmill.supervisor.worker import outcome

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

    def __init__(
        self, base: Path, function: str, recycle: Any, count: int = 3, module: str = "cubes", **context: Any
    ) -> None:
        base.joinpath("cubes.py").write_text(MODULE)
        self.chunks = Chunks(base / "shared", PROGRAMS)
        self.chunks.home(1, None, None)
        self.name = self.chunks.reserve(1)
        call = {"target": f"{module}:{function}", "preload": f"{module}:load", "path": [str(base)], "recycle": recycle}
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
    assert "node_" not in slot.log(record)
    assert [record["code"] for record in Slot(tmp_path, "leave", recycle).run()] == [0, 1, 2]


@pytest.mark.parametrize("recycle", [FORK, REUSE])
def test_a_call_that_is_killed_takes_no_other_with_it(tmp_path: Path, recycle: Any) -> None:
    ends = [(record["code"], record["signal"]) for record in Slot(tmp_path, "die", recycle).run()]
    assert ends == [(0, None), (None, 9), (0, None)]


@pytest.mark.parametrize("recycle", [FORK, REUSE])
def test_a_timeout_ends_the_call_and_what_it_started(tmp_path: Path, recycle: Any) -> None:
    slot = Slot(tmp_path, "hang", recycle, timeout=3.0)
    records = slot.run()
    assert [record["why"] for record in records] == [None, "timeout", None]
    assert records[1]["wall"] < 30
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
def test_what_can_not_be_called_is_told_once_and_the_rest_is_not_begun(tmp_path: Path, recycle: Any) -> None:
    slot = Slot(tmp_path, "nothing", recycle)
    (record,) = slot.run()
    assert (record["unfit"], record["code"], record.get("trace")) == ("call: cubes has no nothing", None, None)
    assert slot.chunks.look(slot.name, set()).claimed == {0}


@pytest.mark.parametrize("recycle", [FORK, REUSE])
def test_an_import_that_fails_leaves_its_traceback(tmp_path: Path, recycle: Any) -> None:
    (tmp_path / "broken.py").write_text("def load():\n    pass\n1 / 0\n")
    (record,) = Slot(tmp_path, "f", recycle, module="broken").run()
    assert record["unfit"] == "importing broken failed: ZeroDivisionError: division by zero"
    text = Path(record["trace"]).read_text()
    assert 'broken.py", line 3' in text and text.endswith("ZeroDivisionError: division by zero\n")
    assert "node_" not in text


@pytest.mark.parametrize("recycle", [FORK, REUSE])
def test_an_import_that_ends_its_interpreter_is_no_endless_story(tmp_path: Path, recycle: Any) -> None:
    (tmp_path / "quits.py").write_text("import os\nos._exit(6)\n")
    slot = Slot(tmp_path, "f", recycle, module="quits")
    code = subprocess.run(slot.command, timeout=60, check=False).returncode
    assert slot.chunks.look(slot.name, set()).claimed == {0}, "one has begun, and no engine starts it again"
    if recycle is FORK:
        assert (code, slot.records()) == (6, []), "the slot itself is gone, which the engine tells"
    else:
        assert [record["unfit"] for record in slot.records()] == ["importing quits ended its interpreter (exit 6)"]


def test_an_import_that_is_killed_ends_one_attempt(tmp_path: Path) -> None:
    (tmp_path / "grows.py").write_text(
        "import os\nif not os.path.exists('tried'):\n    open('tried', 'w')\n    os.kill(os.getpid(), 9)\n"
        "def load():\n    pass\ndef f(n):\n    return n\n")  # fmt: skip
    records = Slot(tmp_path, "f", REUSE, module="grows").run()
    assert [(record["signal"], record["code"]) for record in records] == [(9, None), (None, 0), (None, 0)]


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
    assert node_call.encode(value) == outcome.encode_value(value)


@pytest.mark.parametrize("value", [object(), {1, 2}, 1 + 2j, {(1, 2): 3}])
def test_what_is_no_json_is_refused_as_here(value: Any) -> None:
    with pytest.raises(outcome.UnfitError) as here:
        outcome.encode_value(value)
    with pytest.raises(node_call.UnfitError) as there:
        node_call.encode(value)
    assert str(there.value) == str(here.value)
