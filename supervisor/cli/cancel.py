"""`grist cancel`: ends jobs or tasks; what runs gets TERM, a grace, then KILL."""

from __future__ import annotations

import argparse

from gristmill.supervisor.cli.place import place_of
from gristmill.supervisor.core.sanitise import safe


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("ids", nargs="+", metavar="JOB[/TASK]", help="such as 12, sweep, 12/3")


def run(args: argparse.Namespace) -> int:
    """Asks the daemon, which answers once the order is durable."""
    with place_of(args).connect() as client:
        print(safe(client.ask("cancel", ids=args.ids)["message"]))
    return 0
