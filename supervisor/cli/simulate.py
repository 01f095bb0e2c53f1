"""`grist simulate`: when the jobs in the queue will end, and when they would if something were otherwise."""

from __future__ import annotations

import argparse
from typing import Any

from gristmill.supervisor.cli.place import place_of
from gristmill.supervisor.cli.table import print_table
from gristmill.supervisor.core import figures
from gristmill.supervisor.core.errors import RequestError
from gristmill.supervisor.core.sanitise import safe


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("--limit", type=int, metavar="N", help="with N workers (default: as many as run now)")
    parser.add_argument("--without", action="append", metavar="JOB", default=[], help="as if that job were not there")
    parser.add_argument("--faster", action="append", metavar="JOB=N", default=[],
                        help="as if tasks of that job were N times as fast")
    parser.add_argument("--json", action="store_true", help="for programs")


def run(args: argparse.Namespace) -> int:
    """Asks the daemon for what will be, and for what would be."""
    what: dict[str, Any] = {}
    if args.limit is not None:
        what["limit"] = args.limit
    if args.without:
        what["without"] = args.without
    if args.faster:
        what["faster"] = dict(_factor(word) for word in args.faster)
    with place_of(args).connect() as client:
        now = client.ask("forecast")
        then = client.ask("forecast", **what) if what else None
    if args.json:
        import json

        print(json.dumps({"schema": 1, "now": now, **({"then": then} if then else {})}))
        return 0
    if not now["jobs"]:
        print("nothing is queued")
        return 0
    print_table(table(now, then))
    print(told(now))
    return 0


def _factor(word: str) -> tuple[str, float]:
    job, sign, factor = word.rpartition("=")
    try:
        return job, float(factor) if sign else float("nan")
    except ValueError:
        raise RequestError(f"--faster {word}: write a job and a number, such as sweep=2") from None


def table(now: dict[str, Any], then: dict[str, Any] | None) -> list[tuple[str, ...]]:
    """A row a job, and one for the queue."""
    rows = [("ID", "NAME", "BEGINS IN", "ENDS IN", "FOUR OF FIVE", *(("THEN",) if then else ()), "")]
    other = {job["id"]: job for job in then["jobs"]} if then else {}
    for job in now["jobs"]:
        end, begin = job.get("end_s"), job.get("begin_s")
        band = f"{figures.about(job['low_s'])} – {figures.about(job['high_s'])}".replace("~", "") if end else ""
        would = other.get(job["id"], {})
        rows.append((
            str(job["id"]), safe(job["name"])[:40], figures.about(begin) if begin else "now" if end else "",
            figures.about(end), band, *((figures.about(would.get("end_s")) or would.get("why", ""),) if then else ()),
            safe(job.get("why", "")),
        ))
    ends = [max((job["end_s"] for job in one["jobs"] if job.get("end_s")), default=None) for one in (now, then) if one]
    rows.append(("", "all of it", "", figures.about(ends[0]), "", *(map(figures.about, ends[1:])), ""))
    return rows


def told(now: dict[str, Any]) -> str:
    """How sure that is."""
    workers = f"with {figures.several(now['workers'], 'worker')}"
    if not now["tried"]:
        return f"{workers}; no forecast has been tried yet, so they are taken to be off by a third"
    return f"{workers}; forecasts of {figures.several(now['tried'], 'job')} were off by {100 * now['error']:.0f} %"
