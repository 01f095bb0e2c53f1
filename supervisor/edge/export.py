"""Rows of results written out: JSON lines, CSV or Parquet.

Owns the forms and the writing, and holds no more than a batch of rows: the columns of a table are known with its last
row, so that all rows wait in a temporary file until then.
"""

from __future__ import annotations

import contextlib
import csv
import importlib.util
import io
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from gristmill.supervisor.core import harvest
from gristmill.supervisor.core.errors import GristError
from gristmill.supervisor.core.harvest import Row
from gristmill.supervisor.edge.durable import sync_folder

BATCH = 10_000
"""Rows that are held, and make a row group of a Parquet file."""
LACKING = "Parquet needs pyarrow, which is not installed here – pip install 'gristmill[parquet]', or take csv or json"


def write(rows: Iterable[Row], form: str, out: BinaryIO) -> None:
    """Writes rows in a form; raises GristError where the program for that is missing."""
    FORMS[form](rows, out)


def write_file(rows: Iterable[Row], form: str, path: Path) -> None:
    """The same as a file that takes its name once it is whole, and keeps it over a power cut."""
    partial = path.with_name(path.name + ".part")
    try:
        with open(partial, "wb") as out:
            write(rows, form, out)
            out.flush()
            os.fsync(out.fileno())
        partial.replace(path)
        with contextlib.suppress(PermissionError):  # a folder that one may put files into and not read
            sync_folder(path.parent)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def possible(form: str) -> bool:
    """Whether a form can be written here."""
    return form != "parquet" or importlib.util.find_spec("pyarrow") is not None


def _json(rows: Iterable[Row], out: BinaryIO) -> None:
    for row in rows:
        out.write(json.dumps(row).encode() + b"\n")


def _csv(rows: Iterable[Row], out: BinaryIO) -> None:
    with tempfile.TemporaryFile("w+b") as spool:
        names = list(_spooled(rows, spool))
        text = io.TextIOWrapper(out, "utf-8", newline="", write_through=True)
        try:
            table = csv.DictWriter(text, names)
            table.writeheader()
            for found in _unspooled(spool):
                table.writerow({name: harvest.plain(value) for name, value in found.items()})
        finally:
            text.detach()  # the file is the caller's


def _parquet(rows: Iterable[Row], out: BinaryIO) -> None:
    if not possible("parquet"):
        raise GristError(LACKING)
    import pyarrow as pa  # only here: whoever takes another form does without
    from pyarrow import parquet

    types = {"bool": pa.bool_(), "int": pa.int64(), "float": pa.float64(), "text": pa.string()}
    with tempfile.TemporaryFile("w+b") as spool:
        kinds = _spooled(rows, spool)
        schema = pa.schema([(name, types[kind]) for name, kind in kinds.items()])
        with parquet.ParquetWriter(out, schema) as table:
            found = _unspooled(spool)
            while batch := list(islice(found, BATCH)):
                arrays = [
                    pa.array([harvest.typed(row.get(name), kind) for row in batch], types[kind])
                    for name, kind in kinds.items()
                ]
                table.write_batch(pa.record_batch(arrays, schema=schema))


FORMS: dict[str, Callable[[Iterable[Row], BinaryIO], None]] = {"json": _json, "csv": _csv, "parquet": _parquet}


def _spooled(rows: Iterable[Row], spool: BinaryIO) -> dict[str, str]:
    """Puts the cells of all rows into a file; returns the kinds of the columns."""
    columns = harvest.Columns()
    for row in rows:
        found = harvest.cells(row)
        columns.see(found)
        spool.write(json.dumps(found).encode() + b"\n")
    spool.seek(0)
    return columns.kinds


def _unspooled(spool: BinaryIO) -> Iterator[dict[str, Any]]:
    return map(json.loads, spool)
