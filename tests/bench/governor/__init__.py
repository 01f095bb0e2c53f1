"""The governor on the real machine: whole daemons, real processes, ratios within one run.

    python -m tests.bench.governor [--compact] [--only NAME …] [--keep DIR]

Each scenario is one function that drives daemons as a user would and returns rows of the table. What the rows stand on
comes from outside: tapes that the tasks themselves write, /proc, the kernel's count of kills, `status`.
"""
