"""`grist remove`: removes what some ended jobs left; one that can't go is a fault, and then all stay."""

from __future__ import annotations

import argparse

from gristmill.supervisor.cli import clean
from gristmill.supervisor.cli.place import place_of


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.epilog = "Job files in done/ and failed/ stay."
    parser.add_argument("jobs_named", nargs="+", metavar="JOB", help="an id, a name (the newest of it) or `last`")


def run(args: argparse.Namespace) -> int:
    """Asks the daemon, which answers once the order is durable."""
    with place_of(args).connect() as client:
        print(clean.words(client.ask("clean", ids=args.jobs_named, strict=True), dry=False))
    return 0
