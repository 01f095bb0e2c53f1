"""What can be asked in depth of a whole daemon: sweeps, causes, timelines, lives, the machine."""

from __future__ import annotations

import contextlib

import pytest

from gristmill.supervisor.core.errors import GristError
from tests.mill import Mill

SWEEP = """
command = "python3 part.py {layers} {fold}"
[grid]
layers = [1, 2, 3]
fold = { range = [0, 4] }
[resources]
memory = "64 MiB"
"""
PART = """
import json, os, sys
layers, fold = sys.argv[1:]
print("reading part", fold)
if layers == "3":
    sys.stderr.write(f"no samples in fold {fold}\\n")
    sys.exit(3)
with open(os.environ["GRIST_RESULT"], "w") as out:
    json.dump({"loss": int(layers) / 10}, out)
"""


def test_a_sweep_is_told_by_its_parameters_and_its_failures_by_their_last_words(turning: Mill) -> None:
    (turning.base / "part.py").write_text(PART)
    turning.drop("grid.toml", SWEEP)
    job = turning.ended("grid")
    assert (job["items_done"], job["items_failed"]) == (8, 4)
    found = turning.ask("sweep", job="grid")
    axes = {axis["name"]: axis["values"] for axis in found["axes"]}
    assert [(one["value"], one["done"], one["failed"], one["result"]) for one in axes["layers"]] == [
        ("1", 4, 0, 0.1), ("2", 4, 0, 0.2), ("3", 0, 4, None)]
    assert [(one["done"], one["failed"]) for one in axes["fold"]] == [(2, 1)] * 4
    assert (found["result"], found["seen"], found["of"]) == ("loss", 12, 12)
    (cause,) = turning.ask("causes", job="grid")["causes"]
    assert (cause["state"], cause["count"], cause["numbers"]) == ("failed", 4, [8, 9, 10, 11])
    assert cause["words"].startswith("no samples in fold")
    assert cause["reason"] == "exit 3"
    timeline = turning.ask("timeline", job="grid")
    assert (sum(timeline["done"]), sum(timeline["failed"]), timeline["step_s"]) == (8, 4, 1.0)
    turning.grist("retry", "grid")
    turning.ended("grid")
    assert turning.ask("causes", job="grid")["of"] == 4


def test_the_life_of_a_running_and_an_ended_task(turning: Mill) -> None:
    turning.drop("life.toml", 'command = "until test -e go; do :; done"\n')
    turning.running("life")
    life = turning.until(lambda: (found := _life(turning)) and sum(found["cpu"]) > 0 and found, "no life is told")
    assert max(life["memory_bytes"]) > 100_000
    (turning.base / "go").touch()
    turning.ended("life")
    assert turning.ask("life", task="life/0", attempt=1)["cpu"][: len(life["cpu"]) - 1] == life["cpu"][:-1]
    with pytest.raises(GristError, match="was not seen"):
        turning.ask("life", task="life/0", attempt=9)


def _life(mill: Mill) -> dict[str, list[float]]:
    with contextlib.suppress(GristError):
        found: dict[str, list[float]] = mill.ask("life", task="life/0")
        return found
    return {}


def test_the_machine_core_by_core(turning: Mill) -> None:
    found = turning.until(lambda: (told := turning.ask("vitals"))["memory_total_bytes"] and told, "not read yet")
    assert len(found["cores"]) >= 1 and all(0 <= percent <= 100 for _, percent, _ in found["cores"])
    assert any(ours for *_, ours in found["cores"])
    assert "state" in found["disks"][0]["what"]
    assert found["gpus"] == []


def test_logs_of_earlier_attempts_can_be_read(turning: Mill) -> None:
    turning.drop("again.toml", 'command = "echo try $GRIST_ATTEMPT; exit 3"\n[retry]\nattempts = 3\nbackoff = "50ms"\n')
    assert turning.ended("again")["state"] == "failed"
    assert turning.grist("log", "again") == "try 3\n"
    for attempt in (1, 2, 3):
        assert turning.grist("log", "--attempt", str(attempt), "again") == f"try {attempt}\n"
    assert "was tried 3 times" in turning.grist("log", "--attempt", "4", "again", code=2)
    found = turning.ask("log", task="again/0", attempt=2)
    assert (found["attempt"], found["attempts"], found["live"]) == (2, 3, False)
