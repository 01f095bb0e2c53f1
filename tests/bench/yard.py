"""Fresh folders for what is measured, all below one that is removed when the program ends: ext4 that has just deleted
thousands of files takes ten times as long for each new one, for minutes."""

from __future__ import annotations

import atexit
import functools
import shutil
from pathlib import Path
from tempfile import mkdtemp


def folder() -> Path:
    """An empty one."""
    return Path(mkdtemp(dir=_yard()))


@functools.cache
def _yard() -> str:
    made = mkdtemp(prefix="grist-bench-")
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made
