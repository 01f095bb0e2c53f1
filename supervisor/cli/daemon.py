"""`grist daemon`: the daemon itself, in the foreground."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from gristmill.supervisor.cli import launchpad, limit
from gristmill.supervisor.cli.place import place_of
from gristmill.supervisor.core import units
from gristmill.supervisor.core.errors import GristError
from gristmill.supervisor.core.findings import Fault


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("--limit", metavar="N|auto", help="so many workers, whatever settings files say; "
                                                           "auto: as many as the machine is seen to bear")
    parser.add_argument("--disk-reserve", metavar="SIZE", help="start nothing with less free (default: 256 MB or 2 %%)")
    parser.add_argument("--record", metavar="FILE", help="write down all that the governor is told and decides, for "
                                                         "`grist replay`; readable by you alone")
    parser.add_argument("--quiet", action="store_true", help="log to daemon.log alone")
    parser.add_argument("--allow-root", action="store_true", help="no warning when run as root")


def run(args: argparse.Namespace) -> int:
    """Serves until it is stopped; prints `ready` once files are accepted."""
    with launchpad.without_openssl():
        import asyncio

        from gristmill.supervisor.daemon import Daemon, Settings
        from gristmill.supervisor.rebirth import Rebirth

    rebirth = Rebirth(os.environ)
    if os.geteuid() == 0 and not args.allow_root:
        print("grist: running as root: every job runs as root – use --allow-root if that is meant", file=sys.stderr)
    place = place_of(args)
    settings = Settings(
        jobs=place.jobs, state=place.state, foreground=not args.quiet, disk_reserve=_size(args.disk_reserve),
        limit=limit.option(args.limit), record=None if args.record is None else Path(os.path.abspath(args.record)),
    )
    daemon = Daemon(settings, rebirth)
    daemon.prepare()

    async def ready() -> None:
        if rebirth.last is None:  # else it was said before, and nobody listens any more
            print("ready", flush=True)

    asyncio.run(daemon.run(ready))
    return 0


def _size(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return units.size(text)
    except Fault as error:
        raise GristError(f"--disk-reserve: {error}") from error
