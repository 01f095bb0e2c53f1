"""`grist release`: lets held jobs go on."""

from __future__ import annotations

import argparse

from gristmill.supervisor.cli.place import place_of
from gristmill.supervisor.core.sanitise import safe


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("jobs_named", nargs="+", metavar="JOB", help="an id, a name (the newest of it) or `last`")


def run(args: argparse.Namespace) -> int:
    """Asks the daemon, which answers once it is durable."""
    with place_of(args).connect() as client:
        print(safe(client.ask("release", ids=args.jobs_named)["message"]))
    return 0
