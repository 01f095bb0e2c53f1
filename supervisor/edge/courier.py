"""Runs a notifier: JSON on its input, a bounded time, the last of what it complained about. Blocks; for a thread."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

WORDS = 4096
"""Bytes of its standard error that are read; after that it is closed."""
APPRISE = Path(__file__).with_name("appriser.py")


class Errand:
    """One message on its way."""

    def __init__(self, argv: Sequence[str], data: bytes, cwd: Path, seconds: float) -> None:
        self._argv, self._data, self._cwd, self._seconds = argv, data, cwd, seconds
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._over = threading.Lock()  # held by whoever rings the bell or takes it away

    def end(self) -> None:
        """Has it end now, whoever runs it; from any thread, at any time: afterwards it is of no effect."""
        with self._over:
            if self._bell >= 0:
                os.eventfd_write(self._bell, 1)

    def run(self) -> str:
        """Why it failed in one line, "" when it did not. Past its time it is ended, with all that it has started."""
        try:
            return self._run()
        finally:
            with self._over:
                os.close(self._bell)
                self._bell = -1

    def _run(self) -> str:
        with tempfile.TemporaryFile() as stdin:
            stdin.write(self._data)
            stdin.seek(0)
            try:
                process = subprocess.Popen(
                    self._argv, stdin=stdin, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=self._cwd,
                    start_new_session=True,
                )
            except (OSError, ValueError) as error:
                return str(error)
        with process:
            said, late = _wait(process, self._bell, time.monotonic() + self._seconds)
            if late:
                _end(process.pid)
            code = process.wait()
        last = said.decode("utf-8", "replace").strip().rpartition("\n")[2].strip()
        if late:
            return f"took longer than {self._seconds:.0f} s and was ended"
        how = f"ended by signal {-code}" if code < 0 else f"exited with {code}"
        return f"{how}{f': {last[:200]}' if last else ''}" if code else ""


def by_apprise() -> list[str]:
    """What sends a message whose `apprise` names the way; needs the package of that name."""
    return [sys.executable, "-P", str(APPRISE)]


def _wait(process: subprocess.Popen[bytes], bell: int, end: float) -> tuple[bytes, bool]:
    """What it complained about, and whether its time was over, or the bell was rung, before it had ended. What it
    leaves running is not waited for."""
    assert process.stderr is not None
    said = b""
    fd = os.pidfd_open(process.pid)
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        poll.register(bell, select.POLLIN)
        poll.register(process.stderr, select.POLLIN)
        while True:
            ready = dict(poll.poll(max(0, int(1000 * (end - time.monotonic())))))
            if not process.stderr.closed and process.stderr.fileno() in ready:
                data = os.read(process.stderr.fileno(), WORDS)
                said = (said + data)[-WORDS:]
                if not data or len(said) >= WORDS:
                    poll.unregister(process.stderr)
                    process.stderr.close()
            elif fd in ready:
                return said, False
            else:
                return said, True
    finally:
        os.close(fd)


def _end(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it has just ended
