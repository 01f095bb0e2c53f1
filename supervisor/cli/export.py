"""`grist export sbatch JOB`: a job as a plain script for Slurm, with the resources that its tasks were measured to
need."""

from __future__ import annotations

import argparse
import sys

from gristmill.supervisor.cli.place import place_of
from gristmill.supervisor.core.errors import GristError


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("form", choices=("sbatch",), help="what it is written for")
    parser.add_argument("job", metavar="JOB")
    parser.add_argument("-o", "--output", metavar="FILE", help="write it there (default: print it)")


def run(args: argparse.Namespace) -> int:
    """Prints it."""
    with place_of(args).connect() as client:
        text: str = client.ask("sbatch", job=args.job)["text"]
    if args.output is None:
        sys.stdout.write(text)
        return 0
    try:
        with open(args.output, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise GristError(f"{args.output}: {error.strerror} – name another file") from error
    return 0
