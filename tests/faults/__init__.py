"""The fault suite: everything that may go wrong, tried on a whole daemon that is driven as a user would.

    .venv/bin/pytest tests/faults              the short form that CI runs, a few tries of each
    .venv/bin/pytest tests/faults --full       the full form: every try
    .venv/bin/pytest TEST --seed N             a failed random test once more, with the seed that it printed

What is where:

    test_kills          1 the daemon killed under load · 2 workers and spawner too · 3 workers frozen and thawed
    test_crash_points   4 the daemon killed at its n-th rename, link, unlink, mkdir, fsync, write: when files come, and
                          when it takes over what another left
    test_power_cut      5 the power cut under load, on a real file system
    test_replay         5 without root: a record of all writes, played back in part, as different file systems would
    test_upgrade        7 the program deleted, replaced, newer, older
    test_tasks          6 ends that nobody saw · 8 signals to the group · 9 deaf children · 10 leftovers · 11 signal 9
                          12 reused pids
    test_names, test_kinds, test_writers, test_folder, test_flood, test_hostile_files
                        13 to 17 and 25 what may come as a job file, how, and where
    test_full_disk      18 no room
    test_no_processes   19 no processes, no open files
    test_memory         20 no memory
    test_time           21 and 22 clocks, a daemon that stands still, a slow disk
    test_logs, test_hostile_logs
                        23 what tasks may write
    test_socket         24 who may talk to the daemon, and how badly
    test_soak           all of it for a long time
    test_shim, test_record
                        that each fault of `shim.c` really happens, and that its record holds every call

Faults that need no luck are brought by `shim.c`, a library preloaded into daemon and workers and never into a task;
`shim.py` switches them. Without a C compiler its tests are skipped, without root those that mount something.
"""
