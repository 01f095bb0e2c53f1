"""`grist up`: everything at once: the daemon if none runs, then the screens; without a terminal, a progress line."""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from pathlib import Path
from typing import Literal

from gristmill.supervisor.cli import launchpad, limit
from gristmill.supervisor.cli.place import Place, place_of
from gristmill.supervisor.cli.progress import Progress
from gristmill.supervisor.cli.tui import show
from gristmill.supervisor.core.errors import GristError
from gristmill.supervisor.edge.folder import JobsFolder

GRACE_S = 5.0
"""Seconds after which an empty folder counts as done."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("folder", nargs="?", metavar="JOBS", help="the jobs folder (the same as --jobs)")
    parser.add_argument("--examples", action="store_true", help="drop the examples into the folder first")
    parser.add_argument("--until-done", action="store_true", help="without a terminal: end when all jobs have ended")
    parser.add_argument("--plain", action="store_true", help="a progress line even on a terminal")
    parser.add_argument("--limit", metavar="N|auto", help="how many workers the daemon that is started may run")
    parser.add_argument("--record", metavar="FILE", help="have the daemon that is started record the governor's work")
    parser.add_argument("--ascii", action="store_true", help="no glyphs beyond ASCII")
    parser.add_argument("--theme", metavar="NAME", help="dark, light, colour-blind or terminal-16")
    parser.add_argument("--read-only", action="store_true", help="the screens show only; no key changes anything")
    parser.add_argument("--no-mouse", action="store_true", help="leave the mouse to the terminal, to copy text")


def run(args: argparse.Namespace) -> int:
    """Opens the screens, or serves in the foreground."""
    args.jobs = args.folder or args.jobs
    place = place_of(args)
    launchpad.prepare_folder(place)
    screens = sys.stdout.isatty() and sys.stdin.isatty() and not args.plain
    began = time.time()
    record = Path(os.path.abspath(args.record)) if args.record else None
    workers = limit.option(args.limit)
    runs = launchpad.runs(place)
    if runs and record:
        raise GristError("--record: a daemon runs already – end it with `grist shutdown`, its tasks go on")
    if runs and workers is not None:
        raise GristError(f"--limit: a daemon runs already – say `grist limit {workers}`")
    if screens:
        if not runs:
            options = ["--record", os.fspath(record)] if record else []
            launchpad.start(place, *options, *([] if workers is None else ["--limit", str(workers)]))
        if args.examples:
            launchpad.drop_examples(place)
        return show(place, args)
    if args.examples:
        launchpad.drop_examples(place)
    since = began if args.examples else 0.0
    if runs:
        return follow(place, args.until_done, since, stop=False)
    return serve(place, args.until_done, since, record, workers)


def serve(
    place: Place, until_done: bool, since: float, record: Path | None = None,
    workers: int | Literal["auto"] | None = None,
) -> int:
    """The daemon in this process, its progress on standard output."""
    with launchpad.without_openssl():
        import asyncio

        from gristmill.supervisor.daemon import Daemon, Settings

    daemon = Daemon(Settings(jobs=place.jobs, state=place.state, foreground=False, limit=workers, record=record))
    daemon.prepare()
    outcome: list[int] = []
    watcher = threading.Thread(
        target=lambda: outcome.append(follow(place, until_done, since, stop=until_done)), name="progress", daemon=True
    )

    async def ready() -> None:
        print(f"ready: {place.jobs}", flush=True)
        watcher.start()

    asyncio.run(daemon.run(ready))
    watcher.join(5)
    return outcome[0] if until_done and outcome else 0


def follow(place: Place, until_done: bool, since: float, stop: bool) -> int:
    """Shows the progress until all is done (if so asked) or the daemon goes; 1 when a job failed."""
    progress = Progress()
    over = False
    with place.connect() as client:
        began = time.monotonic()
        for update in client.updates():
            over = progress.take(update, since) or nothing_to_do(place, progress, time.monotonic() - began)
            if over and until_done:
                break
    progress.end()
    if stop and over:
        with place.connect() as client:
            client.ask("shutdown")
    return 1 if until_done and any(job["state"] != "done" for job in progress.jobs.values()) else 0


def nothing_to_do(place: Place, progress: Progress, seconds: float) -> bool:
    """Whether no job came and none lies in the folder, after time enough to take one in."""
    return not progress.jobs and seconds > GRACE_S and not JobsFolder(place.jobs).look()
