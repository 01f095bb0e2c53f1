"""`grist check FILE`: what a job file would run, or everything that is wrong with it. Needs no daemon.

What is wrong is told as compilers do, `file:line:column: what – the mend`, so that editors find the place.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from gristmill.supervisor.cli.place import place_of
from gristmill.supervisor.core import items, jobfile, launch, shell
from gristmill.supervisor.core.errors import GristError, JobFileError, Problem
from gristmill.supervisor.core.findings import Fault
from gristmill.supervisor.core.sanitise import safe
from gristmill.supervisor.core.secrets import without
from gristmill.supervisor.core.spec import Spec
from gristmill.supervisor.edge import environment, folder, snapshot, textfile

SHOWN = 3


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--all", action="store_true", help="show every task, not only the first few")


def run(args: argparse.Namespace) -> int:
    """Checks each file; 2 when one is bad."""
    base = str(place_of(args).jobs.parent)
    bad = 0
    for file in args.files:
        try:
            spec = understand(Path(file), base)
            code = frozen(Path(file), spec)
        except JobFileError as error:
            print("\n".join(safe(problem.located(file)) for problem in located(error.problems)))
            bad += 1
            continue
        describe(file, spec, args.all)
        print(code + too_much(spec, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")), end="")
    return 2 if bad else 0


def understand(path: Path, cwd: str) -> Spec:
    """The job in a file, checked against this machine; raises JobFileError with all that is wrong."""
    file = str(path)
    try:
        if path.is_file() and path.stat().st_size > folder.SIZE_LIMIT:
            raise JobFileError(safe(file), (Problem(0, 0, "is longer than 1 MiB", "keep data outside the job file"),))
        text = textfile.read(file)
    except OSError as error:
        raise GristError(f"{file}: {error.strerror} – name a job file") from error
    spec = jobfile.parse(
        text, path.name, cwd=cwd, home=os.path.expanduser("~"), executable=os.access(path, os.X_OK),
        read=textfile.read,
    )
    environ = {**os.environ, "GRIST_PYTHON": "python3"}
    complaints = environment.examine(spec, environ)
    if complaints:
        raise JobFileError(
            file, tuple(Problem(*jobfile.locate(text, path.name, c.path), c.what, c.mend) for c in complaints)
        )
    return spec


def frozen(path: Path, spec: Spec) -> str:
    """Which code would be frozen, "" for none; raises JobFileError where that can't be."""
    if spec.snapshot is None:
        return ""
    text = textfile.read(str(path))
    try:
        plan = snapshot.plan(spec, text)
    except Fault as fault:
        place = jobfile.locate(text, path.name, ("snapshot",))
        raise JobFileError(str(path), (Problem(*place, f"snapshot: {fault.what}", fault.mend),)) from fault
    of = f" of commit {plan.commit[:12]}, {len(plan.changed)} of them changed" if plan.commit else ""
    more = f"; {plan.untracked} untracked files are left out" if plan.untracked else ""
    return f"  freezes {len(plan.files)} files, {plan.bytes / 1000:,.0f} kB{of}{more}\n"


def too_much(spec: Spec, memory: int) -> str:
    """Words about a claim that a machine with so many bytes of memory can't meet, "" for none."""
    claim = spec.resources.memory_bytes or 0
    if claim <= memory:
        return ""
    told = f"a task claims {claim / 1e9:.1f} GB of memory, the machine has {memory / 1e9:.1f} GB"
    return f"  never starts here: {told} – claim less with resources.memory\n"


def describe(file: str, spec: Spec, everything: bool) -> None:
    """Says what would run."""
    chosen = spec.items.per_task is None
    total = 1 if chosen else items.tasks(spec.items)
    tasks = "ranges chosen on the way" if chosen else f"{total} tasks"
    print(f"{safe(file)}: job {safe(spec.name)}: {tasks}, {spec.items.total} items, in {safe(spec.cwd)}")
    numbers = list(range(total if everything else min(SHOWN, total)))
    if not everything and total > SHOWN:
        numbers.append(total - 1)
    for number in numbers:
        if number == total - 1 and total > SHOWN + 1 and not everything:
            print("  …")
        span = (0, 1) if chosen else items.span(spec.items, number)  # the first range of a job never seen is one item
        start = launch.launch(spec, job=0, number=number, span=span, attempt=1, script=spec.script or "{script}")
        params = items.params(spec.items, span[0]) if span[1] == 1 else {}
        words = start.argv[2] if start.argv[:2] == shell.ARGV else " ".join(start.argv)
        if spec.call is not None:
            given = [*map(repr, start.args), *(f"{name}={value!r}" for name, value in start.kwargs.items())]
            words = f"{spec.call.target}({', '.join(given)})"
        fed = f"  < {start.stdin!r}" if start.stdin is not None else ""
        print(f"  {number}: {safe(without(words, params))}{safe(without(fed, params))}")
    for remark in spec.slurm.remarks if spec.slurm is not None else ():
        words = f": {remark.words}" if remark.words else ""
        print(f"  line {remark.line}: {safe(remark.option)}: {remark.fate}{safe(words)}")


def located(problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """The same, where those of a file as a whole are at its beginning."""
    return tuple(problem if problem.line else problem._replace(line=1, column=1) for problem in problems)
