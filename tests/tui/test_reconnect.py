"""Without a daemon the screen says how to start one; when one goes, what was seen stays, and says how old it is."""

from pathlib import Path

from gristmill.tui.app import MillApp

from .stage import Daemon, Eye, Opened


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
        await eye.sees("● live", "No jobs. Drop a file into the jobs folder")
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
