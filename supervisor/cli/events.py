"""`grist events`: what has happened, one JSON object a line; docs/operations.md is the reference."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from datetime import datetime

from gristmill.supervisor.cli.place import place_of
from gristmill.supervisor.core import units
from gristmill.supervisor.core.errors import GristError
from gristmill.supervisor.core.findings import Fault
from gristmill.supervisor.edge.client import Client

WAIT_S = 20.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.epilog = (
        "Events are: job, task, limit, condition, daemon, and gap where some are not kept any more. The last 2,000\n"
        "of tasks, and the last 2,000 others, are kept while the daemon runs."
    )
    parser.add_argument("-f", "--follow", action="store_true", help="go on as they happen, until the daemon stops")
    parser.add_argument("--since", metavar="TIME", help="30m (ago), 2026-11-28T22:00, or seconds since the epoch")
    parser.add_argument("--only", metavar="EVENT", action="append", help="such as job; may be given again")


def run(args: argparse.Namespace) -> int:
    """Prints them."""
    since = 0.0 if args.since is None else moment(args.since, time.time())
    with place_of(args).connect(timeout=WAIT_S + 30) as client:
        for event in stream(client, since, args.follow):
            if args.only is None or event["event"] in args.only:
                print(json.dumps(event), flush=args.follow)
    return 0


def stream(client: Client, since: float, follow: bool) -> Iterator[dict[str, object]]:
    """The events; with `follow` without end."""
    after = 0
    while True:
        answer = client.ask("events", after=after, since=since, timeout=WAIT_S if follow else 0)
        yield from answer["events"]
        if not answer["events"] and not follow:
            return
        after = answer["next"]


def moment(text: str, now: float) -> float:
    """The time that `30m`, `2026-11-28T22:00` or `1795903200` means; raises GristError."""
    if text.replace(".", "", 1).isdecimal() and text.isascii():
        return float(text)
    try:
        return now - units.seconds(text)
    except Fault:
        pass  # then it is a date
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError as error:
        raise GristError(f"--since {text!r}: no time – say 30m, 2026-11-28T22:00, or seconds") from error
