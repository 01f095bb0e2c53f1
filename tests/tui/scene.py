"""A mill in full swing, the same at every look: what the goldens, the pictures and the benchmark of the screens show.

Time stands still in it: every figure is worked out from `NOW`.
"""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

from gristmill.supervisor.core.answers import (
    AxisView,
    CausesView,
    CauseView,
    CoreView,
    DiskView,
    LifeView,
    SweepView,
    TimelineView,
    ValueView,
    VitalsView,
)
from gristmill.supervisor.core.protocol import EngineView, JobView, LimitView, PastView, TaskView

from .stage import Daemon, job, reasons, worker

NOW = 1_790_000_000.0
GIB = 1 << 30
LAYERS, FOLDS = (1, 2, 3, 4), 10


def fill(daemon: Daemon, folder: Path) -> None:
    """Put the scene on this stage; its logs are written into `folder`."""
    daemon.now = lambda: NOW
    daemon.jobs = {one.id: one for one in _jobs()}
    daemon.workers = [
        worker(1, "4/17", "sweep", started_at=NOW - 724, progress=0.51, last_line="epoch 3/6 step 410 loss .4121"),
        worker(2, "4/18", "sweep", started_at=NOW - 671, progress=0.44, last_line="epoch 3/6 step 352 loss .4337"),
        worker(3, "4/19", "sweep", started_at=NOW - 318, progress=0.21, last_line="epoch 2/6 step 160 loss .6120"),
        worker(4, "4/20", "sweep", started_at=NOW - 12, progress=None, last_line="reading data", cpu_percent=31.0,
               memory_bytes=410_000_000),
        worker(5, "6/120", "pose-cv", started_at=NOW - 45, progress=0.8, memory_bytes=880_000_000,
               last_line="fold 8/10 auc 0.913", cpu_percent=188.0),
        worker(6, "5/2", "evaluate", state="stopping", started_at=NOW - 31, progress=None, cpu_percent=4.0,
               memory_bytes=92_000_000, last_line="SIGTERM: writing what there is"),
        worker(7), worker(8),
    ]  # fmt: skip
    daemon.limit = LimitView(workers=6, busy=6, reason="memory: 2.1 GB of reserve 3.2 GB left; the next needs 4.0 GB")
    daemon.history = [_past(second) for second in range(-599, 1)]
    daemon.why = reasons(decisions=[])
    daemon.tasks["4"] = [_task(number) for number in range(LAYERS[-1] * FOLDS)]
    answers: dict[tuple[str, str], Any] = {
        ("sweep", "4"): _sweep(), ("causes", "4"): _causes(), ("timeline", "4"): _timeline(),
        ("vitals", ""): _vitals(),
    }  # fmt: skip
    answers |= {("life", f"4/{number}"): _life(number) for number in range(40)}
    daemon.studies = answers
    for number in (9, 17, 18, 19):
        path = folder / f"4-{number}.log"
        path.write_text(_log(number))
        state = "running" if number > 9 else "failed"
        daemon.logs[f"4/{number}"] = {"path": str(path), "live": number > 9, "state": state, "attempt": 1}


def fill_beyond(daemon: Daemon) -> None:
    """The scene of a job whose tasks run in Slurm and here, while Ray does not answer."""
    daemon.now = lambda: NOW
    daemon.jobs = {8: job(8, "embed", where="auto", items=9, tasks=9, items_done=3, items_failed=1, tasks_running=3,
                          eta_s=340, submitted_at=NOW - 700, started_at=NOW - 690)}  # fmt: skip
    daemon.tasks["8"] = [_task_beyond(number) for number in range(9)]
    daemon.studies["vitals", ""] = _vitals()
    daemon.engines = [
        EngineView(name="slurm", words="12 nodes, 384 cores, 96 idle; partitions main, long", nodes=12, cpus=384,
                   cpus_idle=96, running=2, queued=2, notes=["partition long is down"]),
        EngineView(name="ray", state="silent", words="2 nodes, 64 cores", nodes=2, cpus=64,
                   reason="Ray at head:8265 does not answer: Connection refused"),
    ]  # fmt: skip


