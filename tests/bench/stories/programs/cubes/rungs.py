"""The lower rungs: files are read anew for every cube. `python rungs.py HOW CUBES` prints cubes a second.

`whole` reads every CSV file as it is (ten of the hundred, and the time is taken ten times), `csv` from every CSV file
the rows and columns that a cube needs, `parquet` its columns from every Parquet file.
"""

import os
import sys
import time
from pathlib import Path

import cubes
import numpy as np

folder = Path(os.environ["TABLES"])
TENTH = 10


def whole(columns):
    """A tenth of a cube, out of CSV files that are read as they are."""
    files = sorted(folder.glob("*.csv"))[:: cubes.TABLES // TENTH]
    return np.stack([np.loadtxt(file, delimiter=",")[: cubes.ROWS, columns] for file in files])


def csv(columns):
    """One cube, from the first rows of every CSV file."""
    files = sorted(folder.glob("*.csv"))
    return np.stack([np.loadtxt(file, delimiter=",", max_rows=cubes.ROWS, usecols=columns) for file in files])


def parquet(columns):
    """One cube, from its columns in every Parquet file."""
    names = [f"c{column}" for column in columns]
    tables = [cubes.parquet.read_table(file, columns=names) for file in sorted(folder.glob("*.parquet"))]
    return np.stack([np.stack([table[name].to_numpy()[: cubes.ROWS] for name in names], axis=1) for table in tables])


made = 0
began = time.perf_counter()
for index in range(int(sys.argv[2])):
    made += len({"whole": whole, "csv": csv, "parquet": parquet}[sys.argv[1]](cubes.draw(index))) / cubes.TABLES
print(made / (time.perf_counter() - began))
