"""A job as a plain script for sbatch, for those who have no daemon where Slurm is: what it runs, and the resources that
its tasks were measured to need.

Owns the text. It stands alone: bash and Slurm are all that it needs there.
"""

from __future__ import annotations

import math
import shlex

from gristmill.supervisor.core import items
from gristmill.supervisor.core.errors import RequestError
from gristmill.supervisor.core.figures import clock_span, size
from gristmill.supervisor.core.footprint import Footprint
from gristmill.supervisor.core.launch import launch, shared
from gristmill.supervisor.core.spec import Spec

BYTES_MOST = 3 << 20
"""Slurm takes scripts of 4 MiB."""
LEAST_S = 600.0
_PLACE = "$GRIST_SCRIPT"
_OWN = ("GRIST_JOB", "GRIST_JOB_NAME", "SLURM_", "GRIST_ATTEMPT")


def script(spec: Spec, job: int, seen: Footprint, need: float | None, source: str = "") -> str:
    """The text; `need` are the bytes that a task is taken to need, `source` is the text of a job that is a script.
    Raises RequestError where a script can't do what the job does."""
    if spec.call is not None:
        raise RequestError("a job of calls is no script: its functions are called in an interpreter that is kept")
    if spec.items.per_task is None:
        raise RequestError('ranges that are chosen on the way have no array – write per_task = 100, say')
    if spec.items.open:
        raise RequestError("items that a program sends while the job runs have no array")
    total = items.tasks(spec.items)
    most = f"%{spec.limits.workers}" if spec.limits.workers else ""
    wants, ends = spec.resources, f"measured over {seen.ends} tasks" if seen.ends else "not measured"
    lines = ["#!/bin/bash", f"# Job {job} of Gristmill, {total} tasks. Submit it with: sbatch THIS-FILE",
             f"#SBATCH --job-name={_plain(spec.name)}"]  # fmt: skip
    lines += [f"#SBATCH --array=0-{total - 1}{most}", f"#SBATCH --cpus-per-task={max(1, math.ceil(wants.cpus or 1))}"]
    if need is not None:
        why = "as claimed" if wants.memory_bytes is not None and not seen.raised_bytes else ends
        lines += [f"# {size(int(need))} of memory: {why}", f"#SBATCH --mem={max(1, math.ceil(need / (1 << 20)))}M"]
    if wants.cards:
        lines.append(f"#SBATCH --gres=gpu:{wants.cards}")
    if spec.timeout_s is not None:
        lines.append(f"#SBATCH --time={math.ceil((spec.timeout_s + spec.grace_s) / 60)}")
    elif seen.ends:
        time_s = max(LEAST_S, 4 * seen.wall_s)
        lines += [f"# a task takes {clock_span(seen.wall_s)} in the mean, {ends}; four times that, 10 minutes at least",
                  f"#SBATCH --time={math.ceil(time_s / 60)}"]  # fmt: skip
    batch = spec.batch
    named = {"partition": batch.partition, "account": batch.account, "qos": batch.qos}
    lines += [f"#SBATCH --{name}={value}" for name, value in named.items() if value]
    lines += [f"#SBATCH {option}" for option in batch.extra]
    lines += ["", *filter(None, [batch.prologue]), *_surroundings(spec, job, source), ""]
    lines += ["case $SLURM_ARRAY_TASK_ID in"]
    lines += [f"{number}) {_task(spec, job, number)} ;;" for number in range(total)]
    text = "\n".join([*lines, "esac", ""])
    if len(text.encode()) > BYTES_MOST:
        raise RequestError(f"{total} tasks are too many for one script – have a daemon hand them to Slurm: "
                           'where = "slurm"')  # fmt: skip
    return text


def _surroundings(spec: Spec, job: int, source: str) -> list[str]:
    """What comes before each task: its folder, environment, and the script that it runs."""
    lines = [f"cd {shlex.quote(spec.cwd)} || exit 1"]
    if spec.venv is not None:
        lines.append(f"source {shlex.quote(spec.venv)}/bin/activate")
    if spec.conda is not None:
        lines += ['eval "$(conda shell.bash hook)"', f"conda activate {shlex.quote(spec.conda)}"]
    env = {name: value for name, value in shared(spec, job).items() if not name.startswith(_OWN)}
    lines += [f"export {name}={shlex.quote(value)}" for name, value in env.items()]
    if spec.script is not None:
        lines += ['GRIST_SCRIPT=$(mktemp) && trap \'rm -f "$GRIST_SCRIPT"\' EXIT',
                  "cat > \"$GRIST_SCRIPT\" <<'END-OF-GRIST-SCRIPT'", source.rstrip("\n"), "END-OF-GRIST-SCRIPT",
                  'chmod +x "$GRIST_SCRIPT"']  # fmt: skip
    return lines


def _task(spec: Spec, job: int, number: int) -> str:
    """The command of one task, on one line."""
    start = launch(spec, job=job, number=number, span=items.span(spec.items, number), attempt=1,
                   script=_PLACE if spec.script is not None else None)  # fmt: skip
    words = " ".join('"$GRIST_SCRIPT"' if word == _PLACE else _quoted(word) for word in start.argv)
    env = " ".join(f"{name}={_quoted(value)}" for name, value in start.env.items() if not name.startswith(_OWN))
    given = "" if start.stdin is None else f"printf %s {_quoted(start.stdin)} | "
    return f"{given}env {env} {words}" if env else f"{given}{words}"


def _quoted(text: str) -> str:
    """For bash, on one line."""
    if text.isprintable():
        return shlex.quote(text)
    signs = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\t": "\\t"}
    return "$'" + "".join(signs.get(sign, sign) for sign in text) + "'"


def _plain(name: str) -> str:
    """A name that needs no quotes."""
    return "".join(sign if sign.isalnum() or sign in "._-" else "-" for sign in name)
