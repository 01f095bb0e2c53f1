"""What runs on a node, without any engine: tasks from a chunk's folder to their records."""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from gristmill.supervisor.beyond import PROGRAMS
from gristmill.supervisor.edge.chunks import Chunks
from gristmill.supervisor.executors import node_task
from tests.waiting import DEADLINE, until

CONTEXT: dict[str, Any] = {
    "cwd": "/", "env": {}, "ahead": {}, "unset": [], "timeout": None, "grace": 5.0, "nice": 0, "wait": False,
    "most": None, "err": False,
}  # fmt: skip
LONG = f"600.{os.getpid()}"
"""Seconds that nobody else sleeps, so that it can be told whether somebody still does."""


class Node:
    """A chunk and the processes that run slots of it."""

    def __init__(self, base: Path) -> None:
        self.chunks = Chunks(base / "shared", PROGRAMS)
        self.name = ""
        self.env = {**os.environ, "SLURM_JOB_ID": "99"}

    def chunk(self, *commands: str, pack: int = 1, **context: Any) -> None:
        self.chunks.home(1, None, None)
        self.name = self.chunks.reserve(1)
        orders = [{"do": f"1.{at}.1", "env": {"NUMBER": str(at)}, "argv": ["/bin/sh", "-c", command]}
                  for at, command in enumerate(commands)]  # fmt: skip
        self.chunks.fill(self.name, {"v": 1, "pack": pack, "context": {**CONTEXT, **context}}, orders, "")

    def start(self, slot: int = 0) -> subprocess.Popen[bytes]:
        program = self.chunks.base / "1" / "node.py"
        argv = [sys.executable, "-I", "-S", str(program), str(self.chunks.path(self.name)), str(slot)]
        return subprocess.Popen(argv, env=self.env)

    def run(self, slot: int = 0) -> None:
        assert self.start(slot).wait(DEADLINE) == 0

    def record(self, index: int = 0) -> dict[str, Any]:
        return self.chunks.records(self.name, [index]).get(index, {})


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_it_is_written_for_the_python_of_old_nodes() -> None:
    ours = {path.stem for path in PROGRAMS}
    for path in PROGRAMS:
        tree = ast.parse(path.read_text(), feature_version=(3, 6 if path.stem in ours - {"raydriver"} else 8))
        imports = {one.name.partition(".")[0] for line in ast.walk(tree) if isinstance(line, ast.Import)
                   for one in line.names}  # fmt: skip
        assert imports <= set(sys.stdlib_module_names) | ours | {"ray"} and "dataclasses" not in imports


def test_a_slot_imports_little(node: Node) -> None:
    node.chunk("true")
    argv = [sys.executable, "-I", "-S", "-X", "importtime", str(node.chunks.base / "1" / "node.py")]
    done = subprocess.run([*argv, str(node.chunks.path(node.name)), "0"], env=node.env, capture_output=True, text=True,
                          check=True)  # fmt: skip
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert {"node_task", "node_ground"} <= imported
    assert not imported & {"typing", "json", "re", "enum", "signal", "subprocess", "ctypes", "importlib.util"}


def test_a_task_leaves_a_record_a_log_and_a_result(node: Node) -> None:
    node.chunk('echo hello $NUMBER; echo "[1, 2]" > $GRIST_RESULT; exit 3')
    node.run()
    record = node.record()
    assert record["code"] == 3 and record["signal"] is None and record["why"] is None and record["e"] == "1.0.1"
    assert json.loads(record["value"]) == [1, 2] and Path(record["log"]).read_text() == "hello 0\n"
    assert record["wall"] < 30 and record["rss"] > 0
    assert sorted(path.name for path in node.chunks.path(node.name).glob("rec/*")) == ["0.claim", "0.json"]


@pytest.mark.parametrize("made", [
    "mkfifo $GRIST_RESULT", "ln -s /dev/zero $GRIST_RESULT", "mkdir $GRIST_RESULT", "echo nonsense > $GRIST_RESULT",
    "head -c 60000 /dev/zero | tr '\\0' '[' > $GRIST_RESULT",
])  # fmt: skip
def test_an_odd_result_is_left_to_the_daemon_and_holds_no_slot_up(made: str, node: Node) -> None:
    node.chunk(made)
    node.run()
    record = node.record()
    assert record["code"] == 0 and record["result"].endswith("/log/0.1.result") and "value" not in record


def test_what_said_nothing_leaves_no_log(node: Node) -> None:
    node.chunk("true")
    node.run()
    assert "log" not in node.record() and not list(node.chunks.path(node.name).glob("log/*"))


def test_a_timeout_ends_all_that_the_task_started_also_in_sessions_of_their_own(node: Node) -> None:
    node.chunk(f"setsid sleep {LONG} & trap '' TERM; sleep {LONG}; sleep {LONG}", timeout=3.0, grace=0.3)
    began = time.monotonic()
    node.run()
    assert node.record()["why"] == "timeout" and node.record()["signal"] == signal.SIGKILL
    assert time.monotonic() - began < DEADLINE
    assert f"sleep\0{LONG}" not in _everybody()


