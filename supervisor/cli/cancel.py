"""`grist cancel`: ends jobs or tasks; what runs gets TERM, a grace (with --kill a second at most), then KILL."""

from __future__ import annotations

import argparse

from gristmill.supervisor.cli.place import place_of
from gristmill.supervisor.core.sanitise import safe


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("ids", nargs="+", metavar="JOB[/TASK]", help="such as 12, sweep, 12/3")
    parser.add_argument("--kill", action="store_true", help="a second of grace at most, also where it ends already")


def run(args: argparse.Namespace) -> int:
    """Asks the daemon, which answers once the order is durable."""
    with place_of(args).connect() as client:
        print(safe(client.ask("cancel", ids=args.ids, kill=args.kill)["message"]))
    return 0
