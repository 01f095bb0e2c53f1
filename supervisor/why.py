"""Why so many workers run, as the screens show it: made of the governor's last decision and what it remembers."""

from __future__ import annotations

import math

import msgspec

from gristmill.supervisor.core import launch
from gristmill.supervisor.core.answers import (
    AllowView,
    KindView,
    PointView,
    WhyView,
)
from gristmill.supervisor.core.figures import several
from gristmill.supervisor.core.governor import Decision, Fit, Reading, State, Waiting
from gristmill.supervisor.core.governor import memory as room
from gristmill.supervisor.core.governor.rates import Rates
from gristmill.supervisor.core.journal import Key
from gristmill.supervisor.core.protocol import DecisionView, LimitView
from gristmill.supervisor.ledger import Ledger

KINDS_SHOWN = 50


def explain(
    ledger: Ledger, state: State, reading: Reading, decision: Decision, limit: LimitView, history: list[DecisionView]
) -> WhyView:
    """The whole answer."""
    probe = state.search.probe
    return WhyView(
        limit=limit,
        binding=str(decision.binding),
        allows=[AllowView(binding=str(allow.binding), workers=allow.workers, words=allow.words)
                for allow in decision.allows],
        curve=curve(state.rates.get(state.prevailing, Rates())),
        trying=f"{probe.to} instead of {several(probe.base, 'worker')}, to see what gets more done" if probe else "",
        kinds=kinds(ledger, state, reading, decision),
        decisions=history,
        paused=[_named(task.task) for task in reading.running if task.stopped],
    )


def curve(rates: Rates) -> list[PointView]:
    """The measured points, relative to the best."""
    found = [(workers, rate) for workers in rates.seen() if (rate := rates.rate(workers)) is not None]
    best = max((rate.value for _, rate in found), default=0.0)
    points = []
    for workers, rate in found:
        height = math.exp(rate.value - best)
        points.append(PointView(workers=round(workers, 1), rate=round(height, 4), error=round(height * rate.error, 4)))
    return points


def kinds(ledger: Ledger, state: State, reading: Reading, decision: Decision) -> list[KindView]:
    """What was learned of kinds that run or wait, then of those seen last."""
    running: dict[str, int] = {}
    for task in reading.running:
        running[task.kind] = running.get(task.kind, 0) + 1
    waiting = {line.kind: line.count for line in reading.waiting}
    commands = {job.kind: launch.summary(job.spec) for job in ledger.jobs.values() if job.kind in state.kinds}
    order = sorted(state.kinds, key=lambda name: (name not in running, name not in waiting, -state.kinds[name].at))
    fits = _fits(order[:KINDS_SHOWN], state, reading) | decision.fits
    views = []
    for name in order[:KINDS_SHOWN]:
        kind, fit = state.kinds[name], fits.get(name)
        need = fit.need if fit is not None else None
        views.append(
            KindView(
                name=name.rpartition("#")[0], command=commands.get(name, ""), tasks_seen=kind.ends,
                wall_s=kind.wall if kind.ends else None, cores=kind.use,
                memory_peak_bytes=int(max(kind.largest, kind.peak.mean)) or None,
                memory_need_bytes=None if need is None else int(need), claimed=kind.claim is not None,
                running=running.get(name, 0), waiting=waiting.get(name, 0),
            )
        )
    return views


def _fits(names: list[str], state: State, reading: Reading) -> dict[str, Fit]:
    """What one more of each kind would be taken to need if it waited; not of those of which nothing is known."""
    known = {name: kind for name in names if (kind := state.kinds[name]).claim is not None or kind.largest}
    waiting = tuple(Waiting(kind=name, count=1, raised=kind.raised) for name, kind in known.items())
    forecast = room.Forecast(reading, state.kinds, state.memory, {})
    return room.fits(msgspec.structs.replace(reading, waiting=waiting), state.kinds, state.memory, forecast)


def _named(task: str) -> str:
    key = Key.parse(task)
    return f"{key.job}/{key.number}"
