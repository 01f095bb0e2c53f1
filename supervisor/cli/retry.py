"""`grist retry`: runs ended tasks again, with a fresh count of attempts."""

from __future__ import annotations

import argparse

from gristmill.supervisor.cli.place import place_of
from gristmill.supervisor.core.sanitise import safe


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("ids", nargs="+", metavar="JOB[/TASK]", help="such as 12, sweep, 12/3")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--failed", action="store_true", help="those that did not end well (as without it)")
    which.add_argument("--all", action="store_true", help="also those that ended well (default: only the others)")


def run(args: argparse.Namespace) -> int:
    """Asks the daemon."""
    with place_of(args).connect() as client:
        print(safe(client.ask("retry", ids=args.ids, failed=not args.all)["message"]))
    return 0
