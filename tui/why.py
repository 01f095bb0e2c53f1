"""Why so many workers run, as lines of runs: the limits, what was learned of each kind, the history of decisions.

Pure: tones, no colours; widths in cells. The curve is `curve`'s, the sentences are `core.reasons`'.
"""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

from gristmill.supervisor.core import figures, reasons
from gristmill.supervisor.core.answers import AllowView, KindView, WhyView
from gristmill.supervisor.core.protocol import DecisionView
from gristmill.supervisor.core.sanitise import safe
from gristmill.tui.columns import Column, cut, fit, row, rule, said
from gristmill.tui.marks import SIGNS, Marks, Runs

BINDS = "<< binding"
NAME = 10
ALLOWS = 6
PAUSED_SHOWN = 12


def title(why: WhyView, width: int, marks: Marks) -> Runs:
    """`6 workers: memory binds ─────── auto, 5 busy`."""
    head = reasons.headline(why.limit.workers, why.binding)
    return rule(((head, "title"),), ((f"{why.limit.mode}, {why.limit.busy} busy", "muted"),), width, marks.rule)


def limits(why: WhyView, width: int, lines: int, marks: Marks) -> list[Runs]:
    """The table limit, now, allows, with the binding one marked; in `lines` lines, the heading among them.

    The figures of the one that binds go on below where they are long. Where not all find room, those go first that
    bind least.
    """
    words = min(60, width - 2 - NAME - 1 - ALLOWS - 1 - len(BINDS) - 3)
    if words < 12:
        words = 0
    heading = f"  {'LIMIT':<{NAME}} {'NOW':<{words}} {'ALLOWS':>{ALLOWS}}" if words else (
        f"  {'LIMIT':<{NAME}} {'ALLOWS':>{ALLOWS}}")  # fmt: skip
    shown = _tightest(why.allows, why.binding, max(1, lines - 1))
    out: list[Runs] = [((heading, "muted"),)]
    for one in shown:
        binds = one.binding == why.binding
        tone = "strong" if binds else "text"
        row: Runs = ((" >" if binds else "  ", "accent"), *cut(((reasons.name(one.binding), tone),), NAME, marks.cut))
        first, rest = one.words, ""
        if binds and words and len(shown) + 1 < lines and (parts := wrap(safe(one.words), words)):
            first, rest = parts[0], " ".join(parts[1:])
        if words:
            row = (*row, (" ", "text"), *cut(((first, tone if binds else "muted"),), words, marks.cut))
        row = (*row, (" ", "text"), *cut(((reasons.allowed(one.workers), tone),), ALLOWS, marks.cut, right=True))
        out.append((*row, (f" {BINDS}", "accent")) if binds else row)
        if rest:
            out.append(((" " * (NAME + 3), "text"), *cut(((rest, tone),), width - NAME - 3, marks.cut)))
    if not shown:
        out.append((("  no limit has been worked out yet", "muted"),))
    return out


def _tightest(allows: Sequence[AllowView], binding: str, most: int) -> list[AllowView]:
    by_need = sorted(allows, key=lambda one: (one.binding != binding, one.workers is None, one.workers or 0))
    kept = {one.binding for one in by_need[:most]}
    return [one for one in allows if one.binding in kept]


def trying(why: WhyView, width: int, marks: Marks) -> list[Runs]:
    """What is being tried, and which tasks are stopped; a line each, none where there is nothing to say."""
    out: list[Runs] = []
    if why.trying:
        out.append(cut(((" next: ", "muted"), (why.trying, "text")), width, marks.cut))
    if why.paused:
        sign = SIGNS["paused"]
        more = f" and {len(why.paused) - PAUSED_SHOWN} more" if len(why.paused) > PAUSED_SHOWN else ""
        which = f"{', '.join(why.paused[:PAUSED_SHOWN])}{more}"
        glyph = sign.ascii if marks.ascii else sign.glyph
        out.append(cut(((f" {glyph}{sign.word} ", sign.tone), (f"stopped for a while: {which}", "text")),
                       width, marks.cut))  # fmt: skip
    return out


KINDS = (
    Column("Kinds", 12, most=30, share=2), Column("SEEN", 6, right=True, rank=1), Column("WALL", 7, right=True, rank=2),
    Column("CORES", 5, right=True, rank=3), Column("PEAK", 5, right=True, rank=4),
    Column("NEED", 5, right=True), Column("FROM", 7, most=12),
    Column("RUN", 4, right=True, rank=5), Column("WAIT", 6, right=True, rank=5),
    Column("COMMAND", 12, most=400, share=5, rank=6),
)  # fmt: skip


def _kind(kind: KindView) -> tuple[tuple[str, str], ...]:
    cores = "" if kind.cores is None else f"{kind.cores:.2f}" if kind.cores < 9.995 else f"{kind.cores:.0f}"
    return (
        (kind.name, "strong"), (figures.count(kind.tasks_seen), "text"), (reasons.taken(kind.wall_s), "text"),
        (cores, "text"), (figures.size(kind.memory_peak_bytes), "text"),
        (figures.size(kind.memory_need_bytes), "strong"), (reasons.source(kind.claimed, kind.tasks_seen), "muted"),
        (str(kind.running or ""), "text"), (figures.count(kind.waiting) if kind.waiting else "", "text"),
        (kind.command, "muted"),
    )  # fmt: skip


def kinds(known: Sequence[KindView], width: int, marks: Marks) -> list[Runs]:
    """What was learned of each kind: runs seen, means, the memory that one more is taken to need."""
    if not known:
        heading = rule((("Kinds", "title"),), (), width, marks.rule)
        return [heading, (("  Nothing learned yet: of a new kind one task runs first.", "muted"),)]
    fitted = fit(KINDS, width - 3)
    (first, cells), *others = fitted
    heads = [(first, cells + 1), *others]  # its title stands as far left as those of other panels
    names = [said(column.title, "muted" if place else "title") for place, column in enumerate(KINDS)]
    lines = [row(KINDS, fitted, [said(*one) for one in _kind(kind)], marks.cut) for kind in known]
    return [((" ", "muted"), *row(KINDS, heads, names, marks.cut)), *((("  ", "text"), *line) for line in lines)]


def joined(told: Sequence[DecisionView], known: Sequence[DecisionView]) -> list[DecisionView]:
    """All decisions that either names, the newest first."""
    found = {(one.time, one.before, one.after): one for one in (*known, *told)}
    return sorted(found.values(), key=lambda one: one.time, reverse=True)


def history(decisions: Sequence[DecisionView], now: float, width: int, marks: Marks) -> list[Runs]:
    """A heading, then each decision with its time, the newest first; long reasons go on below."""
    count = f"  {figures.several(len(decisions), 'change')}" if decisions else ""
    out = [rule((("History", "title"), (count, "muted")), (), width, marks.rule)]
    if not decisions:
        return [*out, (("  No change yet.", "muted"),)]
    for one in decisions:
        clock = figures.full_clock(one.time) if abs(now - one.time) < figures.DAY else figures.wall_clock(one.time, now)
        step = f"{one.before}>{one.after}"
        head: Runs = ((f"  {clock:<8} ", "muted"), (f"{step:>7}  ", "strong"))
        parts = wrap(safe(one.reason), max(16, width - 20)) or [""]
        out.append((*head, (parts[0], "text")))
        out += [((" " * 20 + part, "text"),) for part in parts[1:]]
    return out
