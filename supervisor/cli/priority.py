"""`grist priority`: which jobs go first."""

from __future__ import annotations

import argparse
import re

from gristmill.supervisor.cli.place import place_of
from gristmill.supervisor.core.errors import GristError
from gristmill.supervisor.core.sanitise import safe


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.usage = "grist priority [options] N|+N|-N JOB [JOB …]"
    parser.add_argument("wanted", metavar="N|+N|-N|=N", help="higher goes first; with a sign: so much more or less")
    parser.add_argument("jobs_named", nargs="+", metavar="JOB", help="an id, a name (the newest of it) or `last`")


def run(args: argparse.Namespace) -> int:
    """Asks the daemon, which answers once it is durable."""
    with place_of(args).connect() as client:
        print(safe(client.ask("priority", ids=args.jobs_named, **change(args.wanted))["message"]))
    return 0


def change(text: str) -> dict[str, int]:
    """`{"to": 5}` for `5` and `=5`, `{"by": -1}` for `-1`; raises GristError, which says what to write instead."""
    if not re.fullmatch(r"[=+-]?-?[0-9]{1,10}", text, re.ASCII) or text[:2] in ("+-", "--"):
        raise GristError(f"priority {text!r}: no whole number – say `grist priority 5 JOB` or `+1 JOB`")
    return {"by": int(text)} if text[0] in "+-" else {"to": int(text.removeprefix("="))}
