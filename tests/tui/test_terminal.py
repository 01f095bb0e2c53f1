"""The program in a real terminal: what bytes reach it."""

import asyncio
import os
import pty
import sys

import pytest

from gristmill.supervisor.core.errors import RequestError
from gristmill.tui.app import run

from .stage import DEADLINE_S, OSC52, Daemon, job, worker

PROGRAM = "import sys; from gristmill.tui.app import run; sys.exit(run(sys.argv[1], '/home/me/jobs'))"


async def test_no_foreign_command_reaches_the_terminal(daemon: Daemon) -> None:
    daemon.jobs[7] = job(7, "evil" + OSC52, reason=OSC52 + "\x9b2J\x1b[?1049l\x1bc")
    daemon.workers[0] = worker(1, "7/1", "evil" + OSC52, last_line=OSC52 + "\x1b]0;owned\x07")
    master, slave = pty.openpty()
    os.set_blocking(master, False)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, str(daemon.path), stdin=slave, stdout=slave, stderr=slave,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"}, start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    seen = bytearray()
    shown = asyncio.Event()

    def read() -> None:
        try:
            seen.extend(os.read(master, 65536))
            if b"evil^[]52" in seen:
                shown.set()
        except OSError:  # EIO: the program has left its terminal
            asyncio.get_running_loop().remove_reader(master)

    asyncio.get_running_loop().add_reader(master, read)
    try:
        async with asyncio.timeout(DEADLINE_S * 2):
            await shown.wait()
            os.write(master, b"q")
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        asyncio.get_running_loop().remove_reader(master)
        os.close(master)
    assert b"\x1b]52" not in seen
    assert b"\x1b]0;" not in seen
    assert b"\x1bc" not in seen
    assert b"\xc2\x9b" not in seen


def test_an_unknown_theme_is_refused_by_name() -> None:
    with pytest.raises(RequestError, match="mauve: no such theme; there are dark, light, colour-blind, terminal-16"):
        run("/nowhere", "/home/me/jobs", theme="mauve")
