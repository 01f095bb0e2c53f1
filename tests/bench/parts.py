"""What the two programs that write tables into docs/ have in common: a part is run, printed, and put in its place."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tests.bench.governor import machine
from tests.bench.stories.rounds import adopt, say
from tests.bench.stories.tables import Table, placed

Part = Callable[[bool], Iterable[Table]]
"""Measures, in the compact form if that is asked for."""


def measured(
    page: Path, parts: dict[str, Sequence[Part]], compact: bool, write: bool,
    written: Callable[[str], None] = lambda name: None,
) -> None:
    """Runs each and prints its tables; with `write` they are put into the page as well, and `written` is told.

    One that fails is told, and the others run all the same; SystemExit at the end then.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what runs is ended as well
    adopt()
    failed = []
    for name, together in parts.items():
        try:
            text = told(together, compact)
        except (SystemExit, AssertionError, subprocess.SubprocessError) as failure:
            say(f"{name}: failed: {failure}")
            failed.append(name)
            continue
        print(text, flush=True)
        if write:
            page.write_text(placed(page.read_text(), name, f"\n{text}\n"))
            written(name)
            say(f"{name}: written into {page.name}")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def told(parts: Sequence[Part], compact: bool) -> str:
    """Runs them; their tables, and what they have to be read with."""
    began, load = time.monotonic(), os.getloadavg()[0]
    text = "\n".join(table.markdown() for part in parts for table in part(compact))
    return (f"{text}\n{machine.cores()} cores, {machine.total() / 1e9:.0f} GB, Python {platform.python_version()}, "
            f"load {load:.2f} before, {'compact' if compact else 'full'} form, {time.monotonic() - began:.0f} s.\n")
