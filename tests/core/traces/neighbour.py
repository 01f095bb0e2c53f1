"""Records `neighbour.jsonl.gz` anew: `python -m tests.core.traces.neighbour`, on two cores that nobody else uses.

A daemon runs tasks of about a second that compute; another process takes a core for a while; the job is canceled and a
small one comes. When what happens is said here, in seconds since the daemon was ready.
"""

from __future__ import annotations

import gzip
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.mill import Mill

TRACE = Path(__file__).with_name("neighbour.jsonl.gz")
CORES = 2
BEGINS_S, ENDS_S, OVER_S = 35.0, 50.0, 72.0
"""The other process comes and goes; the job is canceled."""
BURN = "exec $GRIST_PYTHON -I -S -c 'sum(number * number for number in range(16_000_000))'"
SMALL = 6
"""Tasks of the small job."""


def record(mill: Mill) -> bytes:
    """The trace of one run."""
    file = mill.base / "trace"
    mill.start("--record", str(file))
    began = time.monotonic()

    def until(seconds: float) -> None:
        mill.after(began + seconds - time.monotonic())

    mill.drop("burn.toml", f'command = """{BURN}"""\n[items]\ntotal = 1000\nper_task = 1\n')
    until(BEGINS_S)
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", "while True: pass"]) as other:
        try:
            until(ENDS_S)
        finally:
            other.kill()
    until(OVER_S)
    mill.grist("cancel", "burn")
    mill.ended("burn")
    mill.drop("tidy.toml", f'command = "sleep 0.5"\n[items]\ntotal = {SMALL}\nper_task = 1\n')
    mill.ended("tidy")
    mill.after(1.5)
    mill.grist("shutdown")
    return file.read_bytes()


def main() -> None:
    """Writes the file."""
    with tempfile.TemporaryDirectory() as base, Mill(Path(base)) as mill:
        TRACE.write_bytes(gzip.compress(record(mill), 9, mtime=0))
    print(f"{TRACE}: {TRACE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
