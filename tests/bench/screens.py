"""What the screens cost, and how quick they are: first paint, keys, bytes and CPU of watching, memory, slow lines.

    .venv/bin/python -m tests.bench.screens [--compact] [--part NAME …]

The screens run in a terminal of our own (`tests/tui/terminal.py`), which counts every byte; CPU is what the kernel
charged the process, so that it holds on a busy machine as well. Times of the wall are of use on a quiet one alone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gristmill.supervisor.core.protocol import TaskView
from tests.bench.performance import process
from tests.mill import Mill
from tests.tui.scene import fill
from tests.tui.stage import Daemon, job, worker
from tests.tui.terminal import Terminal

TICKS = os.sysconf("SC_CLK_TCK")
TASKS, WORKERS = 100_000, 64


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value beside what was promised."""

    name: str
    value: float
    unit: str
    most: float | None = None

    @property
    def line(self) -> str:
        """For people."""
        over = self.most is not None and self.value > self.most
        verdict = "" if self.most is None else f"   {'OVER' if over else 'ok'}, at most {self.most:g}"
        return f"{self.name:<58} {self.value:>9.3g} {self.unit}{verdict}"


def cpu_s(pid: int) -> float:
    """CPU seconds of a process so far, those of threads that are over as well."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


async def calm(pid: int) -> None:
    """Wait until it has nothing to do."""
    before = -1.0
    while (now := cpu_s(pid)) > before + 0.1:
        before = now
        await asyncio.sleep(1)


class Crowd(Daemon):
    """A daemon with very many tasks, of which it makes only those that are asked for."""

    def _tasks(self, request: dict[str, Any]) -> dict[str, Any]:
        first = request["offset"]
        page = [TaskView(id=f"4/{number}", number=number, start=number, count=1, state="queued")
                for number in range(first, min(TASKS, first + request["limit"]))]  # fmt: skip
        return {"job": self.jobs[4], "tasks": page, "total": TASKS}


def stir(daemon: Daemon, turn: int, number: int = 8) -> None:
    """A second later: all workers have gone on."""
    now = daemon.now()
    daemon.workers = [
        worker(place + 1, f"4/{17 + place}", "sweep", started_at=now - 700 - turn, cpu_percent=90 + (turn + place) % 9,
               memory_bytes=3_300_000_000 + 10_000_000 * ((turn * 7 + place) % 13), progress=(turn + place) % 100 / 100,
               last_line=f"epoch 3/6 step {turn * 10 + place} loss {1 / (turn + place + 2):.4f}")
        for place in range(number)
    ]  # fmt: skip
    daemon.push(job(4, "sweep", items=TASKS, items_done=turn, items_failed=2, tasks=TASKS, eta_s=2880.0 - turn))


async def first_paint(folder: Path, _: bool) -> list[Figure]:
    """From the start of the program to the first screen with all that it shows."""
    daemon = Daemon(folder / "s")
    fill(daemon, folder)
    await daemon.start()
    walls, spent = [], []
    for _turn in range(5):
        began = time.monotonic()
        async with Terminal(str(daemon.path), 160, 45) as terminal:
            await terminal.sees("epoch 3/6 step 410")
            walls.append(time.monotonic() - began)
            spent.append(cpu_s(terminal.process.pid))
            await terminal.leave()
    await daemon.stop()
    return [Figure("first paint, median of 5", statistics.median(walls), "s", 0.7),
            Figure("first paint, CPU of it", statistics.median(spent), "s")]  # fmt: skip


async def keys(folder: Path, compact: bool) -> list[Figure]:
    """Keys in a list of 100,000 tasks, while 64 workers go on: from the key to the first bytes of the answer."""
    daemon = Crowd(folder / "s")
    fill(daemon, folder)
    await daemon.start()
    waits: list[float] = []
    async with Terminal(str(daemon.path), 160, 45) as terminal:
        await terminal.sees("epoch 3/6 step 410")
        terminal.type(b"\t\r")
        await terminal.sees("100k")
        for turn in range(10 if compact else 40):
            stir(daemon, turn, WORKERS)
            await asyncio.sleep(0.3)  # the update is drawn, and what was asked for it has come
            before, began = terminal.sent, time.monotonic()
            terminal.type((b"j", b"\x1b[6~", b"G", b"k", b"g")[turn % 5])  # each moves something
            await terminal.until(lambda before=before: terminal.sent > before, "an answer")  # type: ignore[misc]
            waits.append(1000 * (time.monotonic() - began))
        spent = cpu_s(terminal.process.pid)
        for number in range(20):
            terminal.type(b"j" if number % 2 else b"k")
            await asyncio.sleep(0.05)
        each = (cpu_s(terminal.process.pid) - spent) / 20
        await terminal.leave()
    await daemon.stop()
    waits.sort()
    return [Figure("a key with 100,000 tasks and 64 workers, median", statistics.median(waits), "ms", 50),
            Figure("the same, slowest of all", waits[-1], "ms"),
            Figure("CPU of one key", 1000 * each, "ms")]  # fmt: skip


async def watching(folder: Path, compact: bool) -> list[Figure]:
    """The overview at 1 Hz: eight workers of which everything changes, graphs that move."""
    found = []
    seconds = 12 if compact else 40
    for width, height, most in ((160, 45, 4.0), (80, 24, 2.0)):
        daemon = Daemon(folder / f"s{width}")
        fill(daemon, folder)
        daemon.now = time.time
        await daemon.start()
        async with Terminal(str(daemon.path), width, height) as terminal:
            await terminal.sees("sweep/17")
            for turn in range(3):
                stir(daemon, turn)
                await asyncio.sleep(1)
            sent, spent, began = terminal.sent, cpu_s(terminal.process.pid), time.monotonic()
            for turn in range(seconds):
                stir(daemon, 3 + turn)
                await asyncio.sleep(1)
            passed = time.monotonic() - began
            rate = (terminal.sent - sent) / passed / 1000
            share = 100 * (cpu_s(terminal.process.pid) - spent) / passed
            found += [Figure(f"overview at {width}x{height}, to the terminal", rate, "KB/s", most),
                      Figure(f"overview at {width}x{height}, CPU of a core", share, "%", 2.0)]  # fmt: skip
            await terminal.leave()
        await daemon.stop()
    return found


async def large_log(folder: Path, compact: bool) -> list[Figure]:
    """A log of 1 GB (compact: 100 MB): opened, walked to both ends, searched, filtered."""
    path, size = folder / "large.log", 10**8 if compact else 10**9
    block = b"".join(b"%08d epoch 3/6 step 410 loss 0.4121 and what else a line may have to tell\n" % number
                     for number in range(13_000))  # fmt: skip
    with path.open("wb") as out:
        while out.tell() < size:
            out.write(block)
        out.write(b"the last line: needle\n")
    daemon = Daemon(folder / "s")
    fill(daemon, folder)
    daemon.logs["4/17"] = {"path": str(path), "live": False, "state": "done", "attempt": 1}
    await daemon.start()
    async with Terminal(str(daemon.path), 160, 45) as terminal:
        await terminal.sees("sweep/17")
        await asyncio.sleep(1)  # the preview has come, which shows that line as well
        began = time.monotonic()
        await terminal.goes(b"l", "the last line: needle")
        painted = time.monotonic() - began
        terminal.type(b"g")
        await terminal.goes(b"/", "lower case finds both")
        began = time.monotonic()
        await terminal.goes(b"needle\r", "1/1")
        searched = time.monotonic() - began
        await calm(terminal.process.pid)
        at_search = process.rss_mb(terminal.process.pid)
        terminal.type(b"\x1b")
        await asyncio.sleep(0.5)
        await terminal.goes(b"&", "those without it")
        await terminal.goes(b"00001234\r", "00001234 epoch")
        await calm(terminal.process.pid)
        held = process.rss_mb(terminal.process.pid)
        await terminal.leave()
    await daemon.stop()
    return [Figure(f"log of {size / 1e9:g} GB, opened at its end", painted, "s"),
            Figure("found in its last line, from the first on", searched, "s"),
            Figure("memory with it open and searched", at_search, "MB", 90),
            Figure("memory with it filtered", held, "MB", 90)]  # fmt: skip


async def slow_line(folder: Path, compact: bool) -> list[Figure]:
    """10 KB/s and 300 ms there and back, four updates a second: from a key to its answer on the screen."""
    daemon = Daemon(folder / "s")
    fill(daemon, folder)
    daemon.now = time.time
    await daemon.start()
    waits: list[float] = []
    async with Terminal(str(daemon.path), 160, 45, rate=10_000, trip=0.3) as terminal:
        await terminal.sees("sweep/17")
        stop = asyncio.Event()

        async def storm() -> None:
            turn = 0
            while not stop.is_set():
                turn += 1
                stir(daemon, turn)
                await asyncio.sleep(0.25)

        storming = asyncio.create_task(storm(), name="storm")
        await asyncio.sleep(3)
        orders = ("by CPU", "by memory", "by time")
        for turn in range(6 if compact else 20):
            if turn % 4 == 3:
                terminal.type(b"s")  # by number again, which is not said
                await asyncio.sleep(1)
                continue
            since = len(terminal.seen)
            terminal.type(b"s")
            waits.append(await terminal.sees(orders[turn % 4], since))
            await asyncio.sleep(0.4)
        told = terminal.seen.rfind(b"rtt ")
        print("shown on the screen:", bytes(terminal.seen[told : told + 9]).decode("utf-8", "replace"))
        stop.set()
        await storming
        await terminal.leave()
    await daemon.stop()
    waits.sort()
    return [Figure("a key on a slow line, median", statistics.median(waits), "s", 1.0),
            Figure("the same, slowest of all", waits[-1], "s", 1.0)]  # fmt: skip


async def watchers(folder: Path, compact: bool) -> list[Figure]:
    """What the daemon pays for those who watch: its CPU with none, one and ten, while eight tasks run."""
    seconds = 10 if compact else 30
    found: dict[int, float] = {}
    with Mill(folder) as mill:
        mill.start("--limit", "8")
        mill.drop_claimed("some.toml", 'command = "while sleep 1; do echo epoch 3/6; done"\n'
                          "[items]\ntotal = 8\nper_task = 1\n")
        await asyncio.to_thread(mill.running, "some", 8)
        assert mill.process is not None
        await asyncio.sleep(3)
        for number in (0, 1, 10):
            path = str(mill.state / "socket")
            lines = [await asyncio.open_unix_connection(path, limit=1 << 24) for _ in range(number)]
            reading = [asyncio.create_task(_drain(reader), name="watcher") for reader, _ in lines]
            for _, writer in lines:
                writer.write(b'{"id":1,"op":"subscribe"}\n')
            await asyncio.sleep(1)
            spent, began = process.cpu_s(mill.process.pid), time.monotonic()
            await asyncio.sleep(seconds)
            found[number] = 100 * (process.cpu_s(mill.process.pid) - spent) / (time.monotonic() - began)
            for task in reading:
                task.cancel()
            for _, writer in lines:
                writer.close()
    return [Figure("the daemon with eight tasks, nobody watching", found[0], "%"),
            Figure("one watcher more", found[1] - found[0], "%", 0.3),
            Figure("ten watchers more", found[10] - found[0], "%", 2.0)]  # fmt: skip


async def _drain(reader: asyncio.StreamReader) -> None:
    while await reader.read(1 << 16):
        pass


PARTS: dict[str, Callable[[Path, bool], Coroutine[Any, Any, list[Figure]]]] = {
    "first_paint": first_paint, "keys": keys, "watching": watching, "large_log": large_log, "slow_line": slow_line,
    "watchers": watchers,
}  # fmt: skip


def main() -> None:
    """All parts, or some."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compact", action="store_true", help="a minute in all, less sure")
    parser.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--json", metavar="FILE", help="write the figures there as well")
    args = parser.parse_args()
    told = []
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    for name in args.part:
        with tempfile.TemporaryDirectory(prefix="screens-") as folder:
            for figure in asyncio.run(PARTS[name](Path(folder), args.compact)):
                told.append(figure)
                print(figure.line, flush=True)
    if args.json:
        Path(args.json).write_text(json.dumps([[one.name, one.value, one.unit, one.most] for one in told]) + "\n")


if __name__ == "__main__":
    main()
