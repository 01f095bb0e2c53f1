"""Without a daemon the screen says how to start one; when one goes, what was seen stays, and says how old it is."""

from pathlib import Path

import pytest
from textual.events import Unmount
from textual.message import Message

from gristmill.tui import link
from gristmill.tui.app import MillApp

from .stage import Daemon, Eye, Opened, job


async def test_without_a_daemon_it_says_how_to_start_one_and_comes_alive(tmp_path: Path, size: tuple[int, int]) -> None:
    daemon = Daemon(tmp_path / "s")
    app = MillApp(str(daemon.path), "/home/me/jobs")
    async with app.run_test(size=size) as pilot:
        eye = Eye(app, pilot)
        await eye.sees("No daemon is running for /home/me/jobs", "grist up", "grist daemon --jobs DIR")
        await eye.sees("no socket there")
        await eye.press("c", "l", "enter", "tab", "s", "{")
        await eye.press("question_mark")
        await eye.sees("Everywhere")
        await eye.press("escape")
        await daemon.start()
        await eye.sees("● live", "No jobs. What you drop into /home/me/jobs runs")
        await eye.misses("grist up")
    await daemon.stop()


async def test_when_the_daemon_goes_the_screen_stays_and_says_how_old_it_is(daemon: Daemon, mill: Opened,
                                                                            size: tuple[int, int]) -> None:  # fmt: skip
    async with mill(*size) as eye:
        await eye.sees("pose-cv")
        await eye.press("tab", "j")
        await daemon.stop()
        await eye.sees("● stale", " s, retrying")
        assert "pose-cv" in eye.cursor
        await eye.press("c")
        await eye.sees("Cancel job 5?")
        await eye.press("y")
        await eye.sees("no daemon to ask")
        await daemon.start()
        await eye.sees("● live")
        assert "pose-cv" in eye.cursor
        assert "retrying" not in eye.text


async def test_a_gap_is_healed_without_a_word(daemon: Daemon, mill: Opened) -> None:
    async with mill() as eye:
        await eye.sees("15/40")
        daemon.jobs[4].items_done = 22
        daemon.push(skip=3)
        await eye.sees("22/40")
        assert daemon.subscriptions == 2
        assert "stale" not in eye.text


async def test_a_frozen_daemon_freezes_no_screen(
    daemon: Daemon, mill: Opened, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that waited for the daemon's answer would wait for longer than anything here is waited for."""
    async with mill(*size) as eye:
        await eye.sees("pose-cv")
        daemon.frozen = True
        await eye.press("tab", "j", "enter")
        await eye.sees("Tasks")
        await eye.press("r", "tab", "z", "escape", "escape", "question_mark")
        await eye.sees("Everywhere")
        await eye.press("escape", "2", "1", "3", "1", "slash", "=pose", "enter")
        await eye.sees("finds 1")
        await eye.press("c")
        await eye.sees("Cancel job 5?")
        await eye.press("n")
        with monkeypatch.context() as hasty:
            hasty.setattr(link, "SILENCE_S", 0.5)
            daemon.push()  # the last word, after which its silence counts
            await eye.sees("● stale", "retrying")
        daemon.frozen = False
        daemon.push(job(5, "pose-cv", items_done=39))
        await eye.sees("● live", "39/40")


async def test_a_job_that_was_open_is_as_it_was_when_the_daemon_comes_back(daemon: Daemon, mill: Opened) -> None:
    async with mill() as eye:
        await eye.sees("4 ●RUN")
        await eye.press("tab", "enter", "slash", "=412", "enter")
        await eye.until(lambda: "412 ○QUE" in eye.cursor, "task 412")
        await eye.press("space")
        await daemon.stop()
        await eye.sees("● stale")
        assert "413 ○QUE" in eye.cursor
        await daemon.start()
        daemon.jobs[4].items_done = 20
        await eye.sees("● live", "ok 20")
        assert "413 ○QUE" in eye.cursor
        assert eye.line("412 ○QUE").startswith("◆")


async def test_news_that_comes_while_the_screens_are_taken_down_does_no_harm(daemon: Daemon) -> None:
    app = MillApp(str(daemon.path), "/home/me/jobs")
    late = 0

    def hear(message: Message) -> None:
        nonlocal late
        if isinstance(message, Unmount) and not app.is_running:
            late += 1
            app.present()

    async with app.run_test(message_hook=hear) as pilot:
        await Eye(app, pilot).sees("sweep/17")
    assert late > 3, "no widget was heard to go"
