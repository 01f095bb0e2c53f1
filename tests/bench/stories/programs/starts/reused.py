"""`python reused.py PROCESSES CALLS`: loky's reused processes make so many calls, one by one; prints the seconds."""

import sys
import time

import small
from loky import get_reusable_executor

processes, calls = map(int, sys.argv[1:])
if __name__ == "__main__":
    pool = get_reusable_executor(processes)
    list(pool.map(small.add, range(processes)))
    began = time.perf_counter()
    list(pool.map(small.add, range(calls)))
    print(time.perf_counter() - began)
