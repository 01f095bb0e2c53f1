"""Gristmill: drop a job file into a folder, and the machine does the rest.

The package holds two folders: `supervisor` (the daemon, its workers and the command line) and `tui`
(the screens). Only the version lives here, so that importing `gristmill` costs nothing.
"""

__version__ = "0.1.0"
