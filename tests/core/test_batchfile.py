"""A job as a script for sbatch: what it asks for, and which jobs can't be one."""

from __future__ import annotations

import pytest

from gristmill.supervisor.core import batchfile
from gristmill.supervisor.core.errors import RequestError
from gristmill.supervisor.core.footprint import Footprint
from gristmill.supervisor.core.jobfile import parse
from gristmill.supervisor.core.spec import Items, Spec

UNSEEN = Footprint()


def spec(text: str) -> Spec:
    return parse(text, "pose.toml", cwd="/home/ann", home="/home/ann", read=lambda _: "")


def test_each_item_is_a_line_of_its_own_quoted_for_bash() -> None:
    made = spec('command = "train {lr} {name}"\n[grid]\nlr = [0.1, 0.2]\nname = ["a b", "two\\nlines"]\n')
    lines = batchfile.script(made, 7, UNSEEN, None).split("\n")
    assert lines[:5] == ["#!/bin/bash", "# Job 7 of Gristmill, 4 tasks. Submit it with: sbatch THIS-FILE",
                         "#SBATCH --job-name=pose", "#SBATCH --array=0-3", "#SBATCH --cpus-per-task=1"]  # fmt: skip
    assert "cd /home/ann || exit 1" in lines
    tasks = lines[lines.index("case $SLURM_ARRAY_TASK_ID in") + 1 : lines.index("esac")]
    assert [line.partition(")")[0] for line in tasks] == ["0", "1", "2", "3"]
    assert tasks[0].endswith("/bin/sh -c 'train 0.1 '\"'\"'a b'\"'\"'' ;;")
    assert "two\\nlines" in tasks[1]


def test_it_asks_for_what_was_claimed_and_what_was_measured() -> None:
    made = spec('command = "x"\ntimeout = "90s"\nresources = { cpus = 2, gpus = 1, memory = "1 GiB" }\n')
    lines = batchfile.script(made, 7, UNSEEN, 1024.0 * (1 << 20)).split("\n")
    for line in ("--cpus-per-task=2", "--mem=1024M", "--gres=gpu:1", "--time=2"):
        assert f"#SBATCH {line}" in lines
    measured = batchfile.script(spec('command = "x"\n'), 7, Footprint(ends=9, wall_s=600.0), None)
    assert "#SBATCH --time=40\n" in measured and "measured over 9 tasks" in measured


@pytest.mark.parametrize(("made", "words"), [
    (spec('call = "cubes:make"\n'), "a job of calls"),
    (spec('command = "x {start} {count}"\n[items]\ntotal = 9\nper_task = "auto"\n'), "ranges that are chosen"),
    (Spec(name="j", kind="command", command="x", cwd="/", items=Items(total=0, open="keep")), "items that a program"),
    (spec('command = "x"\n[items]\ntotal = 200_000\n'), "200000 tasks are too many"),
])
def test_what_a_script_can_not_do_is_refused(made: Spec, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        batchfile.script(made, 7, UNSEEN, None)
