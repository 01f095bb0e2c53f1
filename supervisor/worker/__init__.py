"""The program between the daemon and a task: spawners, and the workers that are forked from them.

Run by path, in processes of their own that outlive the daemon: `cold.py` for tasks that are commands, in our own
interpreter by `python -I -S`; `warm.py` for tasks that are calls, in the user's, whatever Python ≥ 3.8 that is.
Standard library only, and nothing of ours from outside this folder; everything is imported before the first fork, so
that replacing the installed program under a living worker does no harm. It decides nothing: it starts what it is told,
keeps the time that it is told, and writes down how it ended.

    daemon ─socketpair─► spawner ─fork─► worker 1…n ─posix_spawn─► the task, in a session of its own
       ▲────────── a socket for each worker ──────────┘

A worker outlives the daemon. It holds the lock of its run folder for life and appends to the journal there, one
checksummed line a record: a *claim* before a task is started, its *exit* afterwards. When the daemon's end of the
socket closes, the worker ends the task in hand, makes its exit record durable and leaves. A later daemon that wants
a worker's unclaimed tasks back appends a *fence* first. The kernel orders appends, and a worker that finds the
journal longer than it left it starts nothing more: no task can be run by both sides, however long one was frozen.

The daemon may have a task stopped, with all its processes. A stop is a lease: where the daemon does not renew it, or
hangs up, the task goes on by itself. No task stays stopped by a will that is gone.

What stands in a file that tasks of a millisecond pass is written for them: few calls, few objects, `typing` for type
checkers alone.
"""
