"""`grist wait`: blocks until jobs have ended, and says how by its exit code."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from gristmill.supervisor.cli.place import Place, place_of
from gristmill.supervisor.cli.progress import ENDED
from gristmill.supervisor.core import filenames, units
from gristmill.supervisor.core.findings import Fault
from gristmill.supervisor.core.sanitise import safe
from gristmill.supervisor.edge.client import Client
from gristmill.supervisor.edge.folder.ground import HOME

TAKEN_S = 10.0
"""Longest that a file is waited for which is no job yet: dropped a moment ago, as a rule."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("jobs_named", nargs="*", metavar="JOB", help="default: all that have not ended yet")
    parser.add_argument("--timeout", type=seconds, metavar="SECONDS", help="give up after this, or 2h: exit code 4")


def seconds(text: str) -> float:
    """`90`, `90s` or `2h` in seconds; raises what argparse takes for a fault of the user's."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return units.seconds(text, zero=True)
    except Fault as fault:
        raise argparse.ArgumentTypeError(f"{fault.what} – {fault.mend}") from fault


def run(args: argparse.Namespace) -> int:
    """0 all ended well, 1 one did not, 4 the time was over first, 3 the daemon went away."""
    place = place_of(args)
    deadline = None if args.timeout is None else time.monotonic() + args.timeout
    with place.connect(timeout=30) as client:
        before = max((job["id"] for job in client.ask("status")["jobs"]), default=0)
        taken(client, place, args.jobs_named, deadline)
        names = args.jobs_named or [
            str(j["id"]) for j in client.ask("status")["jobs"] if j["state"] not in ENDED or j["id"] > before
        ]
        open_jobs = {client.ask("job", job=name, limit=0)["job"]["id"]: name for name in names}
        failed = False
        while True:
            for number in list(open_jobs):
                job = client.ask("job", job=str(number), limit=0)["job"]
                if job["state"] in ENDED and job["ended_at"] is not None:
                    del open_jobs[number]
                    failed = failed or job["state"] != "done"
                    reason = f": {safe(job['reason'])}" if job.get("reason") else ""
                    print(f"job {number} {safe(job['name'])} {job['state']}{reason}", flush=True)
            if not open_jobs:
                return 1 if failed else 0
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                print(f"{len(open_jobs)} jobs have not ended yet", file=sys.stderr)
                return 4
            client.ask("changed", timeout=1.0 if left is None else min(1.0, left))


def taken(client: Client, place: Place, names: list[str], deadline: float | None) -> None:
    """Waits until no file of these names, or none at all, lies in the folder or in the daemon's hand, where it goes
    from there: that it leaves as a job that is recorded, or rejected."""
    end = min(time.monotonic() + TAKEN_S, deadline or float("inf"))
    while time.monotonic() < end and (_coming(place.jobs, names) or _coming(place.jobs / HOME / "spool", names, "*/")):
        client.ask("changed", timeout=0.1)


def _coming(folder: Path, names: list[str], below: str = "") -> bool:
    """Whether a job file of these names lies there."""
    return any(
        os.fsencode(file.suffix) in filenames.SUFFIXES and (file.stem in names or not names) and file.is_file()
        for file in folder.glob(f"{below}[!.#]*")
    )