def test_what_a_task_leaves_running_is_ended_or_waited_for(node: Node) -> None:
    node.chunk(f"sleep {LONG} & exit 0")
    node.run()
    assert node.record()["code"] == 0 and f"sleep\0{LONG}" not in _everybody()
    node.chunk("(sleep 0.5; echo later) & exit 0", wait=True)
    node.run()
    assert Path(node.record()["log"]).read_text() == "later\n"


def test_tasks_of_a_slot_run_one_after_another_and_none_twice(node: Node, tmp_path: Path) -> None:
    node.chunk(*(f"echo $NUMBER >> {tmp_path}/ran; sleep 0.1" for _ in range(6)), pack=3)
    both = [node.start(0), node.start(0), node.start(1)]
    assert [one.wait(DEADLINE) for one in both] == [0, 0, 0]
    node.run(0)
    ran = (tmp_path / "ran").read_text().split()
    assert sorted(ran) == list("012345")


def test_what_the_daemon_has_claimed_starts_nowhere(node: Node, tmp_path: Path) -> None:
    node.chunk(f"touch {tmp_path}/ran")
    assert node.chunks.take_back(node.name, [0]) == {0}
    node.run()
    assert not (tmp_path / "ran").exists() and not node.record()
    assert node.chunks.take_back(node.name, [0]) == {0}, "it is still the daemon's"


def test_what_a_node_has_claimed_the_daemon_does_not_get(node: Node) -> None:
    node.chunk("sleep 0.3")
    running = node.start()
    until(lambda: 0 in node.chunks.look(node.name, set()).claimed, "it has not begun")
    assert node.chunks.take_back(node.name, [0]) == set()
    assert node.chunks.claims(node.name, [0])[0]["job"] == "99"
    assert running.wait(DEADLINE) == 0 and node.record()["code"] == 0


def test_the_engine_s_term_ends_it_with_a_record(node: Node) -> None:
    node.chunk(f"echo up; sleep {LONG}", "touch never", pack=2)
    running = node.start()
    until(lambda: "up" in _text(node.chunks.path(node.name) / "log" / "0.1.log"), "it has not begun")
    running.terminate()
    assert running.wait(DEADLINE) == 0
    assert node.record()["why"] == "term" and node.record()["signal"] == signal.SIGTERM
    assert not node.record(1), "what comes after it in the slot is left to others"


def test_a_term_to_all_of_a_slot_is_the_engine_s_though_the_task_is_quicker(node: Node) -> None:
    answers = iter([False, False, True])
    assert node_task.heard(lambda seconds: next(answers))
    node.chunk("kill -TERM $$", "exit 143", pack=2)
    node.run()
    assert [(node.record(at)["why"], node.record(at)["signal"], node.record(at)["code"]) for at in (0, 1)] == [
        (None, signal.SIGTERM, None), (None, None, 143),
    ], "and where nobody told us to end, that is how it ended"  # fmt: skip


def test_what_the_engine_wrote_of_a_slot_is_not_what_it_wrote_of_others(node: Node) -> None:
    node.env["SLURM_JOB_ID"] = "2"
    node.chunk("true")
    node.run()
    said = ["slurmstepd-n2: error: *** JOB 11 ON n2 CANCELLED AT 2026-02-02T02:02:02 DUE TO PREEMPTION ***",
            "slurmstepd-n1: error: *** JOB 2 ON n1 CANCELLED AT 2026-02-02T11:11:11 DUE TO TIME LIMIT ***",
            "slurmstepd: error: Detected 1 oom_kill event in StepId=22.batch"]  # fmt: skip
    (node.chunks.path(node.name) / "engine.log").write_text("\n".join(said))
    assert node.chunks.complaints(node.name, 0) == said[1]


def test_the_daemon_s_mark_ends_it(node: Node) -> None:
    node.chunk(f"sleep {LONG}")
    running = node.start()
    until(lambda: 0 in node.chunks.look(node.name, set()).claimed, "it has not begun")
    node.chunks.mark_ends(node.name, [0])
    assert running.wait(DEADLINE) == 0 and node.record()["why"] == "cancel"


def test_what_cannot_start_says_so(node: Node) -> None:
    node.chunk("true", cwd="/no/such/folder")
    node.run()
    assert node.record()["code"] == 127 and node.record()["text"].startswith("cannot start: ")


def test_a_long_log_loses_its_middle(node: Node) -> None:
    node.chunk("seq 1 100000", most=1000)
    node.run()
    text = Path(node.record()["log"]).read_text()
    assert text.startswith("1\n2\n") and text.endswith("100000\n") and "limits.log = 1000]" in text
    assert len(text) < 1200 and "left out" in node.record()["text"]


def test_the_environment_of_the_job_comes_before_the_node_s(node: Node) -> None:
    node.env = {**node.env, "GONE": "1", "KEPT": "node", "MINE": "node"}
    ahead = {"PATH": ["/venv/bin"]}
    node.chunk("echo $PATH; echo $KEPT $MINE $GONE.", env={"MINE": "job"}, ahead=ahead, unset=["GONE"])
    node.run()
    first, second = Path(node.record()["log"]).read_text().splitlines()
    assert first == f"/venv/bin:{node.env['PATH']}" and second == "node job ."


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _everybody() -> str:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            found.append((entry / "cmdline").read_text())
        except OSError:
            pass  # it has just ended
    return "\n".join(found)
