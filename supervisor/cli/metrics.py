"""`grist metrics`: figures for Prometheus, printed or put where node_exporter finds them."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from gristmill.supervisor.cli.place import Place, place_of
from gristmill.supervisor.core import metrics, units
from gristmill.supervisor.core.errors import GristError, NoDaemonError
from gristmill.supervisor.core.findings import Fault
from gristmill.supervisor.core.metrics import Sample


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.epilog = (
        "With --textfile a file is written that is whole at any time; without a daemon it says gristmill_up 0."
    )
    parser.add_argument("--textfile", metavar="PATH", help="write them there, for node_exporter's textfile collector")
    parser.add_argument("--every", metavar="TIME", help="with --textfile: again and again, such as 15s")


def run(args: argparse.Namespace) -> int:
    """Prints or writes them; 3 where no daemon runs."""
    place = place_of(args)
    if args.textfile is None:
        if args.every:
            raise GristError("--every goes with --textfile PATH")
        sys.stdout.write(read(place))
        return 0
    target = Path(args.textfile)
    if target.suffix != ".prom":
        raise GristError(f"--textfile {target}: node_exporter reads files that end with .prom – name it so")
    pause = seconds(args.every) if args.every else None
    while True:
        code = write(place, target)
        if pause is None:
            return code
        time.sleep(pause)


def read(place: Place) -> str:
    """All metrics; raises NoDaemonError."""
    with place.connect() as client:
        status, counters = client.ask("status", near=True), client.ask("counters")
    return metrics.text(status["daemon"]["jobs_dir"], metrics.of_status(status, counters, time.time()))


def write(place: Place, target: Path) -> int:
    """Writes them by a rename, readable by all; returns the exit code."""
    code = 0
    try:
        text = read(place)
    except NoDaemonError:
        text, code = metrics.text(str(place.jobs), [Sample("gristmill_up", 0)]), NoDaemonError.code
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(partial, 0o644)
        partial.rename(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise GristError(f"{target}: {error.strerror} – name a folder that you may write to") from error
    return code


def seconds(text: str) -> float:
    """`15s` in seconds; raises GristError."""
    try:
        return units.seconds(text)
    except Fault as fault:
        raise GristError(f"--every: {fault.what} – {fault.mend}") from fault
