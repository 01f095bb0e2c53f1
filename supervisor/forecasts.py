"""Forecasts of when jobs will end, and how far off they turned out to be.

What a job will take is forecast once, when a quarter of its items is over; when it has ended the two are compared. That
error is kept over restarts and shown with each forecast.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import msgspec

from gristmill.supervisor import beat
from gristmill.supervisor.core import gate
from gristmill.supervisor.core.answers import ForecastView, OutlookView
from gristmill.supervisor.core.errors import RequestError
from gristmill.supervisor.core.forecast import Error, Line, Span, changed, forecast
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.task import JobState
from gristmill.supervisor.edge.server import Connection
from gristmill.supervisor.edge.store import Store, save_meta
from gristmill.supervisor.finder import Finder
from gristmill.supervisor.ledger import Ledger

log = logging.getLogger(__name__)

LOOK_S = 2.0
SHORT_S = 20.0
"""A job that takes less says nothing of forecasts."""
KEY = "forecast error"
JOBS_MOST = 500
"""So many jobs, the first in line, are forecast: a screen shows no more, and the model is a loop over all of them."""


class Forecasts:
    """Makes them, and judges them afterwards."""

    def __init__(
        self, ledger: Ledger, record: Store, workers: Callable[[], int], wall_s: Callable[[str], float | None],
        clock: Callable[[], float],
    ) -> None:
        """`workers` is the limit now, `wall_s` what is known of a kind of task from before."""
        self._ledger, self._record, self._workers, self._wall_s, self._clock = ledger, record, workers, wall_s, clock
        self._finder = Finder(ledger, record)
        self.error = _remembered(record.queries.meta(KEY))
        self._said: dict[int, tuple[float, float]] = {}
        """By job: when its end was forecast, and for when."""
        self.operations = {"forecast": self._forecast}

    async def run(self) -> None:
        """Judges forecasts for as long as the daemon lives."""
        while True:
            await asyncio.sleep(beat.pause(LOOK_S))
            self.look()

    def look(self) -> None:
        """Forecasts the jobs that are a quarter through, and compares those that have ended."""
        due = [job for job in self._ledger.live.values() if job.id not in self._said and _quarter(job)]
        if due:
            now, spans = self._clock(), self._spans(self.lines(), self._workers())
            self._said |= {job.id: (now, now + spans[job.id].end_s) for job in due if job.id in spans}
        for number in [number for number in self._said if number not in self._ledger.jobs]:
            said_at, said = self._said.pop(number)
            view = self._ledger.recent.get(number)
            if view is not None and view.ended_at is not None and view.state == "done":
                took = view.ended_at - said_at
                if max(took, said - said_at) >= SHORT_S:
                    self.error = self.error.learn(said - said_at, took)
                    self._record.write(save_meta(KEY, msgspec.json.encode(self.error).decode()))

    def lines(self) -> list[Line]:
        """What is left of each job, in the order of their turns."""
        now, names = self._clock(), self._ledger.by_name()
        found: list[Line] = []
        for job in self._ledger.in_order():
            if len(found) == JOBS_MOST:
                break
            if job.state is JobState.HELD or not job.alive:
                continue
            needs = {
                number for ref in gate.named(job.spec.gate) if job.started_at is None
                for number in ([ref] if isinstance(ref, int) else names.get(ref, [])[-1:])
                if number != job.id and number in self._ledger.jobs
            }
            found.append(self._line(job, now, tuple(sorted(needs))))
        return found

    def _line(self, job: Job, now: float, needs: tuple[int, ...]) -> Line:
        tasks = float(job.waiting + len(job.live))
        wall_s = job.footprint.wall_s if job.footprint.ends else self._wall_s(job.kind)
        if job.guided is not None and (item_s := job.footprint.pace.item_s):
            left = job.spec.items.total - job.items_done - job.items_failed
            tasks, wall_s = max(1.0, left * item_s), 1.0  # ranges of about a second
        ran = sum(max(0.0, now - task.started_at) for task in job.live.values() if task.started_at is not None)
        if wall_s:
            tasks = max(0.05 * len(job.live) + job.waiting, tasks - min(0.95 * len(job.live), ran / wall_s))
        wait_s = 0.0 if job.start_at is None else max(0.0, job.start_at - now)
        return Line(job.id, max(tasks, 1e-3), wall_s, job.spec.limits.workers, job.spec.priority, wait_s, needs)

    @staticmethod
    def _spans(lines: list[Line], workers: int) -> dict[int, Span]:
        return forecast(lines, workers) if workers else {}

    async def _forecast(self, _: Connection, request: dict[str, Any]) -> OutlookView:
        """With `limit` as many workers, `without` these jobs, `faster` tasks of a job so many times as fast."""
        limit = request.get("limit")
        if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 0):
            raise RequestError("limit: a whole number of workers")
        without = [(await self._finder.job(str(which))).id for which in request.get("without", [])]
        faster: dict[int, float] = {}
        for which, factor in dict(request.get("faster", {})).items():
            if not isinstance(factor, int | float) or not factor > 0:
                raise RequestError(f"{which}: {factor} times as fast is no speed")
            faster[(await self._finder.job(str(which))).id] = float(factor)
        workers, lines = self._workers() if limit is None else limit, self.lines()  # as of now, when all were found
        spans = self._spans(changed(lines, without, faster), workers)
        views = []
        for line in lines:
            span, job = spans.get(line.id), self._ledger.jobs[line.id]
            low, high = self.error.band(span.end_s) if span else (None, None)
            views.append(ForecastView(
                id=line.id, name=job.spec.name, begin_s=span.begin_s if span else None,
                end_s=span.end_s if span else None, low_s=low, high_s=high,
                why="left out" if line.id in without else "" if span else _unknown(line, job),
            ))
        return OutlookView(workers=workers, error=self.error.square**0.5, tried=self.error.count, jobs=views)


def _remembered(text: str | None) -> Error:
    """The error as an earlier daemon wrote it down; where that can't be read any more it is learned anew."""
    try:
        return msgspec.json.decode(text, type=Error) if text else Error()
    except msgspec.DecodeError as error:
        log.info("how far off forecasts were is written in another way (%s): it is learned again", error)
        return Error()


def _quarter(job: Job) -> bool:
    """Whether a quarter of a job is over, and it has more than one task to be over."""
    over = job.items_done + job.items_failed
    return job.footprint.ends >= 3 and over >= 0.25 * job.spec.items.total and not job.spec.items.open


def _unknown(line: Line, job: Job) -> str:
    if line.wall_s is None:
        return "no task of it has ended yet"
    return job.gate or "what it waits for is not known"
