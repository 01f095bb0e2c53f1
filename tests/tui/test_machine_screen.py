"""The machine in detail: on the screen, and as lines at any width."""

from pathlib import Path

import pytest

from gristmill.supervisor.core.answers import CoreView, VitalsView
from gristmill.tui import machine
from gristmill.tui.columns import width_of
from gristmill.tui.marks import ASCII, TO_ASCII, UNICODE, Marks

from .scene import _vitals, fill
from .stage import Daemon, Opened


async def test_it_shows_whose_the_machine_is_and_every_core(daemon: Daemon, mill: Opened, tmp_path: Path,
                                                            size: tuple[int, int]) -> None:  # fmt: skip
    fill(daemon, tmp_path)
    async with mill(*size) as eye:
        await eye.sees("live")
        await eye.press("3")
        await eye.sees("ours 60%", "others 11%", "idle 29%", "54G of 64G", "91% ! full", "none seen")
        assert "100%" in eye.line("  4 ━")
        assert ("WORKERS" in eye.text) == (size[0] > 100)
        daemon.studies["vitals", ""] = VitalsView(cores=[CoreView(number=0, percent=7.0)], load=[0.1, 0.1, 0.1],
                                                  cpu_ours_percent=7.0, cpu_others_percent=0.0,
                                                  memory_total_bytes=1 << 30, memory_available_bytes=1 << 29,
                                                  memory_ours_bytes=0)  # fmt: skip
        daemon.push()
        await eye.sees("ours 7%", "no disk could be looked at", "tells no pressure")
        await eye.press("3", "escape")
        await eye.sees("Jobs")


async def test_a_daemon_that_does_not_say_is_no_fault(daemon: Daemon, mill: Opened) -> None:
    daemon.refusals["vitals"] = "unknown request 'vitals'"
    async with mill() as eye:
        await eye.sees("live")
        await eye.press("3")
        await eye.sees("the daemon does not say: unknown request 'vitals'")


@pytest.mark.parametrize("marks", [UNICODE, ASCII], ids=["unicode", "ascii"])
@pytest.mark.parametrize("width", [40, 60, 80, 160, 300])
def test_nothing_is_wider_than_the_screen(width: int, marks: Marks) -> None:
    for line in machine.whole(_vitals(), width, 40, marks):
        assert width_of(line) <= width
        assert not marks.ascii or "".join(text for text, _ in line).translate(TO_ASCII).isascii()


def test_two_hundred_cores_find_room() -> None:
    many = [CoreView(number=number, percent=number / 2, ours=number < 150) for number in range(200)]
    lines = machine.cores(many, 80, 4, UNICODE)
    texts = ["".join(text for text, _ in line) for line in lines]
    assert len(lines) == 3
    assert [line.split()[0] for line in texts] == ["0", "72", "144"]
    assert texts[2][-1] == "█"
    assert len(machine.cores(many, 300, 40, UNICODE)) == 16


def test_the_parts_of_a_bar_fill_it_and_no_more() -> None:
    bar = machine.shares((("ours", 60, "run"), ("others", 55, "warn")), 20, UNICODE)
    assert "".join(text for text, _ in bar) == "█" * 12 + "▓" * 8
