"""`grist clean`: removes what ended jobs left, by name, by age, or as the settings have it."""

from __future__ import annotations

import argparse
from typing import Any

from gristmill.supervisor.cli.place import place_of
from gristmill.supervisor.core import figures, units
from gristmill.supervisor.core.errors import GristError
from gristmill.supervisor.core.findings import Fault
from gristmill.supervisor.core.sanitise import safe


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.epilog = (
        "Records, logs, results and frozen scripts are removed. Job files in done/ and failed/ stay, and so does a\n"
        "job that another waits for. Without JOB and --older the settings keep and keep_size decide (default:\n"
        "90 days, and longer what fits into 10 GiB), also by themselves."
    )
    parser.add_argument("jobs_named", nargs="*", metavar="JOB", help="an id, a name (the newest of it) or `last`")
    parser.add_argument("--older", metavar="TIME", help="all that ended so long ago, such as 30d; 0s for all")
    parser.add_argument("--dry-run", action="store_true", help="say what would be removed, and its size")


def run(args: argparse.Namespace) -> int:
    """Asks the daemon, which answers once the order is durable; the files go in their time."""
    if args.jobs_named and args.older:
        raise GristError("JOB and --older exclude each other – say one of them")
    wanted: dict[str, Any] = {"dry": args.dry_run}
    if args.jobs_named:
        wanted["ids"] = args.jobs_named
    elif args.older:
        wanted["older"] = seconds(args.older)
    with place_of(args).connect(timeout=None) as client:
        print(words(client.ask("clean", **wanted), args.dry_run))
    return 0


def seconds(text: str) -> float:
    """`30d` in seconds; raises GristError, which says what to write instead."""
    try:
        return units.seconds(text, zero=True)
    except Fault as fault:
        raise GristError(f"--older: {fault.what} – {fault.mend}") from fault


def words(answer: dict[str, Any], dry: bool) -> str:
    """What was done, and what stays with its reason, a line each."""
    count, listed = answer["count"], answer["jobs"]
    named = ", ".join(listed) + (f" and {count - len(listed)} more" if count > len(listed) else "")
    size = "" if answer["bytes"] is None else f", {figures.size(answer['bytes'])}"
    said = f"{count} job{'' if count == 1 else 's'} {'would be ' if dry else ''}removed{size}"
    return "\n".join(map(safe, [f"{said}: {named}" if count else said, *(f"stays: {one}" for one in answer["kept"])]))
