"""A job in depth, as lines of runs: its sweep by parameters, its failures by their last words, how it went over time;
and what one task used over its life.

Pure: tones, no colours; widths in cells. Every bar stands beside its figure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from textwrap import wrap

from gristmill.supervisor.core import figures
from gristmill.supervisor.core.answers import (
    AxisView,
    CausesView,
    CauseView,
    LifeView,
    SweepView,
    TimelineView,
)
from gristmill.supervisor.core.sanitise import safe
from gristmill.tui import plot
from gristmill.tui.columns import Column, cut, fit, row, said, spread
from gristmill.tui.marks import Marks, Runs

BAR = 8
"""Cells of a bar beside its figure."""

_SWEEP = (
    Column("VALUE", 8, most=28, share=3), Column("OK", 6, right=True), Column("FAIL", 5, right=True),
    Column("", BAR, most=14, rank=2), Column("PEAK", 5, right=True, rank=1), Column("", BAR, most=14, rank=4),
    Column("TIME", 8, right=True, rank=1), Column("", BAR, most=14, rank=4),
    Column("RESULT", 9, right=True), Column("", BAR, most=14, rank=3),
)  # fmt: skip


def number(value: float | None) -> str:
    """A result in at most nine characters."""
    return "" if value is None else f"{value:.4g}"


def _part(value: float | None, low: float, high: float) -> float:
    """Where a value lies between two others, 0…1; 0 where nothing is known."""
    if value is None or high <= low:
        return 0.0 if value is None else 1.0
    return (value - low) / (high - low)


def sweep(view: SweepView, width: int, marks: Marks) -> list[Runs]:
    """A block for each parameter, a line for each of its values."""
    if not view.axes:
        return [(("  No parameters here: a sweep is told of jobs with a [grid] or with columns of a file.", "muted"),)]
    if not view.seen:
        return [(("  No task has ended yet.", "muted"),)]
    lines: list[Runs] = []
    for axis in view.axes:
        lines += [*_axis(axis, view, width, marks), ()]
    told = f"  of the first {figures.count(view.seen)} of {figures.count(view.of)} items" if view.seen < view.of else ""
    others = ", ".join(name for name in view.fields if name != view.result)[:200]
    result = f"  RESULT: mean of {view.result}" + (f" (others: {others})" if others else "") if view.result else ""
    return [*lines, cut((((result + told) or "  no result was given back", "muted"),), width, marks.cut)]


def _axis(axis: AxisView, view: SweepView, width: int, marks: Marks) -> list[Runs]:
    fitted = fit(_SWEEP, width - 3)
    heads = (said(axis.name, "title"), *(said(column.title, "muted") for column in _SWEEP[1:]))
    peak = max((one.memory_peak_bytes or 0 for one in axis.values), default=0)
    longest = max((one.wall_s or 0.0 for one in axis.values), default=0.0)
    given = [one.result for one in axis.values if one.result is not None]
    low, high = (min(0.0, *given), max(0.0, *given)) if given else (0.0, 0.0)
    lines: list[Runs] = [(("  ", "muted"), *row(_SWEEP, fitted, heads, marks.cut))]
    for one in axis.values:
        ended = one.done + one.failed
        drawn: tuple[Callable[[int], Runs], ...] = (
            said(one.value, "strong"),
            said(figures.count(one.done), "text" if one.done else "faint"),
            said(figures.count(one.failed), "fail" if one.failed else "faint"),
            _bar(one.failed / ended if ended else 0.0, "fail", marks),
            said(figures.size(one.memory_peak_bytes), "text"),
            _bar(_part(one.memory_peak_bytes, 0, peak), "g1", marks),
            said(_seconds(one.wall_s), "text"), _bar(_part(one.wall_s, 0, longest), "g0", marks),
            said(number(one.result), "strong"), _bar(_part(one.result, low, high), "accent", marks),
        )  # fmt: skip
        lines.append((("  ", "text"), *row(_SWEEP, fitted, drawn, marks.cut)))
    return lines


def _bar(part: float, tone: str, marks: Marks) -> Callable[[int], Runs]:
    """A bar as long as its column is wide."""
    return lambda cells: marks.progress(part, cells, tone)[:1]


def _seconds(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.2f}s" if value < 10 else f"{value:.0f}s" if value < 60 else figures.clock_span(value)


def causes(view: CausesView, width: int, marks: Marks) -> list[Runs]:
    """Each cause with how many tasks it cost, and which."""
    if not view.causes:
        return [(("  No task has failed.", "muted"),)]
    lines: list[Runs] = []
    for one in view.causes:
        lines += _cause(one, width, marks)
    if view.seen < view.of:
        told = f"  of the newest {figures.count(view.seen)} of {figures.count(view.of)} failed tasks"
        lines.append(((told, "muted"),))
    return lines


def _cause(one: CauseView, width: int, marks: Marks) -> list[Runs]:
    head: Runs = ((f"  {figures.count(one.count):>6} ", "strong"), *marks.state(one.state), ("  ", "text"))
    indent = 17
    parts = wrap(safe(one.words or one.reason or "nothing was written"), max(12, width - indent - 1)) or [""]
    lines: list[Runs] = [(*cut(head, indent), (parts[0], "text"))]
    lines += [((" " * indent + part, "text"),) for part in parts[1:3]]
    more = "" if len(one.numbers) >= one.count else f" and {one.count - len(one.numbers)} more"
    which = " ".join(map(str, one.numbers)) + more
    reason = f"{one.reason}; " if one.reason and one.reason != one.words else ""
    return [*lines, cut(((" " * indent + f"{reason}task {which}", "muted"),), width, marks.cut)]


def timeline(view: TimelineView, width: int, height: int, marks: Marks) -> list[Runs]:
    """Items that ended over time, those that ended badly below; a line of hours at the foot."""
    total = sum(view.done) + sum(view.failed)
    if not total:
        return [(("  Nothing has ended yet.", "muted"),)]
    group = -(-len(view.done) // max(8, min(len(view.done), total, width - 3)))
    done, failed = _summed(view.done, group), _summed(view.failed, group)
    per = f"in {figures.clock_span(view.step_s * group)}" if view.step_s * group > 1 else "a second"
    best = max(done)
    room, bad = width - 3, 3 if any(failed) else 0
    tall = max(2, height - 3 - bad)
    lines: list[Runs] = [spread((("  Ended well", "ok"), (f"  at most {figures.count(best)} {per}", "muted")),
                                ((f"{figures.count(sum(view.done))} items ", "muted"),), width)]  # fmt: skip
    lines += [(("  ", "text"), (line, "ok")) for line in _drawn(done, best, room, tall, marks)]
    if bad:
        worst = max(failed)
        lines.append(spread((("  Ended badly", "fail"), (f"  at most {figures.count(worst)} {per}", "muted")),
                            ((f"{figures.count(sum(view.failed))} items ", "muted"),), width))  # fmt: skip
        lines += [(("  ", "text"), (line, "fail")) for line in _drawn(failed, worst, room, bad - 1, marks)]
    begin = figures.full_clock(view.began_at)
    end = figures.full_clock(view.began_at + view.step_s * len(view.done))
    return [*lines, spread(((f"  {begin}", "muted"),), ((f"{end} ", "muted"),), width)]


def _summed(values: Sequence[int], group: int) -> list[int]:
    """So many steps as one: bars that each stand for some items tell more than single ones."""
    return [sum(values[at : at + group]) for at in range(0, len(values), group)]


def _drawn(values: Sequence[float], most: float, width: int, height: int, marks: Marks) -> list[str]:
    columns = plot.resample(values, width * 2)
    fractions = [None if not value else value / max(1e-9, most) for value in columns]
    return (plot.ascii_columns if marks.ascii else plot.braille)(fractions, height)


def life(view: LifeView, width: int, height: int, marks: Marks) -> list[Runs]:
    """CPU above, memory below, over the life of one attempt."""
    if not view.cpu:
        return [(("  not seen for a second yet", "muted"),)]
    lasted = figures.clock_span(view.step_s * len(view.cpu))
    cores = max(1, math.ceil(max(view.cpu) - 0.05))
    peak = max(view.memory_bytes)
    mean = sum(view.cpu) / len(view.cpu)
    each = max(1, (height - 2) // 2)
    lines: list[Runs] = []
    for name, figure, aside, values, most, tone in (
        ("CPU", f"{view.cpu[-1]:.1f}", f"mean {mean:.2f}, scale {cores} core{'s' * (cores > 1)}, over {lasted}",
         view.cpu, float(cores), "g0"),
        ("MEM", figures.size(view.memory_bytes[-1]), f"peak {figures.size(peak)}", view.memory_bytes,
         float(max(peak, 1)), "g1"),
    ):  # fmt: skip
        lines.append(spread(((f"  {name}", "muted"), (f"  {figure}", "strong")), ((f"{aside} ", "muted"),), width))
        lines += [(("  ", "text"), (line, tone)) for line in _drawn(values, most, width - 3, each, marks)]
    return lines
