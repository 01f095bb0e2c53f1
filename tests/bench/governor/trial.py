"""One daemon under watch, or the same tasks by `xargs -P`, or a neighbour: whoever is started here is ended here."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from gristmill.supervisor.core.errors import GristError
from tests.bench.governor import machine
from tests.bench.governor.tape import Load, Tape
from tests.mill import Mill

EVERY_S = 0.25


class Look(NamedTuple):
    """What was seen at a moment: the limit, busy workers whose task does not stand still, CPU seconds of the daemon's
    tree so far, its memory and what is free."""

    at: float
    limit: int
    busy: int
    cpu: float
    memory: float
    available: float
    reason: str


class Bench(NamedTuple):
    """What all scenarios are told. `speed` is loops a CPU second, `size` picks between (full, compact)."""

    compact: bool
    speed: float
    keep: Path | None

    def size(self, full: float, compact: float) -> float:
        """One of the two."""
        return compact if self.compact else full


class Trial(Mill):
    """A daemon, looked at four times a second."""

    def __init__(self, base: Path, bench: Bench, python: str = sys.executable) -> None:
        super().__init__(base)
        self.bench, self.python, self.tape = bench, python, base / "tape"
        self.tape.touch()
        self.looks: list[Look] = []
        self.began = time.monotonic()
        self.kills = machine.oom_kills()
        self._halt = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def __exit__(self, *of: object) -> None:
        """Ends the watch, then the daemon with all its tasks."""
        self._halt.set()
        if self._watcher.is_alive():
            self._watcher.join()
        super().__exit__(*of)

    def start(self, *options: str, **how: Any) -> None:
        """Starts the daemon, out of reach of a Ctrl-C that is meant for us; with a trace where things are kept."""
        trace = ["--record", str(self.base / "trace")] if self.bench.keep else []
        super().start(*options, *trace, start_new_session=True, **how)

    def put(self, load: Load, tasks: int = 10_000) -> None:
        """Drops a job of such tasks and waits until it is accepted."""
        self.drop(f"{load.name}.toml", load.job(self.python, self.tape, self.bench.speed, tasks))
        self.until(lambda: self.job(load.name), f"{load.name} was not accepted")

    def watch(self) -> None:
        """Begins to look; what is measured counts from now."""
        self.began, self.kills = time.monotonic(), machine.oom_kills()
        self._watcher.start()

    def _watch(self) -> None:
        assert self.process is not None
        while not self._halt.wait(EVERY_S):
            with contextlib.suppress(GristError):  # it is busy or ending: the next look tells
                status = self.ask("status")
                limit, stopped = status["limit"], sum(worker["state"] == "paused" for worker in status["workers"])
                self.looks.append(Look(
                    time.monotonic(), limit["workers"], limit["busy"] - stopped, *machine.tree(self.process.pid),
                    machine.available(), limit["reason"],
                ))

    # ── what came of it ───────────────────────────────────────────────────────────────────────────────────────────

    def between(self, since: float, until: float) -> list[Look]:
        """The looks of that time."""
        return [look for look in self.looks if since <= look.at < until]

    def cpu(self, since: float, until: float) -> float:
        """Cores used on the mean."""
        looks = self.between(since, until)
        return (looks[-1].cpu - looks[0].cpu) / (looks[-1].at - looks[0].at) if len(looks) > 1 else 0.0

    def limits(self, since: float, until: float) -> str:
        """`2 (1–3)`: the median of the limit and its extremes."""
        found = [look.limit for look in self.between(since, until)]
        return f"{statistics.median(found):g} ({min(found)}–{max(found)})" if found else "none seen"

    def harm(self) -> str:
        """What memory cost so far, in words: kills by the kernel, failures, tasks ended or stopped by us."""
        log = (self.state / "daemon.log").read_text()
        jobs = self.ask("status")["jobs"]
        lost = sum(job["items_failed"] for job in jobs)
        least = min((look.available for look in self.looks), default=0.0) / 1e9
        return (f"{machine.oom_kills() - self.kills} kills by the kernel, {lost} failed, "
                f"{log.count('is ended and queued again')} ended by us, {log.count('is stopped for a while')} stops, "
                f"{100 * Tape(self.tape).wasted():.0f} % wasted, least free {least:.1f} GB")

    def killed(self) -> int:
        """Kills by the kernel and tasks that failed."""
        failed: int = sum(job["items_failed"] for job in self.ask("status")["jobs"])
        return machine.oom_kills() - self.kills + failed

    def save(self, name: str) -> None:
        """Keeps log, trace, looks and `explain --json`, where that was asked for."""
        if self.bench.keep is None:
            return
        folder = self.bench.keep / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "why.json").write_text(json.dumps(self.ask("why"), indent=1))
        (folder / "looks").write_text("".join(
            f"{look.at - self.began:.2f} {look.limit} {look.busy} {look.cpu:.2f} {look.memory / 1e9:.2f} "
            f"{look.available / 1e9:.2f} {look.reason}\n" for look in self.looks
        ))
        for file in (self.state / "daemon.log", self.base / "trace", self.tape):
            if file.exists():
                shutil.copy(file, folder / file.name)


@contextlib.contextmanager
def trial(bench: Bench, *options: str) -> Iterator[Trial]:
    """A started daemon in a temporary folder."""
    with TemporaryDirectory(prefix="grist-bench-") as base:
        found = Trial(Path(base), bench)
        with found:
            found.start(*options)
            yield found


@contextlib.contextmanager
def process(argv: list[str], **how: Any) -> Iterator[subprocess.Popen[Any]]:
    """A process in a session of its own, ended with its group."""
    with subprocess.Popen(argv, start_new_session=True, **how) as child:
        try:
            yield child
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)


@contextlib.contextmanager
def by_hand(bench: Bench, load: Load, slots: int, tasks: int = 10_000) -> Iterator[tuple[subprocess.Popen[Any], Path]]:
    """The same tasks by `xargs -P`: (the process, the tape)."""
    with TemporaryDirectory(prefix="grist-bench-") as base:
        tape, numbers = Path(base, "tape"), Path(base, "numbers")
        tape.touch()
        numbers.write_text("\n".join(map(str, range(tasks))))
        argv = ["xargs", "-P", str(slots), "-n", "1", *load.argv(sys.executable, tape, bench.speed)]
        with numbers.open() as lines, process(argv, stdin=lines) as child:
            yield child, tape


def rest_until(moment: float, wanted: Callable[[], bool] = lambda: False) -> float:
    """Lets time pass until then, or until `wanted`; returns the time."""
    while (now := time.monotonic()) < moment and not wanted():
        time.sleep(min(0.1, moment - now))
    return now
