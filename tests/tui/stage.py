"""A daemon's socket for the screens to talk to: a real unix socket in this process, with updates as a test wants them.

Refuses to decide anything: what is asked is recorded, what is answered was set before.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from textual import events
from textual.pilot import Pilot
from textual.widgets import Input

from gristmill.supervisor.core.answers import (
    AllowView,
    KindView,
    PointView,
    WhyView,
)
from gristmill.supervisor.core.protocol import (
    ConditionView,
    DaemonView,
    DecisionView,
    EngineView,
    JobView,
    LimitView,
    MachineView,
    PastView,
    TaskView,
    Update,
    WorkerView,
)
from gristmill.tui.app import MillApp
from tests.waiting import DEADLINE

OSC52 = "\x1b]52;c;ZWNobyBwd25lZA==\x07"


def job(number: int, name: str, state: str = "running", **fields: Any) -> JobView:
    """A job of forty items."""
    values: dict[str, Any] = {"items": 40, "items_done": 15, "submitted_at": time.time() - 600,
                              "started_at": time.time() - 300, "tasks": 40, "file": f"{name}.toml"}  # fmt: skip
    return JobView(id=number, name=name, state=state, **(values | fields))


def worker(number: int, task: str | None = None, name: str | None = None, **fields: Any) -> WorkerView:
    """A worker that runs a task, or none."""
    if task is None:
        return WorkerView(worker=number, state="idle")
    values: dict[str, Any] = {"count": 1, "cpu_percent": 97.0, "memory_bytes": 3_300_000_000, "progress": 0.51,
                              "started_at": time.time() - 724, "last_line": "ep 3 loss .41"}  # fmt: skip
    return WorkerView(worker=number, state=fields.pop("state", "running"), task=task,
                      job=int(task.partition("/")[0]), job_name=name, **(values | fields))  # fmt: skip


def reasons(**fields: Any) -> WhyView:
    """What binds where memory does, with a curve that was measured."""
    day = time.mktime((*time.localtime()[:3], 9, 31, 7, 0, 0, -1))
    values: dict[str, Any] = {
        "limit": LimitView(workers=6, busy=6, reason="memory: 2.1 GB of reserve 3.2 GB left"), "binding": "memory",
        "allows": [
            AllowView(binding="cpu", workers=8, words="71 % of 8 cores, 0.95 a task"),
            AllowView(binding="others", workers=7, words="22 % of the CPU is other people's"),
            AllowView(binding="memory", workers=6, words="84 % taken, 3.2 GB kept; one more needs 2.1 GB"),
            AllowView(binding="measured", workers=7, words="more than 7 was no faster"),
            AllowView(binding="user", workers=None, words="no cap"),
        ],
        "curve": [PointView(workers=number, rate=rate, error=error) for number, rate, error in (
            (1, 0.19, 0.01), (2, 0.37, 0.015), (4, 0.71, 0.02), (5, 0.86, 0.02), (6, 0.97, 0.015), (7, 1.0, 0.02),
            (8, 0.93, 0.05))],
        "trying": "+1 if less than 78 % of memory for 30 s (11 s so far)",
        "kinds": [
            KindView(name="sweep", command="python train.py --fold {fold}", tasks_seen=312, wall_s=724.0, cores=0.95,
                     memory_peak_bytes=1_900_000_000, memory_need_bytes=2_200_000_000, running=5, waiting=23),
            KindView(name="pose-cv", command="python pose.py", memory_need_bytes=4 << 30, claimed=True, running=1,
                     waiting=9400),
        ],
        "decisions": [
            DecisionView(time=day, before=8, after=7, reason="memory: 88 % taken, 2.9 GB of reserve 3.2 GB left"),
            DecisionView(time=day + 187, before=7, after=6, reason="memory: 86 % taken, one task has grown by 0.4 GB"),
        ],
    }  # fmt: skip
    return WhyView(**(values | fields))


EMPTY: dict[str, Any] = {
    "sweep": {"axes": []}, "causes": {"causes": [], "seen": 0, "of": 0},
    "timeline": {"began_at": 0.0, "step_s": 1.0, "done": [], "failed": []},
    "vitals": {"cores": [[0, 50.0, True]], "load": [1, 1, 1], "cpu_ours_percent": 40, "cpu_others_percent": 10,
               "memory_total_bytes": 1 << 34, "memory_available_bytes": 1 << 33, "memory_ours_bytes": 1 << 31},
    "life": {"began_at": 0.0, "step_s": 1.0, "cpu": [], "memory_bytes": []},
}  # fmt: skip
"""What is answered where a test has said nothing."""


class Daemon:
    """Speaks the protocol; `state` is what the next update says."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.asked: list[dict[str, Any]] = []
        self.subscriptions = 0
        self.jobs: dict[int, JobView] = {}
        self.workers: list[WorkerView] = []
        self.engines: list[EngineView] = []
        self.tasks: dict[str, list[TaskView]] = {}
        self.logs: dict[str, dict[str, Any]] = {}
        self.refusals: dict[str, str] = {}
        self.studies: dict[tuple[str, str], Any] = {}
        self.held = ""
        self.jobs_more = 0
        self.conditions: list[ConditionView] = []
        self.counts_all = False
        self.frozen = False
        """Whether it is as one that was stopped: its socket takes what is said, and nothing is answered."""
        self.kept: dict[str, list[Callable[[], None]]] = {}
        """Answers that do not come before a test gives them, by what is asked: whatever has a list here."""
        self.limit = LimitView(workers=8, busy=1, reason="memory binds (84 %, cap 85 %)")
        self.why = reasons()
        self.decisions: list[DecisionView] = []
        self.seq = 10
        self.now: Callable[[], float] = time.time
        self.history: list[PastView] = []
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []
        self._serving: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_unix_server(self._serve, str(self.path))

    async def stop(self) -> None:
        """Hang up and go."""
        if self._server is not None:
            self._server.close()
            for writer in self._writers:
                writer.close()
            self._writers.clear()
            if self._serving:
                await asyncio.wait(self._serving, timeout=DEADLINE)
            await self._server.wait_closed()
            self._server = None
            self.path.unlink(missing_ok=True)

    def update(self, event: Any, jobs: list[JobView], removed: list[int] | None = None) -> Update:
        """What is said now."""
        return Update(
            event=event, seq=self.seq, time=self.now(), jobs=jobs, removed=removed or [], workers=self.workers,
            engines=self.engines, decisions=self.decisions, jobs_more=self.jobs_more,
            history=self.history if event == "snapshot" else [],
            daemon=DaemonView(pid=1, version="0.1", uptime_s=60, reason=self.held, conditions=self.conditions,
                              state="held" if self.held or any(one.holds for one in self.conditions) else "ok"),
            limit=self.limit,
            machine=MachineView(cores=8, cpu_percent=71, cpu_ours_percent=60, memory_total_bytes=64 << 30,
                                memory_available_bytes=10 << 30, memory_ours_bytes=12 << 30, load_1m=6.1),
        )  # fmt: skip

    def push(self, *changed: JobView, removed: list[int] | None = None, skip: int = 0) -> None:
        """Send a delta; `skip` leaves numbers out, as if updates were lost."""
        self.seq += 1 + skip
        for one in changed:
            self.jobs[one.id] = one
        for gone in removed or []:
            self.jobs.pop(gone, None)
        self.send(msgspec.json.encode(self.update("delta", list(changed), removed)))

    def send(self, line: bytes) -> None:
        """Send a line to every subscriber as it is."""
        for writer in self._writers:
            if not writer.is_closing():
                writer.write(line + b"\n")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                self._take(msgspec.json.decode(line), writer)
        writer.close()

    def _take(self, request: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        op = request["op"]
        if self.frozen:
            self.asked.append(request)
            return
        if op == "subscribe":
            self.subscriptions += 1
            self._writers.append(writer)
            writer.write(b'{"id":1,"ok":true,"data":{}}\n')
            writer.write(msgspec.json.encode(self.update("snapshot", list(self.jobs.values()))) + b"\n")
            return
        self.asked.append(request)
        if op in self.kept:
            self.kept[op].append(partial(self._answer, request, writer))
        else:
            self._answer(request, writer)

    def give(self, op: str) -> None:
        """Send the answers that were kept back, in the order of the questions; the next ones come at once."""
        for answer in self.kept.pop(op):
            answer()

    def _answer(self, request: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        op = request["op"]
        answer: dict[str, Any] = {"id": request["id"], "ok": op not in self.refusals}
        if op in self.refusals:
            answer |= {"error": self.refusals[op], "code": 2}
        else:
            answer["data"] = getattr(self, f"_{op}")(request)
        writer.write(msgspec.json.encode(answer) + b"\n")

    def _tasks(self, request: dict[str, Any]) -> dict[str, Any]:
        known = self.tasks.get(request["job"], [])
        found = [task for task in known if request["state"] in (None, task.state)]
        page = found[request["offset"] : request["offset"] + request["limit"]]
        total = len(known if self.counts_all else found)
        return {"job": self.jobs[int(request["job"])], "tasks": page, "total": total}

    def _log(self, request: dict[str, Any]) -> dict[str, Any]:
        nothing = {"path": None, "live": False, "state": "queued", "attempt": 0}
        which = " err" if request.get("err") else f" {request['attempt']}" if request.get("attempt") else ""
        return self.logs.get(request["task"] + which, nothing)

    def _cancel(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"message": f"canceled {', '.join(request['ids'])}"}

    def _retry(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"message": f"queued again: {', '.join(request['ids'])}"}

    def _study(self, request: dict[str, Any]) -> Any:
        found = self.studies.get((request["op"], request.get("job") or request.get("task") or ""))
        return found if found is not None else EMPTY[request["op"]]

    _sweep = _causes = _timeline = _life = _vitals = _study

    def _hold(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"message": f"held {', '.join(request['ids'])}"}

    def _release(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"message": f"released {', '.join(request['ids'])}"}

    def _priority(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"message": f"priority of {', '.join(request['ids'])} by {request['by']}"}

    def _pause(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"message": "paused"}

    def _start(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"message": "started again"}

    def _shutdown(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"message": f"drains: {request['drain']}"}

    def _add(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"id": 77, "name": request["file"].removesuffix(".toml"), "items": 1}

    def _limit(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"message": f"limit {request['workers'] or 'auto'}"}

    def _why(self, _: dict[str, Any]) -> WhyView:
        return self.why

    def ops(self, op: str) -> list[dict[str, Any]]:
        """What was asked of this kind, without the ids of the requests."""
        return [{key: value for key, value in request.items() if key not in ("id", "op")}
                for request in self.asked if request["op"] == op]  # fmt: skip


class Eye:
    """Sees what a user sees, and waits for it with a deadline."""

    def __init__(self, app: MillApp, pilot: Pilot[int]) -> None:
        self.app = app
        self.pilot = pilot

    @property
    def lines(self) -> list[str]:
        """The whole screen, line by line."""
        return [strip.text.rstrip("▐ ") for strip in self.app.screen._compositor.render_strips()]

    @property
    def text(self) -> str:
        """The whole screen."""
        return "\n".join(self.lines)

    def line(self, part: str) -> str:
        """The first line with this text."""
        return next((line for line in self.lines if part in line), "")

    @property
    def cursor(self) -> str:
        """The line that the cursor of the focused list is on."""
        return next((line for line in self.lines if line.startswith(("▎", ">"))), "")

    async def until(self, condition: Callable[[], object], what: str = "") -> None:
        """Wait until this holds."""
        end = time.monotonic() + DEADLINE
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"never came true: {what}\n{self.text}")
            await self.pilot.pause(0.01)

    async def sees(self, *parts: str) -> None:
        """Wait until all of this is on the screen."""
        for part in parts:
            await self.until(lambda part=part: part in self.text, f"sees {part!r}")  # type: ignore[misc]

    async def misses(self, part: str) -> None:
        """Wait until this is gone."""
        await self.until(lambda: part not in self.text, f"misses {part!r}")

    async def press(self, *keys: str) -> None:
        """Press keys; what begins with `=` is text that is typed at once, into the line that waits for it."""
        for key in keys:
            if len(key) > 1 and key.startswith("="):
                await self.until(lambda: isinstance(self.app.focused, Input), "a line to type in")
                for char in key[1:]:
                    self.app.post_message(events.Key("space" if char == " " else char, char))
                await self.pilot.pause()
            else:
                await self.pilot.press(key)


Opened = Callable[..., AbstractAsyncContextManager[Eye]]
"""Opens the app at a size, with options, and closes it."""
