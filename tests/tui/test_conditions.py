"""Faults as states: the banner names the first with its age, one key shows them all, and what is over is gone."""

import time

from gristmill.supervisor.core.protocol import ConditionView, TaskView

from .stage import OSC52, Daemon, Opened

DISK = "disk: 3 MB are free in /data/state, 256 MB are kept in reserve – free some space"


def condition(kind: str, reason: str, age_s: float, holds: bool = True) -> ConditionView:
    return ConditionView(kind=kind, reason=reason, since=time.time() - age_s, holds=holds)


async def test_the_banner_has_the_first_with_its_age_and_how_many_more(
    daemon: Daemon, mill: Opened, size: tuple[int, int]
) -> None:
    daemon.conditions = [condition("disk", DISK, 200), condition("processes", "fork: no more", 50),
                         condition("clock", "it went back one day", 9, holds=False)]  # fmt: skip
    async with mill(*size) as eye:
        await eye.sees("● held")
        banner = eye.lines[1]
        assert banner.startswith(" held: disk: 3 MB are free in /data")
        assert banner.endswith(" for 3 min, +2 more (!)")
        daemon.conditions = daemon.conditions[1:]
        daemon.push()
        await eye.sees("held: processes: fork: no more", "+1 more (!)")
        daemon.conditions = daemon.conditions[1:]
        daemon.push()
        await eye.sees("● live", "note: clock: it went back one day")
        daemon.conditions = []
        daemon.push()
        await eye.sees("limit 8: memory binds")


async def test_one_key_shows_all_with_their_reasons_in_full(
    daemon: Daemon, mill: Opened, size: tuple[int, int]
) -> None:
    daemon.conditions = [condition("disk", DISK + " or name another folder" * 4, 200),
                         condition("clock", "it went back one day", 9, holds=False)]  # fmt: skip
    async with mill(*size) as eye:
        await eye.sees("● held")
        await eye.press("!")
        await eye.sees("Conditions  holding new tasks back: 1 of 2", "◌HLD disk", "·NOTE clock", "for 3 min")
        words = " ".join(eye.text.split())
        assert DISK + " or name another folder" * 4 in words
        daemon.conditions = []
        daemon.push()
        await eye.sees("Nothing is wrong")
        await eye.press("!")
        await eye.sees("Workers")


async def test_more_than_a_screen_of_them_can_be_scrolled(daemon: Daemon, mill: Opened) -> None:
    daemon.conditions = [condition(f"kind{number}", "why", 5) for number in range(12)]
    async with mill() as eye:
        await eye.sees("● held")
        await eye.press("!")
        await eye.sees("more lines below")
        await eye.press("G")
        await eye.sees("kind11")
        await eye.press("escape")
        await eye.sees("Workers")


async def test_a_reason_can_not_command_the_terminal(daemon: Daemon, mill: Opened) -> None:
    daemon.conditions = [condition("folder", f"/data/{OSC52}[bold]\x9b2J is gone", 5)]
    async with mill(120) as eye:
        await eye.sees("held: folder: /data/^[]52;c;ZWNobyBwd25lZA==^G[bold]<U+009B>2J is gone")
        await eye.press("!")
        await eye.sees("◌HLD folder")
        strips = eye.app.screen._compositor.render_strips()
        assert not any(char in strip.text for strip in strips for char in "\x1b\x07\x9b")


async def test_how_tasks_were_lost_can_be_read_in_the_list(daemon: Daemon, mill: Opened, size: tuple[int, int]) -> None:
    ends = {"lost": ("?LOST", "its worker was killed"), "oom": ("✗OOM", "killed for memory"),
            "interrupted": ("!INT", "the machine restarted")}  # fmt: skip
    daemon.tasks["4"] = [TaskView(id=f"4/{number}", number=number, start=number, count=1, state=state, attempts=1,
                                  started_at=5.0, ended_at=65.0, reason=reason)
                         for number, (state, (_, reason)) in enumerate(ends.items())]  # fmt: skip
    async with mill(*size) as eye:
        await eye.sees("sweep/17")
        await eye.press("enter")
        for sign, reason in ends.values():
            await eye.sees(sign, reason)
