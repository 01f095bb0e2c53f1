"""Which folder a command is about, and the connection to its daemon."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import NamedTuple

from gristmill.supervisor.edge import places
from gristmill.supervisor.edge.client import Client


class Place(NamedTuple):  # no dataclass: importing those takes longer than the quick commands do
    """A jobs folder with its state folder and socket."""

    jobs: Path
    state: Path
    socket: Path

    def connect(self, timeout: float | None = 30.0) -> Client:
        """A connection to the daemon; raises NoDaemonError when none runs."""
        return Client(self.socket, timeout)


def place_of(args: argparse.Namespace) -> Place:
    """What --jobs and --state, the environment and the current folder say together."""
    jobs = places.jobs_dir(args.jobs, os.environ, Path.cwd())
    state = places.state_dir(args.state, os.environ, jobs)
    return Place(jobs, state, places.socket_path(state, os.environ))
