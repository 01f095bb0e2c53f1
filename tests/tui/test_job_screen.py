"""A job and its tasks, page by page and live."""

from pathlib import Path

from textual import events

from gristmill.supervisor.core.protocol import SnapshotView, TaskView
from gristmill.tui.pages import PAGE, TaskPages

from .scene import NOW, fill
from .stage import Daemon, Opened, job


async def test_it_shows_the_head_and_the_tasks(mill: Opened, size: tuple[int, int]) -> None:
    async with mill(*size) as eye:
        await eye.sees("4 ●RUN")
        await eye.press("tab", "enter")
        await eye.sees("Tasks  1,000", "left ~48m", "ok 15   failed 2   of 40 items", "running 2 of 40 tasks")
        await eye.sees("ValueError")
        assert eye.line("✗FAIL").split()[:6] == ["9", "✗FAIL", "8", "1", "1", "ValueError:"]
        assert "fold=3" in eye.line("3 ✓OK")


async def test_from_a_worker_the_cursor_stands_on_its_task(mill: Opened) -> None:
    async with mill() as eye:
        await eye.sees("sweep/18")
        await eye.press("j", "enter")
        await eye.until(lambda: "18 ●RUN" in eye.cursor, "stands on task 18")


async def test_pages_come_as_they_are_looked_at(daemon: Daemon, mill: Opened) -> None:
    async with mill() as eye:
        await eye.sees("4 ●RUN")
        await eye.press("tab", "enter")
        await eye.sees("Tasks  1,000")
        assert {request["offset"] for request in daemon.ops("tasks")} == {0}
        await eye.press("G")
        await eye.until(lambda: "1000 ○QUE" in eye.cursor, "the last task")
        await eye.press("slash", "=412", "enter")
        await eye.until(lambda: "412 ○QUE" in eye.cursor, "task 412")
        assert {request["offset"] for request in daemon.ops("tasks")} <= {0, 200, 400, 800}


async def test_tasks_change_while_they_are_looked_at(daemon: Daemon, mill: Opened, size: tuple[int, int]) -> None:
    async with mill(*size) as eye:
        await eye.sees("4 ●RUN")
        await eye.press("tab", "enter")
        await eye.sees("10 ●RUN")
        daemon.tasks["4"][9] = TaskView(id="4/10", number=10, start=9, count=1, state="oom", signal=9, attempts=3,
                                        reason="killed at 4.0G")  # fmt: skip
        daemon.push(job(4, "sweep", items_failed=3))
        await eye.sees("10 ✗OOM")
        assert "KILL   3" in eye.line("10 ✗OOM")
        assert "killed at 4.0G" in eye.line("10 ✗OOM")


async def test_one_state_can_be_chosen(daemon: Daemon, mill: Opened) -> None:
    async with mill() as eye:
        await eye.sees("4 ●RUN")
        await eye.press("tab", "enter")
        await eye.sees("Tasks  1,000")
        await eye.press("slash", "=fail", "enter")
        await eye.sees("Tasks  1  failed only")
        assert "9 ✗FAIL" in eye.cursor
        await eye.press("escape")
        await eye.sees("Tasks  1,000")
        assert "9 ✗FAIL" in eye.cursor
        await eye.press("s")
        await eye.sees("running only")
        await eye.press("slash", "=nonsense", "enter")
        await eye.sees("nonsense: no such state")


async def test_a_number_longer_than_any_is_no_task(mill: Opened) -> None:
    async with mill() as eye:
        await eye.sees("4 ●RUN")
        await eye.press("tab", "enter")
        await eye.sees("Tasks  1,000")
        await eye.press("slash")
        eye.app.post_message(events.Paste("9" * 5000))
        await eye.press("enter")
        await eye.sees(" 999999999")
        await eye.press("slash", "=877", "enter")
        await eye.until(lambda: " 877 " in eye.cursor, "task 877")


