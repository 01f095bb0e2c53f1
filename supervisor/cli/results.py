"""`grist results JOB`: what its tasks gave back, one item a line, with the parameters."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterator
from typing import Any

from gristmill.supervisor.cli.place import place_of
from gristmill.supervisor.edge.client import Client


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("job", metavar="JOB")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object a line (default)")
    form.add_argument("--csv", action="store_true", help="a table: item, parameters, and the result's fields")


def run(args: argparse.Namespace) -> int:
    """Prints all results that are there so far."""
    with place_of(args).connect() as client:
        rows = fetch(client, args.job)
        if args.csv:
            write_csv(list(rows))
        else:
            for row in rows:
                print(json.dumps(row))
    return 0


def fetch(client: Client, job: str) -> Iterator[dict[str, Any]]:
    """Every result of a job, by item."""
    after: int | None = -1
    while after is not None:
        page = client.ask("results", job=job, after=after)
        yield from page["rows"]
        after = page["next"]


def write_csv(rows: list[dict[str, Any]], out: Any = None) -> None:
    """Parameters and the fields of results as columns; a result that is no object stands in `result`."""
    columns: dict[str, None] = {"item": None}
    flat = []
    for row in rows:
        result = row["result"] if isinstance(row["result"], dict) else {"result": row["result"]}
        line = {"item": row["item"], **row["params"], **result}
        columns.update(dict.fromkeys(line))
        flat.append({key: json.dumps(v) if isinstance(v, dict | list) else v for key, v in line.items()})
    writer = csv.DictWriter(out or sys.stdout, list(columns))
    writer.writeheader()
    writer.writerows(flat)
