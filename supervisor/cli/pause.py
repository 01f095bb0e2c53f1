"""`grist pause`: starts nothing new, of any job, until `grist start`; what runs goes on."""

from __future__ import annotations

import argparse

from gristmill.supervisor.cli.place import place_of
from gristmill.supervisor.core.sanitise import safe


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options: none."""
    parser.epilog = "It outlives the daemon. One job alone: grist hold JOB."


def run(args: argparse.Namespace) -> int:
    """Asks the daemon, which answers once it is durable."""
    with place_of(args).connect() as client:
        print(safe(client.ask("pause")["message"]))
    return 0
