"""`grist limit`: how many workers may run."""

from __future__ import annotations

import argparse

from gristmill.supervisor.cli.place import place_of
from gristmill.supervisor.core.errors import GristError
from gristmill.supervisor.core.sanitise import safe


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("workers", nargs="?", metavar="N|auto", help="0 starts nothing new; without it: show the limit")


def run(args: argparse.Namespace) -> int:
    """Shows or sets it."""
    with place_of(args).connect() as client:
        if args.workers is None:
            limit = client.ask("status")["limit"]
            print(f"{limit['workers']} ({limit.get('mode', 'auto')}), {limit['busy']} busy: {safe(limit['reason'])}")
            return 0
        if args.workers != "auto" and not args.workers.isdigit():
            raise GristError(f"limit {args.workers!r}: not a number – say `grist limit 8` or `grist limit auto`")
        print(client.ask("limit", workers=None if args.workers == "auto" else int(args.workers))["message"])
    return 0
