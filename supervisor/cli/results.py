"""`grist results JOB`: what its tasks gave back, one item a line, with the parameters."""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

from gristmill.supervisor.cli.place import place_of
from gristmill.supervisor.core.errors import GristError
from gristmill.supervisor.core.harvest import Row
from gristmill.supervisor.core.sanitise import safe
from gristmill.supervisor.edge import export
from gristmill.supervisor.edge.client import Client


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("job", metavar="JOB")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", dest="form", action="store_const", const="json", default="json",
                      help="one JSON object a line (default)")  # fmt: skip
    form.add_argument("--csv", dest="form", action="store_const", const="csv",
                      help="a table: item, parameters, and the result's fields")  # fmt: skip
    form.add_argument("--parquet", dest="form", action="store_const", const="parquet",
                      help="the same as a Parquet file (needs pyarrow)")  # fmt: skip
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="write to a file, which appears once whole")


def run(args: argparse.Namespace) -> int:
    """Writes all results that are there so far."""
    with place_of(args).connect() as client:
        rows = fetch(client, args.job)
        if args.output is not None:
            try:
                export.write_file(rows, args.form, args.output)
            except OSError as error:
                raise GristError(f"{args.output}: {error.strerror} – name another file") from error
            return 0
        if args.form == "parquet" and sys.stdout.isatty():
            raise GristError("a Parquet file is nothing for a terminal – name a file: --output FILE")
        first = next(rows, None)
        if first is None:
            print(f"grist: {safe(args.job)} has no results – a task gives one by writing JSON to $GRIST_RESULT",
                  file=sys.stderr)
        else:
            export.write(itertools.chain((first,), rows), args.form, sys.stdout.buffer)
    return 0


def fetch(client: Client, job: str) -> Iterator[Row]:
    """Every result of a job, by item, a page at a time; of that job alone, whoever takes its name meanwhile."""
    number = str(client.ask("job", job=job, limit=0)["job"]["id"])
    after: int | None = -1
    while after is not None:
        page = client.ask("results", job=number, after=after)
        yield from page["rows"]
        after = page["next"]
