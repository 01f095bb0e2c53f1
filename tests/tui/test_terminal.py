"""The program in a real terminal: what bytes reach it."""

import re
from pathlib import Path

import pytest

from gristmill.supervisor.core.errors import RequestError
from gristmill.supervisor.core.protocol import ConditionView, TaskView
from gristmill.tui.app import run

from .stage import OSC52, Daemon, job, worker
from .terminal import Terminal

BIDI, ZERO_WIDTH, C1 = "\u202egpj.exe", "\u200b\u2060", "\x9b2J\x9d0;owned\x9c"
EVIL = f"{OSC52}\x1b]0;owned\x07\x1bc\x1b[?1049l\x1b[3;4H{C1}{BIDI}{ZERO_WIDTH}[bold red]markup[/]"
FORBIDDEN = (b"\x1b]52", b"\x1b]0;", b"\x1bc", b"\xc2\x9b", b"\xc2\x9d", "\u202e".encode(), "\u200b".encode(),
             "\u2060".encode())  # fmt: skip


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "evil.log"
    path.write_text(f"\x1b[31mred\x1b[0m {EVIL}\nlast {EVIL}\n")
    return path


async def test_no_foreign_command_reaches_the_terminal(daemon: Daemon, log: Path) -> None:
    """Names, reasons, parameters, errors, logs: whatever they hold is shown, and nothing of it is obeyed."""
    daemon.jobs[7] = job(7, "evil" + EVIL, reason=EVIL, command=EVIL, items_failed=1)
    daemon.workers[0] = worker(1, "7/1", "evil" + EVIL, last_line=EVIL)
    daemon.tasks["7"] = [TaskView(id="7/1", number=1, start=1, count=1, state="failed", params={"p": EVIL}, attempts=1,
                                  reason=EVIL, log=EVIL)]  # fmt: skip
    daemon.studies = {("causes", "7"): {"seen": 1, "of": 1, "causes": [
        {"state": "failed", "reason": EVIL, "words": EVIL, "count": 1, "numbers": [1]}]}}  # fmt: skip
    daemon.logs["7/1"] = {"path": str(log), "live": True, "state": "running", "attempt": 1}
    daemon.conditions = [ConditionView(kind="disk", reason=EVIL, since=0.0, holds=False)]
    daemon.refusals["retry"] = EVIL
    async with Terminal(str(daemon.path), 160, 45) as terminal:
        await terminal.sees("evil^[]52")
        for keys, shown in ((b"\r", "Failures"), (b"r", "^[]52"), (b"l", "Log  evil^["), (b"/last\r", "last ^[]52"),
                            (b"\x1b", "Log"), (b"!", "Conditions"), (b"2", "Throughput"), (b"1", "Workers"),
                            (b"c", "Cancel"), (b"n", "Jobs")):  # fmt: skip
            await terminal.goes(keys, shown)
        assert await terminal.leave() == 0
    for command in FORBIDDEN:
        assert command not in terminal.seen
    body = terminal.seen[: terminal.seen.rfind(b"\x1b[?1049l")]
    assert b"\x1b[?1049l" not in body, "the alternate screen is left once, by ourselves"
    assert b"\x1b[3;4H^" not in body
    assert b"[bold red]markup[/]" in terminal.seen, "markup is text"
    assert b"red" in terminal.seen, "colours of a log are no command"


async def test_without_colour_no_colour_is_sent_and_ascii_is_ascii(daemon: Daemon) -> None:
    async with Terminal(str(daemon.path), 80, 24, options="{'ascii': True}", NO_COLOR="1") as terminal:
        await terminal.sees("pose-cv")
        for keys, shown in ((b"\t\r", "Tasks"), (b"12", "Throughput"), (b"13", "none seen"), (b"?", "Everywhere"),
                            (b"1c", "Cancel"), (b"n", "RUN"), (b"/", "filter jobs"), (b"sta", "sta")):  # fmt: skip
            await terminal.goes(keys, shown)
        await terminal.goes(b"\x1b", "cancel")
        assert await terminal.leave() == 0
    text = re.sub(rb"\x1b[\[\]?>=][0-9;:?>u$]*[A-Za-z]?", b"", bytes(terminal.seen))
    assert not [char for char in text.decode("utf-8", "replace") if ord(char) > 126]
    for parameters in re.findall(rb"\x1b\[([0-9;:]*)m", bytes(terminal.seen)):
        codes = {int(code) for code in re.split(rb"[;:]", parameters) if code}
        assert not codes & {*range(30, 39), *range(40, 49), *range(90, 98), *range(100, 108)}, parameters


async def test_on_a_slow_line_frames_wait_and_the_round_trip_is_shown(daemon: Daemon) -> None:
    async with Terminal(str(daemon.path), 80, 24, trip=0.3) as terminal:
        await terminal.sees("pose-cv")
        await terminal.until(lambda: _pushed(daemon) and b"rtt " in terminal.seen, "the round trip is shown")
        shown = re.search(rb"rtt ([0-9.]+)(m?)s", bytes(terminal.seen))
        assert shown is not None and float(shown[1]) * (1 if shown[2] else 1000) >= 250
        assert await terminal.leave() == 0


def _pushed(daemon: Daemon) -> bool:
    daemon.push(job(4, "sweep", items_done=15 + daemon.seq % 20))
    return True


async def test_a_terminal_that_never_answers_is_served_all_the_same(daemon: Daemon) -> None:
    async with Terminal(str(daemon.path), 80, 24, answers=False) as terminal:
        await terminal.sees("pose-cv")
        terminal.type(b"?")
        await terminal.sees("Everywhere")
        assert await terminal.leave() == 0


def test_an_unknown_theme_is_refused_by_name() -> None:
    with pytest.raises(RequestError, match="mauve: no such theme; there are dark, light, colour-blind, terminal-16"):
        run("/nowhere", "/home/me/jobs", theme="mauve")
