"""d. Memory of eight workers that train on one large set of images: shared, or a copy each."""

from __future__ import annotations

import subprocess

from tests.bench.stories import folds, peers, pss
from tests.bench.stories.house import house
from tests.bench.stories.rounds import say
from tests.bench.stories.tables import Bar, Table, bars

WORKERS, TRAININGS = 8, 30
COPIES, STEPS = 421, 2_000
ONE_COPY = COPIES * 1797 * (64 + 1 + 1) * 8
"""Bytes, 400 MB: what a process that has read the set keeps, images, labels and their order."""
CAPTION = f"{WORKERS} workers train on a set of {ONE_COPY / 1e6:.0f} MB: memory in all (PSS) at its peak"
SHARED, IN_ALL = 1.3, 700e6
"""Bars: copies of the set in all, and bytes in all for 400 MB under eight workers."""


def story(compact: bool) -> list[Table]:
    """The tables of this part."""
    steps = STEPS // 2 if compact else STEPS
    shared, busy = _ours(steps, COPIES)
    twice, _ = _ours(steps, 2 * COPIES)
    others = {how: _joblib(how, steps) for how in ("loky", "memmapped")}
    names = {"loky": "joblib, loky: each process reads it", "memmapped": "joblib, loky: handed over, memory-mapped"}
    rows = [("gristmill: preload, everything counted, the daemon too", shared, ONE_COPY)]
    rows += [(names[how], peak, ONE_COPY) for how, peak in others.items()]
    rows.append((f"gristmill, a set of {2 * ONE_COPY / 1e6:.0f} MB", twice, 2 * ONE_COPY))
    return [
        Table(CAPTION,
              ("", "MB", "copies of the set", "processes"),
              [(name, peak.bytes / 1e6, f"{peak.bytes / copy:.2f}", str(peak.processes)) for name, peak, copy in rows],
              f"Of ours {busy} were seen at work at once."),
        bars([
            *(Bar(f"copies of a set of {copy / 1e6:.0f} MB in all", f"{peak.bytes / copy:.2f}", f"< {SHARED}",
                  peak.bytes < SHARED * copy) for peak, copy in ((shared, ONE_COPY), (twice, 2 * ONE_COPY))),
            Bar(f"400 MB under {WORKERS} workers", f"{shared.bytes / 1e6:.0f} MB", "< 700 MB", shared.bytes < IN_ALL),
        ]),
    ]


def _ours(steps: int, copies: int) -> tuple[pss.Peak, int]:
    with house("folds", ["--limit", str(WORKERS)]) as mill:
        assert mill.process is not None
        with pss.watched(mill.process.pid) as peak:
            text = folds.job("stage-1.toml", COPIES=copies, STEPS=steps)
            text = text.replace("[8, 16, 24, 32]", "[32]").replace("[0.05, 0.1, 0.2]", "[0.1]")
            mill.run(text.replace("[32, 64]", "[32, 48, 64]"), "stage-1")
        say(f"d, memory: gristmill: {peak.bytes / 1e6:.0f} MB in {peak.looks} looks, {mill.most_busy} at once")
        return peak, mill.most_busy


def _joblib(how: str, steps: int) -> pss.Peak:
    env = {**peers.environment(), "COPIES": str(COPIES), "STEPS": str(steps)}
    argv = [peers.python(), "memory.py", how, str(WORKERS), str(TRAININGS)]
    with subprocess.Popen(argv, cwd=folds.HERE, env=env) as process, pss.watched(process.pid) as peak:
        if process.wait():
            raise SystemExit(f"memory.py {how} ended with {process.returncode}")
    say(f"d, memory: {how}: {peak.bytes / 1e6:.0f} MB in {peak.looks} looks")
    return peak
