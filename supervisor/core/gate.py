"""When a job may begin, and may go on beginning tasks: after other jobs, at a time, in some hours, not too late.

Owns what a job file says of that and what it amounts to at one moment. What became of other jobs and which time it is,
is passed in; who looks at it again, and when, is `gates`'s.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from graphlib import CycleError, TopologicalSorter
from typing import Literal, NamedTuple

from msgspec import UNSET, UnsetType

from gristmill.supervisor.core import entries, figures, hours, keys, units
from gristmill.supervisor.core.findings import Fault, Findings, Path, shown
from gristmill.supervisor.core.spec import Gate, Ref

Words = Literal["after", "after_any", "after_failed"]
LIKED: dict[Words, str] = {"after": "well", "after_any": "", "after_failed": "badly"}
"""How a job that is named must have ended; "" for in any way."""
NAMED_HOURS = {"nights": "20:00-08:00", "weekends": "sat,sun 00:00-24:00"}
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)", re.ASCII)
_START = 'write a time such as "22:00", "2026-12-24 08:00", "2h" (from now) or cron\'s "0 22 * * fri"'


class Fate(NamedTuple):
    """What became of a job that another waits for; `state` as JobState has it."""

    id: int
    name: str
    state: str

    @property
    def called(self) -> str:
        return f"job {self.id} ({self.name})"


class Verdict(NamedTuple):
    """Whether a job may begin tasks now: `never` where no waiting will help. `words` say why not."""

    state: Literal["open", "closed", "never"]
    words: str = ""


OPEN = Verdict("open")


# ── what a job file says ──────────────────────────────────────────────────────────────────────────────────────────────


def read(layout: keys.JobFile, findings: Findings) -> Gate:
    """What a file says of the time to begin; notes what is wrong with it."""
    after, after_any, after_failed = (_refs(getattr(layout, key), (key,), findings) for key in LIKED)
    none: tuple[hours.Window, ...] = ()
    return Gate(
        after=after, after_any=after_any, after_failed=after_failed,
        start="" if layout.start is UNSET else findings.take(("start",), partial(start, layout.start), ""),
        only=none if layout.only is UNSET else findings.take(("only",), partial(windows, layout.only), none),
        expires_s=entries.seconds(layout.expires, ("expires",), findings),
    )


def _refs(given: str | int | list[str | int] | UnsetType, key: Path, findings: Findings) -> tuple[Ref, ...]:
    """The jobs that are named, by id or by name."""
    if given is UNSET:
        return ()
    listed = given if isinstance(given, list) else [given]
    if not listed:
        findings.add(key, f"{key[0]} names no job", 'name one, such as "prepare", or leave the key out')
    for number, one in enumerate(listed):
        if isinstance(one, str) and not one.strip():
            findings.add((*key, number) if isinstance(given, list) else key, "an empty name", "name a job")
    return tuple(dict.fromkeys(one.strip() if isinstance(one, str) else one for one in listed))


def windows(given: str | list[str]) -> tuple[hours.Window, ...]:
    """The hours that are named; raises `Fault`."""
    listed = given if isinstance(given, list) else [given]
    if not listed:
        raise Fault("only names no hours", 'write hours such as "22:00-06:00", "nights" or "weekends"')
    return tuple(hours.read(NAMED_HOURS.get(one.strip().lower(), one)) for one in listed)


def start(text: str) -> str:
    """The same text, where it is a time to begin at; raises `Fault`."""
    plain = " ".join(text.split())
    first(plain, datetime(2026, 1, 1))
    return plain


def first(text: str, since: datetime) -> datetime:
    """The first moment after `since` that a `start` means, both by the clock on the wall; raises `Fault`.

    A time of day is the next one, a duration counts from `since`, a date is what it is, even if it is over; one that
    names its zone is that moment here.
    """
    fields = text.split()
    if len(fields) == 5:
        return _cron(text, since)
    if len(fields) == 1 and text.count(":") == 1 and "T" not in text:
        clock = _CLOCK.fullmatch(text)
        if clock is None:
            raise Fault(f"{shown(text)} is no time of day", "hours go from 00:00 to 23:59")
        return _cron(f"{int(clock[2])} {int(clock[1])} * * *", since)
    if text[:4].isdigit() and text[4:5] == "-":
        try:
            moment = datetime.fromisoformat(text)
            if not 1970 <= moment.year < 9999:  # others no clock can count to, wherever it is
                raise ValueError(f"year {moment.year} is out of range")
            return moment if moment.tzinfo is None else moment.astimezone().replace(tzinfo=None)
        except ValueError as error:
            raise Fault(f"{shown(text)} is no date: {error}", _START) from None
    try:
        return datetime.fromtimestamp(since.timestamp() + units.seconds(text))
    except Fault:
        raise Fault(f"{shown(text)} is no time to begin at", _START) from None


def _cron(text: str, since: datetime) -> datetime:
    from cronsim import CronSim, CronSimError  # here, since few jobs need it

    try:
        moment: datetime = next(CronSim(text, since))
    except CronSimError as error:
        raise Fault(f"{shown(text)} is no cron line: {str(error).lower()}", _START) from None
    except StopIteration:
        raise Fault(f"{shown(text)} names a day that never comes", _START) from None
    return moment


# ── what it amounts to now ────────────────────────────────────────────────────────────────────────────────────────────


def judge(
    gate: Gate, begun: bool, age_s: float, wait_s: float, local: datetime, fate: Callable[[Ref], Fate | None]
) -> Verdict:
    """Whether a job may begin tasks. It was submitted `age_s` ago, its start is due in `wait_s`; `fate` says what is
    known of a job that it names. One that has `begun` waits for its hours only."""
    if not begun:
        if gate.expires_s is not None and age_s > gate.expires_s:
            return Verdict("never", f"expired: not begun within {figures.length(gate.expires_s)}")
        for words, refs in needs(gate):
            for ref in refs:
                verdict = _after(words, ref, fate(ref))
                if verdict.state != "open":
                    return verdict
        if wait_s > 0:
            return Verdict("closed", f"start: {_moment(local, wait_s)}, in {figures.clock_span(wait_s)}")
    if gate.only and not hours.left(gate.only, local):
        opens = hours.clock(local, hours.until(gate.only, local))
        return Verdict("closed", f"only: begins tasks {' and '.join(one.text for one in gate.only)}, next at {opens}")
    return OPEN


def alone(fate: Fate) -> Verdict:
    """The verdict on a job that waits for all earlier jobs of its name, of which this one is not over."""
    return Verdict("closed", f"singleton: waits for {fate.called}, {fate.state}")


def needs(gate: Gate) -> tuple[tuple[Words, tuple[Ref, ...]], ...]:
    """The jobs that must have ended before, by how."""
    return (("after", gate.after), ("after_any", gate.after_any), ("after_failed", gate.after_failed))


def named(gate: Gate) -> tuple[Ref, ...]:
    """All of these jobs."""
    return (*gate.after, *gate.after_any, *gate.after_failed)


def _after(words: Words, ref: Ref, fate: Fate | None) -> Verdict:
    liked = LIKED[words]
    if fate is None:
        return Verdict("closed", f"{words}: there is no job {ref if isinstance(ref, int) else shown(ref)} yet")
    if fate.state not in ("done", "failed", "canceled"):
        return Verdict("closed", f"{words}: waits for {fate.called}, {fate.state}")
    ended = "well" if fate.state == "done" else "badly"
    if liked and ended != liked:
        how = "has ended well" if ended == "well" else f"has {fate.state}" if fate.state == "failed" else "was canceled"
        return Verdict("never", f"dependency: {fate.called} {how}, and this job was to run {words} it")
    return OPEN


def _moment(local: datetime, wait_s: float) -> str:
    then = datetime.fromtimestamp(local.timestamp() + wait_s)
    return then.strftime("%H:%M" if then.date() == local.date() else "%a %d %b %H:%M")


def circle(waits_for: Mapping[int, Iterable[int]]) -> tuple[int, ...]:
    """Jobs that wait for each other in a circle, each for the next; () where there is none."""
    try:
        TopologicalSorter(waits_for).prepare()
    except CycleError as error:
        return tuple(reversed(error.args[1][1:]))
    return ()
