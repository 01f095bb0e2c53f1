"""daemon.log: what the daemon and its spawner say of themselves.

Owns how it is set up and kept short. What tasks write is not in it.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import shutil
import sys
import time
from pathlib import Path

from gristmill.supervisor.core.protocol import ConditionView

log = logging.getLogger("gristmill.supervisor.daemon")  # whose conditions they are

NAME = "daemon.log"
BYTES, FILES = 5 << 20, 3


def open_book(state: Path, foreground: bool) -> None:
    """Has all that is said written there, rotated; in the foreground to the terminal as well."""
    logging.raiseExceptions = False  # a disk too full for the log is shown as a state, not as tracebacks
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    form = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    handlers: list[logging.Handler] = [
        logging.handlers.RotatingFileHandler(
            state / NAME, maxBytes=BYTES, backupCount=FILES, encoding="utf-8", errors="backslashreplace"
        )
    ]
    if foreground:
        handlers.append(logging.StreamHandler(sys.stderr))
    handlers[0].rotator = _begin_anew  # type: ignore[attr-defined]
    for handler in handlers:
        handler.setFormatter(form)
        root.addHandler(handler)


def _begin_anew(path: str, kept: str) -> None:
    """Keeps what was said so far under another name and goes on in the same file: the spawner writes to it as well."""
    shutil.copyfile(path, kept)
    os.truncate(path, 0)


def descriptor(state: Path) -> int:
    """The file itself, for what the spawner says when it dies."""
    return os.open(state / NAME, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def say(condition: ConditionView, began: bool) -> None:
    """A condition's begin and end."""
    if began:
        log.warning("%s: %s", "held" if condition.holds else "note", condition.reason)
    else:
        log.info("over, after %.0f s: %s", time.time() - condition.since, condition.reason)
