"""What is ordered from the screens: by id, after a question where it can't be undone, never when they are read-only."""

import pytest

from gristmill.supervisor.core.protocol import ConditionView
from gristmill.supervisor.core.tomltext import one_command

from .stage import Daemon, Opened, job


async def test_kill_asks_and_names_the_id(daemon: Daemon, mill: Opened, size: tuple[int, int]) -> None:
    async with mill(*size) as eye:
        await eye.sees("pose-cv")
        await eye.press("tab", "j", "X")
        await eye.sees("Kill job 5?", "a second to say good-bye")
        daemon.push(job(2, "older"), removed=[4])
        await eye.press("y")
        await eye.sees("canceled 5")
        assert daemon.ops("cancel") == [{"ids": ["5"], "kill": True}]


async def test_hold_of_a_held_job_releases_it(daemon: Daemon, mill: Opened) -> None:
    async with mill() as eye:
        await eye.sees("pose-cv")
        await eye.press("tab", "h")
        await eye.sees("held 4")
        daemon.push(job(4, "sweep", "held", reason="held by the user"))
        await eye.sees("◌HLD")
        await eye.press("h")
        await eye.sees("released 4")


async def test_a_task_is_held_with_its_job_and_marked_ones_together(daemon: Daemon, mill: Opened) -> None:
    async with mill() as eye:
        await eye.sees("sweep/17")
        await eye.press("space", "space", "h")
        await eye.sees("held 4")
        await eye.press("tab", "space", "space", "h")
        await eye.sees("held 4, 5")
        assert daemon.ops("hold") == [{"ids": ["4"]}, {"ids": ["4", "5"]}]


async def test_priority_goes_up_and_down(daemon: Daemon, mill: Opened) -> None:
    async with mill() as eye:
        await eye.sees("pose-cv")
        await eye.press("tab", "]")
        await eye.sees("priority of 4 by 1")
        await eye.press("[")
        await eye.sees("priority of 4 by -1")
        daemon.push(job(4, "sweep", priority=7))
        await eye.press("enter")
        await eye.sees("priority 7")
        await eye.press("]")
        await eye.until(lambda: len(daemon.ops("priority")) == 3, "asked from the job's own screen")


async def test_pause_turns_into_start_and_back(daemon: Daemon, mill: Opened) -> None:
    async with mill() as eye:
        await eye.sees("live")
        await eye.press("P")
        await eye.sees("paused")
        daemon.conditions = [ConditionView(kind="pause", reason="paused by the user: nothing new", since=0.0)]
        daemon.push()
        await eye.sees("held: paused by the user")
        await eye.press("P")
        await eye.sees("started again")
        assert [request["op"] for request in daemon.asked if request["op"] in ("pause", "start")] == ["pause", "start"]


async def test_drain_asks_first(daemon: Daemon, mill: Opened, size: tuple[int, int]) -> None:
    async with mill(*size) as eye:
        await eye.sees("live")
        await eye.press("2", "d")
        await eye.sees("Drain, then stop the daemon?", "queued tasks wait for the next grist up")
        await eye.press("n", "d", "y")
        await eye.sees("drains: True")
        assert len(daemon.ops("shutdown")) == 1


async def test_a_command_is_added_from_the_palette(daemon: Daemon, mill: Opened) -> None:
    async with mill() as eye:
        await eye.sees("live")
        await eye.press("colon", "=add ./train.py {x}")
        await eye.sees("Hand in this shell command")
        await eye.press("enter")
        await eye.sees("added job 77 (train.py)")
        text = 'name = "train.py"\ncommand = "./train.py {{x}}"\n'
        assert daemon.ops("add") == [{"file": "train.py.toml", "text": text}]


@pytest.mark.parametrize("key", ["c", "X", "r", "h", "[", "]", "P", "{", "}"])
async def test_read_only_refuses(daemon: Daemon, mill: Opened, key: str) -> None:
    async with mill(read_only=True) as eye:
        await eye.sees("sweep/17")
        await eye.press(key)
        await eye.sees("read-only: nothing is changed from here")
        assert daemon.asked == []


def test_a_job_of_a_command_has_a_plain_name() -> None:
    assert one_command("/usr/bin/env python x")[0] == "env"
    assert one_command("$(x) ")[0] == "x"
    assert one_command("''")[0] == "job"
