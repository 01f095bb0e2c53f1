"""`grist start`: starts tasks again after `grist pause`."""

from __future__ import annotations

import argparse

from gristmill.supervisor.cli.place import place_of
from gristmill.supervisor.core.sanitise import safe


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options: none."""
    parser.epilog = "The daemon itself is started by grist up."


def run(args: argparse.Namespace) -> int:
    """Asks the daemon, which answers once it is durable."""
    with place_of(args).connect() as client:
        print(safe(client.ask("start")["message"]))
    return 0
