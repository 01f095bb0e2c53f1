"""`grist wait`: blocks until jobs have ended, and says how by its exit code."""

from __future__ import annotations

import argparse
import sys
import time

from gristmill.supervisor.cli.place import place_of
from gristmill.supervisor.core.sanitise import safe

ENDED = ("done", "failed", "canceled")


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("jobs_named", nargs="*", metavar="JOB", help="default: all that have not ended yet")
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="give up after this; exit code 4")


def run(args: argparse.Namespace) -> int:
    """0 all ended well, 1 one did not, 4 the time was over first, 3 the daemon went away."""
    place = place_of(args)
    deadline = None if args.timeout is None else time.monotonic() + args.timeout
    with place.connect(timeout=30) as client:
        names = args.jobs_named or [str(j["id"]) for j in client.ask("status")["jobs"] if j["state"] not in ENDED]
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
