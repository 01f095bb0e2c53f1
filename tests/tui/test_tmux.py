"""The screens in tmux, as people have them: what its terminal shows, and that it is left as it was found."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from tests.waiting import DEADLINE

from .scene import NOW, fill
from .stage import Daemon, job, worker
from .terminal import PROGRAM

ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")} | {
    "TERM": "xterm-256color", "LANG": "C.UTF-8"}  # fmt: skip
"""A size that is told here would be taken for that of the terminal."""
pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="no tmux here")


class Tmux:
    """One session on a server of its own."""

    def __init__(self, folder: Path) -> None:
        self._socket = str(folder / "tmux")

    async def __call__(self, *words: str) -> str:
        process = await asyncio.create_subprocess_exec(
            "tmux", "-S", self._socket, "-f", "/dev/null", *words, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL, env=ENVIRONMENT,
        )  # fmt: skip
        out, _ = await process.communicate()
        return out.decode()

    async def sees(self, *parts: str) -> str:
        """Wait until all of it is on the screen."""
        end = asyncio.get_running_loop().time() + DEADLINE
        while True:
            text = await self("capture-pane", "-p")
            if all(part in text for part in parts):
                return text
            assert asyncio.get_running_loop().time() < end, f"{parts}\n{text}"
            await asyncio.sleep(0.1)

    async def stands_still(self) -> list[str]:
        """The lines, colours and all, but for the clock's: once they have not changed for a while."""
        end = asyncio.get_running_loop().time() + DEADLINE
        lines: list[str] = []
        same = 0
        while same < 5:
            assert asyncio.get_running_loop().time() < end, lines
            await asyncio.sleep(0.1)
            before, lines = lines, (await self("capture-pane", "-p", "-e")).splitlines()[2:]
            same = same + 1 if lines == before else 0
        return lines


async def test_it_runs_in_tmux_is_resized_and_leaves_the_terminal_as_it_was(daemon: Daemon, tmp_path: Path) -> None:
    fill(daemon, tmp_path)
    program = shlex.join([sys.executable, "-c", PROGRAM, str(daemon.path), "/home/me/jobs", "{}"])
    tmux = Tmux(tmp_path)
    await tmux("new-session", "-d", "-x", "80", "-y", "24", "-s", "one",
               f"sh -c {shlex.quote(f'echo before; {program}; echo left with $?; read word')}")  # fmt: skip
    try:
        text = await tmux.sees("gristmill", "● live", "sweep/17", "q leave")
        assert all(len(line) <= 80 for line in text.splitlines())
        await tmux("send-keys", "Tab", "Enter")
        await tmux.sees("Tasks  40", "left ~48m")
        await tmux("resize-window", "-x", "160", "-y", "45")
        await tmux.sees("CPU and memory over its life", "Failures  Tab")
        await tmux("resize-window", "-x", "60", "-y", "20")
        await tmux.sees("Tasks  40", "q leave")
        await tmux("send-keys", "q")
        text = await tmux.sees("left with 0")
        assert "before" in text and "gristmill" not in text
    finally:
        await tmux("kill-server")


async def test_what_was_drawn_bit_by_bit_is_what_is_drawn_at_once(daemon: Daemon, tmp_path: Path) -> None:
    fill(daemon, tmp_path)
    tmux = Tmux(tmp_path)
    program = shlex.join([sys.executable, "-c", PROGRAM, str(daemon.path), "/home/me/jobs", "{}"])
    await tmux("new-session", "-d", "-x", "160", "-y", "45", "-s", "one", program)
    try:
        await tmux.sees("sweep/17", "epoch 3/6 step 350")
        for turn in range(5):
            daemon.workers = [
                worker(place + 1, f"4/{place}", "名前" if place % 3 else "sweep", started_at=NOW - 60 * turn,
                       progress=(turn + place) / 20, last_line=f"step {turn * place} \x1b[2J ok")
                for place in range(6 + turn % 2)
            ]  # fmt: skip
            daemon.push(job(4 + turn, f"job {turn}", items_done=turn * 7))
            await tmux.sees(f"job {turn}")
            await tmux("send-keys", "j" if turn % 2 else "Tab")
        await tmux.sees("job 4", "step 20 ^[[2J ok")
        await tmux("send-keys", "p")
        await tmux.sees("● frozen")  # and so has taken all keys before that one
        bit_by_bit = await tmux.stands_still()
        await tmux("resize-window", "-x", "150", "-y", "44")
        await tmux("resize-window", "-x", "160", "-y", "45")
        await tmux.sees("q leave")
        assert bit_by_bit == await tmux.stands_still(), "but for the clock and the age"
    finally:
        await tmux("kill-server")
