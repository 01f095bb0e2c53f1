"""`grist shutdown`: stops the daemon; running tasks go on and are taken over by the next one."""

from __future__ import annotations

import argparse
import time

from gristmill.supervisor.cli.place import place_of
from gristmill.supervisor.core.errors import GristError
from gristmill.supervisor.edge import locks


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--drain", action="store_true", help="start nothing new, stop when all running tasks have ended")
    how.add_argument("--kill", action="store_true", help="end all running tasks first")
    parser.add_argument("--no-wait", action="store_true", help="return at once")


def run(args: argparse.Namespace) -> int:
    """Asks, then waits until the daemon has let go of its lock."""
    place = place_of(args)
    with place.connect() as client:
        print(client.ask("shutdown", drain=args.drain, kill=args.kill)["message"], flush=True)
    deadline = time.monotonic() + 30
    while not args.no_wait and locks.holder(place.state / "lock") is not None:
        if not args.drain and time.monotonic() > deadline:
            raise GristError("the daemon has not stopped within 30 s – look at its daemon.log")
        time.sleep(0.05)
    return 0