async def test_a_total_of_all_states_leaves_no_empty_rows(daemon: Daemon, mill: Opened) -> None:
    daemon.counts_all = True
    async with mill() as eye:
        await eye.sees("4 ●RUN")
        await eye.press("tab", "enter")
        await eye.sees("Tasks  1,000")
        await eye.press("slash", "=fail", "enter")
        await eye.sees("Tasks  1  failed only")


async def test_commands_name_the_task(daemon: Daemon, mill: Opened) -> None:
    async with mill() as eye:
        await eye.sees("4 ●RUN")
        await eye.press("tab", "enter")
        await eye.sees("9 ✗FAIL")
        await eye.press(*"jjjjjjjj", "r")
        await eye.sees("queued again: 4/9")
        assert daemon.ops("retry") == [{"ids": ["4/9"], "failed": False}]
        await eye.press("k", "c")
        await eye.sees("Cancel task 4/8?")
        await eye.press("y")
        await eye.sees("canceled 4/8")


async def test_in_and_out(daemon: Daemon, mill: Opened, tmp_path: Path) -> None:
    (tmp_path / "log").write_text("hello from nine\n")
    daemon.logs["4/9"] = {"path": str(tmp_path / "log"), "live": False, "state": "failed", "attempt": 2}
    async with mill() as eye:
        await eye.sees("4 ●RUN")
        await eye.press("tab", "enter")
        await eye.sees("9 ✗FAIL")
        await eye.press(*"jjjjjjjj", "enter")
        await eye.sees("Log  sweep/9", "✗FAIL  attempt 2", "hello from nine")
        await eye.press("escape")
        await eye.sees("Tasks  1,000")
        assert "9 ✗FAIL" in eye.cursor
        await eye.press("l")
        await eye.sees("Log  sweep/9")
        await eye.press("1")
        await eye.sees("Workers  2 of 3 busy")
        assert "sweep" in eye.cursor


async def test_a_wide_screen_tells_all_about_one_task(daemon: Daemon, mill: Opened, tmp_path: Path) -> None:
    (tmp_path / "log").write_text("last words\n")
    daemon.logs["4/9"] = {"path": str(tmp_path / "log"), "live": False, "state": "failed", "attempt": 1}
    async with mill(160, 45) as eye:
        await eye.sees("4 ●RUN")
        await eye.press("tab", "enter")
        await eye.sees("9 ✗FAIL")
        await eye.press(*"jjjjjjjj")
        await eye.sees("Task 4/9", "parameters   fold=9", "last words")


async def test_a_refused_question_is_shown(daemon: Daemon, mill: Opened) -> None:
    daemon.refusals["tasks"] = "the store is busy"
    async with mill() as eye:
        await eye.sees("4 ●RUN")
        await eye.press("tab", "enter")
        await eye.sees("Tasks  0")
        await eye.until(lambda: daemon.ops("tasks"), "asks")
        del daemon.refusals["tasks"]
        daemon.push()
        await eye.sees("Tasks  1,000")


def test_pages_know_what_to_ask_for() -> None:
    pages = TaskPages()
    assert pages.wanted(0, 20, 1) == [0]
    assert pages.wanted(PAGE - 5, PAGE + 5, 1000) == [0, 1]
    assert pages.wanted(5000, 5020, 1000) == [4]