def _task_beyond(number: int) -> TaskView:
    state = ("done", "done", "failed", "done", "running", "running", "running", "queued", "queued")[number]
    away = number not in (0, 4)
    began = NOW - 600 + 60 * number
    return TaskView(
        id=f"8/{number}", number=number, start=number, count=1, state=state, attempts=1,
        where="slurm" if away else "local", host=f"n{1 + number % 2}" if away and state != "queued" else "",
        engine_id=f"4711_{number}" if away else "", worker=None if away else 1, pid=None if away else 900 + number,
        exit_code=None if number > 3 else int(number == 2),
        reason="exit 1" if number == 2 else "slurm: Priority" if state == "queued" else "",
        started_at=None if state == "queued" else began, ended_at=began + 90 if number < 4 else None,
        memory_peak_bytes=None if state == "queued" else 2 * GIB,
    )  # fmt: skip


def _jobs() -> list[JobView]:
    times: dict[str, Any] = {"submitted_at": NOW - 4000, "started_at": NOW - 3900}
    return [
        job(3, "ablate", "failed", items_done=7, items_failed=33, ended_at=NOW - 500,
            reason="33 of 40 items failed", **times),
        job(4, "sweep", eta_s=2880, tasks_running=4, items_done=15, items_failed=2, priority=5, attempts=3, **times,
            wall_s_mean=740.0, memory_peak_bytes=3_300_000_000, memory_need_bytes=4_000_000_000,
            command="python train.py --layers {layers} --fold {fold}"),
        job(5, "evaluate", "running", items=4, tasks=4, items_done=2, tasks_running=1, eta_s=95, **times),
        job(6, "pose-cv", items=9600, tasks=9600, items_done=4080, tasks_running=1, eta_s=9300, **times,
            reason="memory: a task needs 4.0 GB, 2.6 GB are free for it"),
        job(7, "nightly", "held", items=24, tasks=24, items_done=0, reason="held by the user", submitted_at=NOW - 90,
            started_at=None),
        job(2, "collect", "done", items=1797, tasks=113, items_done=1797, ended_at=NOW - 7000, submitted_at=NOW - 9000,
            started_at=NOW - 8900),
        job(1, "prepare", "done", items=1, tasks=1, items_done=1, ended_at=NOW - 9000, submitted_at=NOW - 9500,
            started_at=NOW - 9400),
    ]  # fmt: skip


def _past(second: int) -> PastView:
    wave = math.sin(second / 60) * 8 + math.sin(second / 7) * 3
    return PastView(time=NOW + second, cpu_percent=max(3.0, min(97.0, 68 + wave)),
                    memory_percent=80 + second / 30 + wave / 3, busy=6 - (second < -200),
                    workers=6 + (second < -400))  # fmt: skip


