"""`grist completion`: what a shell needs to complete commands, options, files and the names of jobs."""

from __future__ import annotations

import argparse
import sys

from gristmill.supervisor.cli.place import place_of
from gristmill.supervisor.core.errors import GristError

SHELLS = ("bash", "zsh", "fish")


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.epilog = "`jobs` prints the ids and names of jobs, one a line: the scripts ask for them."
    parser.add_argument("shell", choices=(*SHELLS, "jobs"), metavar="bash|zsh|fish|jobs")


def run(args: argparse.Namespace) -> int:
    """Prints the script."""
    if args.shell == "jobs":
        return jobs(args)
    from gristmill.supervisor.cli import verbs
    from gristmill.supervisor.core import completion

    sys.stdout.write(completion.SHELLS[args.shell](verbs.all_verbs()))
    return 0


def jobs(args: argparse.Namespace) -> int:
    """Names first, each once, then ids; what could trouble a terminal is left out. Nothing where no daemon answers."""
    try:
        with place_of(args).connect(timeout=2.0) as client:
            known = client.ask("status", near=True)["jobs"]
    except GristError:
        return 0
    names = dict.fromkeys(job["name"] for job in reversed(known) if job["name"].isprintable())
    print("\n".join([*names, *(str(job["id"]) for job in reversed(known)), "last"]))
    return 0
