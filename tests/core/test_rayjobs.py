"""What Ray's job server says, read."""

from __future__ import annotations

from typing import Any

import pytest

from gristmill.supervisor.core import rayjobs
from gristmill.supervisor.core.remote import End, Ended, Need

NODES = [{"CPU": 4.0, "memory": 8e9}, {"CPU": 16.0, "GPU": 2.0, "memory": 4e9}]


def test_a_line_that_is_not_whole_says_nothing_yet() -> None:
    text = "3\tnode\tits node is dead\n4\tended\t\n9\tnonsense\tx\n5\tend"
    assert rayjobs.over_from(text) == {3: Ended(End.NODE, "its node is dead"), 4: Ended(End.ENDED, "")}


def test_what_has_begun_has_a_name_with_its_host() -> None:
    assert rayjobs.begun(["3@n1", "over", "12@node-7.lab", "x@y"]) == {3: "n1", 12: "node-7.lab"}


def test_a_job_that_lives_has_what_is_not_over() -> None:
    seen = rayjobs.glimpse({"status": "RUNNING"}, 4, {0: "n1", 1: "n2"}, [0])
    assert seen is not None
    assert (seen.queued, seen.running) == (frozenset({2, 3}), {1: "n2"})
    assert seen.reason == "waits for a free place in Ray"
    assert rayjobs.glimpse({"status": "SUCCEEDED"}, 4, {}, []) is None


@pytest.mark.parametrize(
    ("job", "over", "known"),
    [
        ({"status": "RUNNING"}, {2: Ended(End.NODE, "dead")}, Ended(End.NODE, "dead")),
        (None, {}, Ended(End.NODE, "Ray knows nothing of its job: its head was lost")),
        ({"status": "STOPPED"}, {}, Ended(End.CANCELED, "its Ray job was stopped")),
        ({"status": "FAILED", "message": "Traceback\n  x\nOSError: full\n.\n"}, {},
         Ended(End.ENDED, "its Ray job failed: OSError: full")),
        ({"status": "SUCCEEDED"}, {}, None),
    ],
)  # fmt: skip
def test_the_end_of_a_slot_is_its_own_or_that_of_its_job(job: Any, over: Any, known: Any) -> None:
    assert rayjobs.ended(job, over, 2) == known


def test_only_ended_jobs_of_our_own_that_nobody_asks_for_are_forgotten() -> None:
    jobs = {"grist-a-1.1": {"status": "SUCCEEDED"}, "grist-b-1.1": {"status": "FAILED"},
            "grist-a-2.1": {"status": "RUNNING"}, "grist-a-3.1": {"status": "SUCCEEDED"}}  # fmt: skip
    assert rayjobs.outlived(jobs, ["grist-a-3.1"]) == "grist-a-1.1"
    assert rayjobs.outlived(jobs, ["grist-a-1.1", "grist-a-3.1"]) == ""
    assert rayjobs.outlived(jobs, []) == ""


@pytest.mark.parametrize(
    ("need", "why"),
    [
        (Need(cpus=16, gpus=2, memory_bytes=4_000_000_000), ""),
        (Need(cpus=32), "no node of Ray's has 32 cores (the largest has 16)"),
        (Need(gpus=3), "no node of Ray's has 3 GPUs (the largest has 2)"),
        (Need(memory_bytes=16_000_000_000), "no node of Ray's has 16 GB of memory (the largest has 8)"),
        (Need(cpus=8, memory_bytes=6_000_000_000), "no node of Ray's has all that a task needs"),
    ],
)
def test_what_no_node_has_is_said(need: Need, why: str) -> None:
    assert rayjobs.misfit(need, NODES) == why


def test_a_head_that_runs_no_task_is_no_node() -> None:
    nodes = [{"state": "ALIVE", "resources_total": {"CPU": 0.0}}, {"state": "DEAD", "resources_total": {"CPU": 8.0}},
             {"state": "ALIVE", "resources_total": {"CPU": 8.0}}]  # fmt: skip
    assert rayjobs.nodes_from({"data": {"result": {"result": nodes}}}) == [{"CPU": 8.0}]
    assert rayjobs.misfit(Need(), []) == "Ray has no node that runs tasks"
    assert rayjobs.words(NODES) == "2 nodes, 20 cores, 2 GPUs"