def _task(number: int) -> TaskView:
    params: dict[str, Any] = {"layers": LAYERS[number // FOLDS], "fold": number % FOLDS}
    ended = number < 17 and number != 16
    failed = number in (9, 13)
    state = "failed" if failed else "done" if ended else "running" if number in (16, 17, 18, 19) else "queued"
    began = NOW - 3900 + 180 * number if number < 17 else NOW - 700 + 120 * (number - 17)
    return TaskView(
        id=f"4/{number}", number=number, start=number, count=1, state=state, params=params,
        attempts=3 if failed else 1 if state != "queued" else 0, worker=None if state == "queued" else 1 + number % 4,
        exit_code=1 if failed else 0 if ended else None, reason="exit 1" if failed else "",
        started_at=None if state == "queued" else began, ended_at=began + 600 + 20 * number if ended else None,
        cpu_s=560.0 + 18 * number if ended else None,
        memory_peak_bytes=None if state == "queued" else int((1.2 + 0.7 * (number // FOLDS)) * GIB),
    )  # fmt: skip


def _sweep() -> SweepView:
    layers = [ValueView(value=str(layer), done=9 - 3 * index, failed=1, wall_s=520.0 + 160 * index,
                        result=0.52 - 0.06 * index, memory_peak_bytes=int((1.2 + 0.7 * index) * GIB))
              for index, layer in enumerate(LAYERS[:2])]  # fmt: skip
    layers += [ValueView(value=str(layer)) for layer in LAYERS[2:]]
    folds = [ValueView(value=str(fold), done=1 + (fold < 6), failed=int(fold in (3, 9)), wall_s=540.0 + 12 * fold,
                       memory_peak_bytes=int((1.2 + 0.02 * fold) * GIB), result=0.47 + 0.01 * (fold * 7 % 5))
             for fold in range(FOLDS)]  # fmt: skip
    return SweepView(axes=[AxisView(name="layers", values=layers), AxisView(name="fold", values=folds)],
                     result="loss", fields=["loss", "steps"], seen=17, of=17)  # fmt: skip


def _causes() -> CausesView:
    return CausesView(seen=2, of=2, causes=[
        CauseView(state="failed", reason="exit 1", count=1, numbers=[9],
                  words="ValueError: fold 9 has no samples of class 3"),
        CauseView(state="failed", reason="exit 1", count=1, numbers=[13],
                  words="torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB"),
    ])  # fmt: skip


def _timeline() -> TimelineView:
    chance = random.Random(4)
    done = [1 if chance.random() < 0.09 else 0 for _ in range(240)]
    return TimelineView(began_at=NOW - 3900, step_s=17.0, done=done,
                        failed=[int(step in (120, 190)) for step in range(240)])  # fmt: skip


def _life(number: int) -> LifeView:
    points = 92
    return LifeView(
        began_at=NOW - 724, step_s=8.0,
        cpu=[min(2.0, 0.3 + point / 12) * (0.93 + 0.07 * math.sin(point + number)) for point in range(points)],
        memory_bytes=[int((0.4 + 2.7 * (1 - math.exp(-point / 18))) * GIB) for point in range(points)],
    )  # fmt: skip


def _vitals() -> VitalsView:
    return VitalsView(
        cores=[CoreView(number=core, percent=percent)
               for core, percent in enumerate((97, 91, 88, 12, 100, 76, 64, 40))],
        load=[6.1, 5.4, 4.9], cpu_ours_percent=60.0, cpu_others_percent=11.0, memory_total_bytes=64 * GIB,
        memory_available_bytes=10 * GIB, memory_ours_bytes=41 * GIB, memory_cached_bytes=6 * GIB,
        swap_total_bytes=8 * GIB, swap_free_bytes=int(7.9 * GIB), pressure_cpu=0.31, pressure_memory=0.02,
        pressure_io=0.004,
        disks=[DiskView(what="state, jobs", path="/home/me", total_bytes=900 * GIB, free_bytes=81 * GIB,
                        inodes_percent=34.0),
               DiskView(what="/tmp", path="/tmp", total_bytes=32 * GIB, free_bytes=30 * GIB, inodes_percent=1.0)],
    )  # fmt: skip


def _log(number: int) -> str:
    lines = [f"reading data of fold {number % FOLDS}", "1,437 images, 64 pixels each"]
    for epoch in range(1, 4):
        lines += [f"epoch {epoch}/6 step {step} loss {1.2 / epoch + 0.3 - step / 2000:.4f}"
                  for step in range(0, 420, 70)]  # fmt: skip
        lines.append(f"\x1b[33mwarning\x1b[0m: learning rate lowered to {0.1 / epoch:.4f}")
    if number == 9:
        lines += ["Traceback (most recent call last):", '  File "train.py", line 88, in <module>',
                  "ValueError: fold 9 has no samples of class 3"]  # fmt: skip
    return "\n".join(lines) + "\n"