async def test_a_narrow_screen_shows_one_aspect_after_the_other(daemon: Daemon, mill: Opened, tmp_path: Path) -> None:
    fill(daemon, tmp_path)
    async with mill() as eye:
        await eye.sees("sweep")
        await eye.press("tab", "enter")
        await eye.sees("Tasks  40")
        await eye.press(*"jjjjjjjjj", "tab")
        await eye.sees("Task 4/9", "attempts     3 of 3", "CPU and memory over its life", "peak 3.1G")
        assert daemon.ops("life")[-1] == {"task": "4/9", "attempt": 3}
        await eye.press("tab")
        await eye.sees("Failures  Tab: sweep  timeline", "ValueError: fold 9 has no samples of class 3")
        assert "exit 1; task 9" in eye.text
        await eye.press("tab")
        await eye.sees("layers", "RESULT", "0.52", "more lines below")
        await eye.press("G")
        await eye.sees("mean of loss")
        await eye.press("tab")
        await eye.sees("Ended well", "Ended badly", "2 items")
        await eye.press("shift+tab")
        await eye.sees("layers", "RESULT")
        await eye.press("escape")
        await eye.sees("Tasks  40")
        assert "9 ✗FAIL" in eye.cursor
        assert {op: len(daemon.ops(op)) for op in ("causes", "sweep", "timeline")} == {
            "causes": 1, "sweep": 1, "timeline": 1}, "asked once: nothing has ended since"


async def test_a_wide_screen_shows_all_of_it_and_zooms(daemon: Daemon, mill: Opened, tmp_path: Path) -> None:
    fill(daemon, tmp_path)
    async with mill(160, 45) as eye:
        await eye.sees("sweep")
        await eye.press("tab", "enter")
        await eye.sees("Tasks  40", "Failures  Tab", "ValueError: fold 9", "Task 4/0", "CPU and memory over its life")
        await eye.press("tab")
        await eye.sees("Sweep  Tab", "Tasks  40")
        await eye.press("z")
        await eye.sees("z back", "mean of loss")
        assert "Tasks  40" not in eye.text
        await eye.press("z")
        await eye.sees("z zoom", "Tasks  40")
        await eye.pilot.resize_terminal(80, 24)
        await eye.misses("z zoom")
        await eye.sees("Tasks  40")


async def test_a_daemon_that_knows_no_studies_is_no_fault(daemon: Daemon, mill: Opened, tmp_path: Path) -> None:
    fill(daemon, tmp_path)
    for op in ("causes", "life"):
        daemon.refusals[op] = f"unknown request '{op}'"
    async with mill(160, 45) as eye:
        await eye.sees("sweep")
        await eye.press("tab", "enter")
        await eye.sees("unknown request 'causes'", "unknown request 'life'")


async def test_a_study_is_asked_for_again_when_something_has_ended_and_not_before(
    daemon: Daemon, mill: Opened, tmp_path: Path
) -> None:
    fill(daemon, tmp_path)
    async with mill() as eye:
        await eye.sees("sweep")
        await eye.press("tab", "enter", "tab", "tab")
        await eye.sees("ValueError: fold 9")
        for later in (10, 20, 30):
            daemon.now = lambda later=later: NOW + later  # type: ignore[misc]
            daemon.push()
            await eye.until(lambda: eye.app.mill is not None and eye.app.mill.seq == daemon.seq, "the update")
            await eye.pilot.pause()
        assert len(daemon.ops("causes")) == 1
        daemon.now = lambda: NOW + 60
        daemon.push(job(4, "sweep", items_done=15, items_failed=3))
        await eye.until(lambda: len(daemon.ops("causes")) == 2, "asks again")


async def test_it_says_whether_code_is_frozen_and_what_is_not_honoured(daemon: Daemon, mill: Opened) -> None:
    async with mill() as eye:
        await eye.sees("4 ●RUN")
        await eye.press("tab", "enter")
        await eye.sees("Tasks  1,000")
        assert "frozen" not in eye.text
        code = SnapshotView(folder="/s", files=12, bytes=34_000, commit="abcdef0123456", changed=["a.py", "b.py"])
        daemon.push(job(4, "sweep", notes=["--partition: there is one machine", "--qos: none"], snapshot=code))
        await eye.sees("code frozen 12 files, 33K, commit abcdef012 and 2 changed files")
        daemon.push(job(4, "sweep", notes=["--partition: there is one machine", "--qos: none"]))
        await eye.sees("not honoured --partition: there is one machine (and 1 more: grist explain 4)")
