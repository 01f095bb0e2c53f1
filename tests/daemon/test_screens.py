"""The screens on a real daemon: what a person sees of a job from its drop to its end, a killed daemon in between."""

from __future__ import annotations

import asyncio

import pytest

from gristmill.tui.app import MillApp
from tests.mill import Mill
from tests.tui.stage import Eye


@pytest.mark.parametrize("size", [(80, 24), (160, 45)], ids=["80x24", "160x45"])
async def test_a_job_is_watched_opened_read_survives_the_daemon_and_is_canceled(
    turning: Mill, size: tuple[int, int]
) -> None:
    app = MillApp(str(turning.state / "socket"), str(turning.jobs))
    async with app.run_test(size=size) as pilot:
        eye = Eye(app, pilot)
        await eye.sees("● live", "limit 2: user: fixed at 2 by the user")
        turning.drop("watched.toml", 'command = "echo [1/4] said by the task; exec sleep 1000"\n'
                                     "[items]\ntotal = 3\nper_task = 1\n")
        await eye.sees("watched/0", "●RUN", "0/3", "25%")
        await eye.press("l")
        await eye.sees("[1/4] said by the task")
        await eye.press("escape")
        await asyncio.to_thread(turning.kill)
        await eye.sees("stale")
        await asyncio.to_thread(turning.start, "--limit", "2")
        await eye.sees("● live", "watched/0")
        await eye.misses("stale")
        assert "1 ●RUN" in eye.cursor, "the list of jobs has the focus on a mill that was empty"
        await eye.press("enter")
        await eye.sees("watched", "○QUE")
        await eye.press("escape", "c")
        await eye.sees("Cancel", "watched")
        await eye.press("y")
        await eye.sees("⊘CAN")
    assert (await asyncio.to_thread(turning.ended, "watched"))["state"] == "canceled"
