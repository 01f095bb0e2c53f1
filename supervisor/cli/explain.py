"""`grist explain`: why so many workers run; or why one job or task waits, runs, or ended as it did (see `fate`)."""

from __future__ import annotations

import argparse
import json
import time
from textwrap import wrap
from typing import Any

from gristmill.supervisor.cli.fate import explain, gather, source
from gristmill.supervisor.cli.place import place_of
from gristmill.supervisor.cli.table import print_table
from gristmill.supervisor.core import figures, reasons
from gristmill.supervisor.core.sanitise import safe

SCHEMA = 1
WIDTH = 80
NAME = 10
BINDS = "<< binding"
BAR = 32
"""Cells of the best throughput."""
POINTS = 12
DECISIONS = 10


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("id", nargs="?", metavar="ID",
                        help="a job or JOB/TASK; without it: why so many workers run")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="for programs")


def run(args: argparse.Namespace) -> int:
    """Asks, and explains."""
    now = time.time()
    with place_of(args).connect() as client:
        if args.id is None:
            view = client.ask("why")
            print(json.dumps({"schema": SCHEMA, **view})) if args.json else show_why(view, now)
            return 0
        known = gather(client, args.id)
    lines = explain(known, now)
    if args.json:
        print(json.dumps({"schema": SCHEMA, "job": known.job, "task": known.task, "sentences": lines,
                          "why": known.why}))  # fmt: skip
    else:
        print("\n".join(lines))
    return 0


def show_why(view: dict[str, Any], now: float) -> None:
    """The headline, the limits, what is tried, the curve, the kinds, the last decisions."""
    limit, binding = view["limit"], str(view["binding"])
    print(f"{reasons.headline(limit['workers'], binding)} ({limit.get('mode', 'auto')}, {limit['busy']} busy)")
    if limit.get("reason") and all(one["binding"] != binding for one in view.get("allows", [])):
        print(f"  {safe(limit['reason'])}")
    _show_limits(view.get("allows", []), binding)
    if view.get("trying"):
        print(f"\nnext: {safe(view['trying'])}")
    if view.get("paused"):
        print(f"\nstopped for a while, all their processes: {', '.join(safe(one) for one in view['paused'])}")
    _show_curve(view.get("curve", []), int(limit["workers"]))
    _show_kinds(view.get("kinds", []))
    _show_decisions(view.get("decisions", []), now)


def _show_limits(allows: list[dict[str, Any]], binding: str) -> None:
    """The table; what is long goes on below."""
    if not allows:
        return
    print(f"\n  {'LIMIT':<{NAME}}  ALLOWS  NOW")
    for one in allows:
        binds = one["binding"] == binding
        words = safe(one.get("words", "")) + (f"  {BINDS}" if binds else "")
        name, allowed = safe(reasons.name(one["binding"])), reasons.allowed(one.get("workers"))
        head = f"{'>' if binds else ' '} {name:<{NAME}}  {allowed:>6}"
        first, *more = wrap(words, WIDTH - NAME - 12) or [""]
        print(f"{head}  {first}".rstrip())
        for line in more:
            print(" " * (NAME + 12) + line)


def _show_curve(points: list[list[float]], workers: int) -> None:
    if not points:
        print("\nNo throughput has been measured yet: that takes tasks that end.")
        return
    print("\nThroughput measured with so many workers, of the best, ± standard error:")
    points = sorted(points)
    for index in reasons.near([at for at, _, _ in points], workers, POINTS):
        at, rate, error = points[index]
        mark = ">" if round(at) == workers else " "
        print(f"{mark} {at:>4.4g}  {bar(rate, error)}  {reasons.rate(rate, error)}")


def bar(rate: float, error: float) -> str:
    """What was surely reached is dark, what the error leaves open is light: `██████▒▒  `."""
    cells = [round(max(0.0, min(1.25, share)) * BAR) for share in (rate - error, rate + error)]
    return ("█" * cells[0] + "▒" * (cells[1] - cells[0])).ljust(BAR + 4)


def _show_kinds(kinds: list[dict[str, Any]]) -> None:
    if not kinds:
        return
    print()
    rows = [("KIND", "SEEN", "WALL", "CORES", "PEAK", "NEED", "FROM", "RUN", "WAIT")]
    for kind in kinds:
        cores = kind.get("cores")
        rows.append((
            safe(kind["name"])[:24], str(kind.get("tasks_seen", 0)), reasons.taken(kind.get("wall_s")),
            "" if cores is None else f"{cores:.2f}", figures.size(kind.get("memory_peak_bytes")),
            figures.size(kind.get("memory_need_bytes")), source(kind), str(kind.get("running") or ""),
            str(kind.get("waiting") or ""),
        ))  # fmt: skip
    print_table(rows)


def _show_decisions(decisions: list[dict[str, Any]], now: float) -> None:
    if not decisions:
        return
    last = sorted(decisions, key=lambda one: float(one["time"]))[-DECISIONS:]
    print(f"\nThe last {len(last)} of {figures.several(len(decisions), 'change')}:")
    for one in last:
        when = float(one["time"])
        clock = figures.full_clock(when) if abs(now - when) < figures.DAY else figures.wall_clock(when, now)
        print(f"  {clock:<8}  {one['before']:>3} → {one['after']:<3}  {safe(one['reason'])}")
