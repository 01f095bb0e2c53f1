"""The person's cubes: from 100 tables of 1,000 × 1,000, the first 100 rows of 100 columns drawn by chance.

    TABLES=folder python cubes.py 5      # the sums of the corners of five cubes, to see that they are made

Four ways to gather one: `told` as he wrote it, the others as what limits it was understood.
"""

import os
import sys
from pathlib import Path

import numpy as np

TABLES, ROWS, COLUMNS, DRAWN = 100, 100, 1000, 100
data = by_column = None


def load():
    """Reads all tables, once; what cubes are made of is kept a second time, columns first."""
    global data, by_column
    data = np.stack([read(path) for path in tables()])
    by_column = np.ascontiguousarray(data[:, :ROWS].transpose(2, 0, 1))


def tables():
    """The files, Parquet where there is pyarrow and CSV where there is not."""
    kind = "parquet" if parquet is not None else "csv"
    found = sorted(Path(os.environ["TABLES"]).glob(f"*.{kind}"))
    if not found:
        raise SystemExit(f"{os.environ['TABLES']}: no {kind} files – make them: python tables.py FOLDER")
    return found


def read(path):
    """One table, as float64[1000, 1000]."""
    if path.suffix == ".csv":
        return np.loadtxt(path, delimiter=",")
    table = parquet.ParquetFile(path, pre_buffer=False).read(use_threads=False)  # threads do not survive a fork
    return np.stack([column.to_numpy() for column in table.columns], axis=1)


def draw(index):
    """The columns of one cube."""
    return np.random.default_rng(index).permutation(COLUMNS)[:DRAWN]


def told(start, count):
    """A range of cubes, as he wrote it; a corner of each is given back, to show that it was made."""
    return some("told", start, count)


def some(form, first, number):
    """The same, gathered in one of these ways."""
    return [float(GATHER[form](draw(index))[0, 0, 0]) for index in range(first, first + number)]


GATHER = {
    "told": lambda columns: data[:, :ROWS, columns],
    "taken": lambda columns: np.take(data[:, :ROWS], columns, axis=2),  # said to be the faster way
    "ordered": lambda columns: data[:, :ROWS, np.sort(columns)],  # neighbours come with one line of the cache
    "columns_first": lambda columns: by_column[columns],  # a drawn column is one piece of memory
}

try:
    from pyarrow import parquet
except ImportError:
    parquet = None

if __name__ == "__main__":
    load()
    print(told(0, int(sys.argv[1])))
