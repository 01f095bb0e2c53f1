"""The four stories that Gristmill comes from and what a start costs, each beside its own best practice in the same run.

    python -m tests.bench.stories [--only a|b|c|d|e …] [--compact] [--write]

`programs/` holds what the people of the stories had and what they type now; the modules here run both, in turn, and
print what each gave. With `--write` the tables take their places in docs/stories.md. What they are compared with is
installed by `python -m tests.bench.stories.peers`; what is missing is named in the tables.
"""
