"""Gristmill from a Python program: `client` hands in job files and reads what came of them, `executor` hands in
functions with their arguments, `parallel` has joblib do so. All of it talks to a running daemon over its socket.

    executor ─► desk ─ pickled calls ─► parcels (files) ◄─ runner, in a worker
                  └─── link ─── open job ───► the daemon's hopper

Nothing here is loaded by the daemon or the command line, and `import gristmill` loads nothing of it.
"""
