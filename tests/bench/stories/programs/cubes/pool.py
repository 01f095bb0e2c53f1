"""What the person had: a pool of threads over cubes, the tables read once.

For each line `FORM THREADS CUBES` on stdin it makes so many cubes with so many threads, and prints the seconds.
"""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

import cubes

began = time.perf_counter()
cubes.load()
print(time.perf_counter() - began, flush=True)

for line in sys.stdin:
    form, threads, number = line.split()
    began = time.perf_counter()
    with ThreadPoolExecutor(int(threads)) as pool:
        list(pool.map(cubes.some, repeat(form), range(int(number)), repeat(1)))
    print(time.perf_counter() - began, flush=True)
