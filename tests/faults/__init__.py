"""The fault suite: everything that may go wrong, tried on a whole daemon that is driven as a user would.

    .venv/bin/pytest tests/faults              the short form that CI runs, a few tries of each
    .venv/bin/pytest tests/faults --full       the full form: every try
    .venv/bin/pytest TEST --seed N             a failed random test once more, with the seed that it printed

What is where:

    test_kills          1 the daemon killed under load · 2 workers and spawner too · 3 workers frozen and thawed
    test_crash_points   4 the daemon killed at its n-th rename, link, unlink, mkdir, fsync, write
    test_power_cut      5 the power cut under load: on a real file system, and replayed from a record of all writes
    test_shim           that each fault of `shim.c` really happens

Faults that need no luck are brought by `shim.c`, a library preloaded into daemon and workers and never into a task;
`shim.py` switches them. Without a C compiler its tests are skipped, without root those that mount something.
"""
