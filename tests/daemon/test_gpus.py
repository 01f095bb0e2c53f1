"""Tasks with cards, on a whole daemon; the cards are a stand-in's, whose names are held against the real library."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.mill import Mill
from tests.nvml import pynvml as standin

GB = 10**9
ROOT = Path(__file__).parents[2]
WAIT = "until [ -e go ]; do sleep 0.02; done"


class Machine(Mill):
    """A mill on a machine with cards."""

    def __init__(self, base: Path) -> None:
        super().__init__(base)
        self.cards = base / "cards.json"
        self.env |= {"NVML_STANDIN": str(self.cards), "PYTHONPATH": f"{ROOT / 'tests' / 'nvml'}:{ROOT}"}

    def has(self, *cards: dict[str, Any]) -> None:
        """From now on it has these."""
        part = self.cards.with_suffix(".part")
        part.write_text(json.dumps({"cards": list(cards)}))
        part.rename(self.cards)


def card(number: int, **more: Any) -> dict[str, Any]:
    return {"uuid": f"GPU-{number}", "total": 40 * GB, **more}


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path)
    with made:
        yield made


def seen(machine: Machine) -> list[list[str]]:
    """The cards that tasks saw, of each task."""
    return sorted(path.read_text().strip().split(",") for path in machine.base.glob("saw-*"))


def sweep(count: int, *lines: str) -> str:
    say = "echo $CUDA_VISIBLE_DEVICES > part-$GRIST_TASK; mv part-$GRIST_TASK saw-$GRIST_TASK"
    return "\n".join((f'command = "{say}; {WAIT}"', f"items = {{ total = {count}, per_task = 1 }}", *lines)) + "\n"


def test_each_task_has_a_card_of_its_own_and_sees_no_other(machine: Machine) -> None:
    machine.has(card(0), card(1))
    machine.start("--limit", "9")
    machine.drop("train.toml", sweep(3, "resources = { gpus = 1, memory = \"4 MiB\" }"))
    machine.running("train", 2)
    machine.until(lambda: len(seen(machine)) == 2, "tasks saw no cards")
    assert seen(machine) == [["GPU-0"], ["GPU-1"]]
    machine.until(lambda: machine.job("train")["reason"] == "gpu: a task needs a card, 0 of 2 are free", "no reason")
    assert [task["gpus"] for task in machine.tasks("train")] == [["GPU-0"], ["GPU-1"], []]
    machine.kill()  # whose cards are whose outlives the daemon
    machine.start("--limit", "9")
    machine.until(lambda: "0 of 2 are free" in machine.job("train")["reason"], "cards are given twice")
    (machine.base / "go").touch()
    assert machine.ended("train")["items_done"] == 3


def test_tasks_share_a_card_as_far_as_its_memory_goes_and_others_pass_them(machine: Machine) -> None:
    machine.has(card(0))
    machine.start("--limit", "9")
    machine.drop("small.toml", sweep(4, 'resources = { gpu_memory = "15 GB", memory = "4 MiB" }'))
    machine.running("small", 2)
    machine.until(lambda: "10.0 GB are free on the emptiest" in machine.job("small")["reason"], "no reason")
    machine.drop("plain.toml", 'command = "[ -z \\"$CUDA_VISIBLE_DEVICES\\" ]"\n')
    assert machine.ended("plain")["state"] == "done"
    (machine.base / "go").touch()
    assert machine.ended("small")["items_done"] == 4


def test_a_card_that_somebody_else_is_on_is_left_to_him_until_he_has_gone(machine: Machine) -> None:
    machine.has(card(0, processes=[[1, 5 * GB]], used=5 * GB))  # the first process is never ours
    machine.start("--limit", "9")
    machine.drop("train.toml", sweep(1, "resources = { gpus = 1 }"))
    machine.until(lambda: machine.job("train").get("reason", "").startswith("gpu: a task needs a card, 0 of 1"), "-")
    machine.has(card(0))
    machine.running("train")


def test_parts_of_a_split_card_are_cards_and_one_that_is_lost_is_a_state(machine: Machine) -> None:
    parts = [{"uuid": f"MIG-{number}", "total": 10 * GB} for number in range(2)]
    machine.has(card(0, mig=parts), card(1, error=standin.NVML_ERROR_GPU_IS_LOST))
    machine.start("--limit", "9")
    machine.drop("train.toml", sweep(3, 'resources = { gpus = 1, memory = "4 MiB" }'))
    machine.running("train", 2)
    machine.until(lambda: seen(machine) == [["MIG-0"], ["MIG-1"]], "tasks saw other cards")
    machine.until(lambda: "2 card 1: GPU is lost" in machine.grist("status"), "the fault is not shown")
    machine.has(card(0, mig=parts), card(1))
    machine.running("train", 3)
    machine.until(lambda: "lost" not in machine.grist("status"), "the fault is still shown")


def test_without_a_driver_the_job_waits_and_says_so_until_there_is_one(machine: Machine) -> None:
    machine.cards.write_text('{"cards": null}')
    machine.start("--limit", "9")
    machine.drop("train.toml", sweep(1, "resources = { gpus = 1 }"))
    words = "gpu: no NVIDIA driver answers here: Driver Not Loaded"
    machine.until(lambda: machine.job("train").get("reason") == words, "no reason")
    machine.has(card(0))
    machine.running("train")


def test_settings_say_which_cards_are_ours_and_how_much_there_is_of_what_is_counted(machine: Machine) -> None:
    machine.has(card(0), card(1))
    (machine.jobs / ".gristmill").mkdir()
    (machine.jobs / ".gristmill" / "settings.toml").write_text("gpus = [1]\ncounters = { licenses = 2 }\n")
    machine.start("--limit", "9")
    machine.drop("train.toml", sweep(2, 'resources = { gpus = 1, memory = "4 MiB" }'))
    machine.until(lambda: "0 of 1 are free" in machine.job("train").get("reason", ""), "no reason")
    machine.until(lambda: seen(machine) == [["GPU-1"]], "the task saw another card")
    wait = f'command = "{WAIT}"\nitems = {{ total = 3, per_task = 1 }}\n'
    machine.drop("seats.toml", wait + 'resources = { counters = { licenses = 1 }, memory = "4 MiB" }\n')
    machine.running("seats", 2)
    words = "licenses: a task takes 1, 0 of 2 are free"
    machine.until(lambda: machine.job("seats")["reason"] == words, "no reason")
    (machine.base / "go").touch()
    assert machine.ended("seats")["items_done"] == 3


def test_the_stand_in_has_the_names_of_the_real_library() -> None:
    if importlib.util.find_spec("pynvml") is None:
        pytest.skip("nvidia-ml-py is not installed")
    used = [name for name in vars(standin) if name.lower().startswith("nvml")]
    script = f"import json, pynvml; print(json.dumps([n for n in {used!r} if not hasattr(pynvml, n)]))"
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    said = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, env=env, cwd="/")
    assert json.loads(said.stdout) == []
