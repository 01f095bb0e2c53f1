"""`python tables.py FOLDER`: writes the 100 tables, as CSV and, where there is pyarrow, as Parquet."""

import sys
from pathlib import Path

import numpy as np

try:
    import pyarrow
    from pyarrow import csv, parquet
except ImportError:
    pyarrow = None


def main(folder):
    random = np.random.default_rng(0)
    for number in range(100):
        values = random.integers(0, 10**6, size=(1000, 1000)) / 10**6
        target = folder / f"{number:02}.csv"
        if pyarrow is None:
            np.savetxt(target, values, fmt="%.6f", delimiter=",")
            continue
        table = pyarrow.table({f"c{column}": values[:, column] for column in range(1000)})
        csv.write_csv(table, target, csv.WriteOptions(include_header=False))
        parquet.write_table(table, target.with_suffix(".parquet"), compression="none", use_dictionary=False)


main(Path(sys.argv[1]))
