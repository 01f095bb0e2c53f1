"""The overview as a user sees it, fed over a real socket."""

import time
from typing import Any

import pytest
from textual import events

from gristmill.supervisor.core.protocol import LimitView
from gristmill.tui.screens.overview import plan

from .stage import OSC52, Daemon, Opened, job, worker


async def test_it_shows_the_mill(mill: Opened, size: tuple[int, int]) -> None:
    async with mill(*size) as eye:
        await eye.sees("● live", "workers 1/8", "failed 35", "limit 8: memory binds (84 %, cap 85 %)")
        await eye.sees("CPU  71%", "MEM  84%")
        assert eye.line("sweep/17").split()[:6] == ["▎", "1", "●RUN", "sweep/17", "97", "3.1G"]
        assert "ep 3 loss .41" in eye.line("sweep/17")
        assert "◑STP" in eye.line("sweep/18")
        assert "15/40" in eye.line("4 ●RUN")
        assert "~48m" in eye.line("4 ●RUN")
        assert "5 alike" in eye.line("✗FAIL")
        assert "Enter open" in eye.lines[-1]
        assert all(len(line) <= size[0] for line in eye.lines)
        assert len(eye.lines) == size[1]


async def test_deltas_change_what_they_name(daemon: Daemon, mill: Opened, size: tuple[int, int]) -> None:
    async with mill(*size) as eye:
        await eye.sees("15/40")
        daemon.workers[0] = worker(1, "4/19", "sweep", progress=0.9)
        daemon.push(job(4, "sweep", items_done=16), job(9, "fresh", "queued", items_done=0), removed=[3])
        await eye.sees("16/40", "sweep/19", "fresh")
        await eye.misses("ablate")
        await eye.misses("sweep/17")


async def test_keys_move_between_rows_and_panels(mill: Opened, size: tuple[int, int]) -> None:
    async with mill(*size) as eye:
        await eye.sees("sweep/17")
        assert "sweep/17" in eye.cursor
        for keys, row in (
            (["j"], "sweep/18"), (["down"], "idle"), (["down"], "idle"), (["k"], "sweep/18"), (["G"], "idle"),
            (["g"], "sweep/17"), (["pagedown"], "idle"), (["pageup"], "sweep/17"), (["tab"], "4 ●RUN"),
            (["j", "up", "j"], "5 ◌WAI"), (["tab"], "sweep/17"), (["shift+tab"], "5 ◌WAI"),
        ):  # fmt: skip
            await eye.press(*keys)
            assert row in eye.cursor, keys


async def test_the_cursor_follows_its_job_while_rows_move(daemon: Daemon, mill: Opened) -> None:
    async with mill() as eye:
        await eye.sees("pose-cv")
        await eye.press("tab", "j")
        assert "pose-cv" in eye.cursor
        daemon.push(job(2, "older"), job(6, "newer"), job(5, "pose-cv"))
        await eye.sees("older", "newer")
        assert "pose-cv" in eye.cursor
        daemon.push(removed=[5])
        await eye.misses("pose-cv")
        assert eye.cursor


async def test_a_filter_narrows_while_typing_and_goes_with_escape(mill: Opened, size: tuple[int, int]) -> None:
    async with mill(*size) as eye:
        await eye.sees("pose-cv")
        await eye.press("tab", "slash", "=state:fail")
        await eye.sees("/state:fail finds 1")
        assert "4 ●RUN" not in eye.text
        await eye.press("enter")
        assert "Enter open" in eye.lines[-1]
        assert "ablate" in eye.cursor
        await eye.press("escape")
        await eye.sees("4 ●RUN")
        await eye.press("slash", "=swe", "escape")
        await eye.sees("ablate")
        assert "finds" not in eye.text


async def test_sorting_says_by_what(mill: Opened) -> None:
    async with mill() as eye:
        await eye.sees("pose-cv")
        await eye.press("tab", "s")
        await eye.sees("by newest")
        places = [eye.lines.index(eye.line(part)) for part in ("5 ◌WAI", "4 ●RUN", "3 ✗FAIL")]
        assert places == sorted(places)


async def test_the_cap_goes_down_and_up_and_back_to_automatic(daemon: Daemon, mill: Opened) -> None:
    async with mill() as eye:
        await eye.sees("workers 1/8 auto")
        await eye.press("{")
        await eye.sees("limit 7")
        assert daemon.ops("limit") == [{"workers": 7}]
        daemon.limit = LimitView(workers=7, busy=1, reason="set by you", mode="fixed")
        daemon.push()
        await eye.sees("workers 1/7 fixed", "set by you")
        await eye.press("}")
        await eye.until(lambda: daemon.ops("limit")[-1] == {"workers": 8}, "asks for 8")
        daemon.limit = LimitView(workers=8, busy=1, reason="set by you", mode="fixed")
        daemon.push()
        await eye.sees("1/8 fixed")
        await eye.press("}")
        await eye.until(lambda: daemon.ops("limit")[-1] == {"workers": None}, "asks for automatic")


async def test_cancel_asks_and_stays_with_the_id_while_rows_move(daemon: Daemon, mill: Opened,
                                                                 size: tuple[int, int]) -> None:  # fmt: skip
    async with mill(*size) as eye:
        await eye.sees("pose-cv")
        await eye.press("tab", "j", "c")
        await eye.sees("Cancel job 5?", "5: pose-cv, WAI, 0 of 40 items done")
        assert daemon.ops("cancel") == []
        daemon.push(job(5, "pose-cv", items_done=1), job(2, "older"), job(1, "oldest"), removed=[4])
        await eye.sees("Cancel job 5?", "5: pose-cv, RUN, 1 of 40 items done")
        await eye.press("y")
        await eye.sees("canceled 5", "oldest")
        assert daemon.ops("cancel") == [{"ids": ["5"]}]


@pytest.mark.parametrize("key", ["n", "escape"])
async def test_a_question_can_be_left(daemon: Daemon, mill: Opened, key: str) -> None:
    async with mill() as eye:
        await eye.sees("sweep/17")
        await eye.press("c")
        await eye.sees("Cancel task 4/17?", "4/17: sweep/17, on worker 1")
        daemon.workers = [worker(1)]
        daemon.push()
        await eye.sees("4/17: sweep/17, not running at the moment")
        await eye.press(key)
        await eye.misses("Cancel task")
        assert daemon.ops("cancel") == []


async def test_marks_gather_several(daemon: Daemon, mill: Opened) -> None:
    async with mill() as eye:
        await eye.sees("pose-cv")
        await eye.press("tab", "space", "space", "c")
        await eye.sees("Cancel 2 jobs (4, 5)?")
        await eye.press("y")
        await eye.sees("canceled 4, 5")
        assert "◆" not in eye.text


async def test_a_mark_stays_with_the_task_and_not_with_its_worker(daemon: Daemon, mill: Opened) -> None:
    async with mill() as eye:
        await eye.sees("sweep/17")
        await eye.press("space", "space")
        daemon.workers[0] = worker(1, "5/1", "pose-cv")
        daemon.push()
        await eye.sees("pose-cv/1")
        await eye.press("c")
        await eye.sees("Cancel task 4/18?")
        await eye.press("y")
        await eye.sees("canceled 4/18")


async def test_where_all_that_was_marked_has_gone_the_row_under_the_cursor_is_not_meant(
    daemon: Daemon, mill: Opened
) -> None:
    async with mill() as eye:
        await eye.sees("sweep/17")
        await eye.press("space")
        daemon.workers[0] = worker(1, "5/1", "pose-cv")
        daemon.push()
        await eye.sees("pose-cv/1")
        await eye.press("r")
        await eye.sees("nothing to retry here")
        assert daemon.ops("retry") == []


async def test_retry_runs_what_failed_again(daemon: Daemon, mill: Opened) -> None:
    async with mill() as eye:
        await eye.sees("ablate")
        await eye.press("tab", "G", "r")
        await eye.sees("queued again: 3")
        assert daemon.ops("retry") == [{"ids": ["3"], "failed": True}]
        daemon.refusals["retry"] = "nothing of job 3 has failed"
        await eye.press("r")
        await eye.sees("nothing of job 3 has failed")


async def test_read_only_changes_nothing(daemon: Daemon, mill: Opened) -> None:
    async with mill(read_only=True) as eye:
        await eye.sees("sweep/17")
        assert "cancel" not in eye.lines[-1]
        await eye.press("c", "r", "{")
        await eye.sees("read-only: nothing is changed from here")
        assert daemon.asked == []


async def test_freezing_stops_the_display_and_not_the_feed(daemon: Daemon, mill: Opened) -> None:
    async with mill() as eye:
        await eye.sees("15/40")
        await eye.press("p")
        await eye.sees("● frozen")
        daemon.push(job(4, "sweep", items_done=30))
        await eye.until(lambda: eye.app.mill is not None and eye.app.mill.jobs[4].items_done == 30, "the feed goes on")
        assert "15/40" in eye.text
        await eye.press("p")
        await eye.sees("30/40", "● live")


async def test_a_held_daemon_says_why(daemon: Daemon, mill: Opened, size: tuple[int, int]) -> None:
    async with mill(*size) as eye:
        await eye.sees("live")
        daemon.held = "disk full: 12M left in /data"
        daemon.push()
        await eye.sees("● held", "held: disk full: 12M left in /data")
        daemon.held = ""
        daemon.push()
        await eye.sees("● live", "limit 8")


async def test_a_wide_screen_previews_the_log_of_the_selection(daemon: Daemon, mill: Opened, tmp_path: Any) -> None:
    path = tmp_path / "log"
    path.write_text("one\n\x1b[31mepoch 2\x1b[0m\n" + OSC52 + "\n")
    daemon.logs["4/17"] = {"path": str(path), "live": True, "state": "running", "attempt": 1}
    async with mill(160, 45) as eye:
        await eye.sees("Log  sweep/17", "epoch 2", "^[]52;c;ZWNobyBwd25lZA==^G", "WORKERS  1")
        with path.open("a") as file:
            file.write("epoch 3\n")
        daemon.push()
        await eye.sees("epoch 3")
        await eye.press("j")
        await eye.sees("Log  sweep/18", "nothing was written")


async def test_what_is_foreign_reaches_the_screen_as_text(daemon: Daemon, mill: Opened) -> None:
    daemon.jobs[7] = job(7, "evil[bold]" + OSC52, reason="re\x9bson[/]\u202e")
    daemon.workers[0] = worker(1, "7/1", "x" + OSC52, last_line=OSC52)
    daemon.held = "because " + OSC52
    async with mill(160, 45) as eye:
        await eye.sees("evil[bold]^[]52", "re<U+009B>son[/]<U+202E>", "held: because ^[]52;c;", "x^[]52;c;")
        assert "\x1b" not in eye.text
        assert "\x07" not in eye.text


@pytest.mark.parametrize("options", [{"use_ascii": True}, {"theme": "light"}, {"theme": "terminal-16"},
                                     {"theme": "colour-blind"}])  # fmt: skip
async def test_it_can_be_drawn_otherwise(mill: Opened, options: dict[str, Any]) -> None:
    async with mill(**options) as eye:
        await eye.sees("RUN   sweep/17", "live")
        if options.get("use_ascii"):
            assert eye.text.isascii()
        await eye.press("t")
        await eye.sees("theme ")


async def test_no_color_is_no_crash(mill: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with mill() as eye:
        await eye.sees("●RUN   sweep/17", "limit 8")
        await eye.press("tab", "slash", "=swe", "enter", "question_mark")
        await eye.sees("Everywhere")
        colours = {style.color.name for strip in eye.app.screen._compositor.render_strips() for _, style, _ in strip
                   if style is not None and style.color is not None}  # fmt: skip
        assert colours <= {"default"}


async def test_the_palette_finds_commands_and_sets_a_limit(daemon: Daemon, mill: Opened) -> None:
    async with mill() as eye:
        await eye.sees("sweep/17")
        await eye.press("colon")
        await eye.sees("Go in: a worker's job")
        await eye.press("=limit 3")
        await eye.sees("At most 3 busy workers")
        await eye.press("enter")
        await eye.until(lambda: daemon.ops("limit") == [{"workers": 3}], "asks for three")
        await eye.press("colon", "=freeze")
        await eye.sees("Freeze the display")
        await eye.press("enter")
        await eye.sees("● frozen")


async def test_q_leaves(mill: Opened) -> None:
    async with mill() as eye:
        await eye.sees("sweep/17")
        await eye.press("q")
        await eye.until(lambda: not eye.app.is_running or eye.app.return_value == 0, "leaves")
        assert eye.app.return_value == 0


@pytest.mark.parametrize(("width", "height", "graphs", "panels", "preview"), [
    (80, 24, 4, 2, False), (160, 45, 8, 3, True), (99, 40, 8, 2, False), (59, 24, 0, 2, False), (100, 23, 1, 2, False),
])  # fmt: skip
def test_the_plan_follows_the_size(width: int, height: int, graphs: int, panels: int, preview: bool) -> None:
    shared = plan(width, height, 8)
    assert (shared.graphs, shared.panels, shared.preview) == (graphs, panels, preview)
    assert height - 3 - shared.graphs - shared.workers >= 6


async def test_small_terminals_keep_the_lists(mill: Opened) -> None:
    async with mill(50, 20) as eye:
        await eye.sees("sweep/17", "pose-cv")
        assert "CPU" not in eye.text
        await eye.pilot.resize_terminal(100, 20)
        await eye.sees("CPU  71%", "CPU%")


async def test_ten_thousand_jobs_hold_nothing_up(daemon: Daemon, mill: Opened) -> None:
    daemon.jobs = {number: job(number, f"job-{number}", "done", ended_at=float(number)) for number in range(1, 3001)}
    async with mill() as eye:
        await eye.sees("3,000 ended")
        await eye.press("tab")
        began = time.process_time()
        await eye.press("G", "g", "pagedown", "pagedown", "G")
        assert "job-1 " in eye.cursor
        assert time.process_time() - began < 2


async def test_one_list_can_have_the_whole_screen(mill: Opened, size: tuple[int, int]) -> None:
    async with mill(*size) as eye:
        await eye.sees("Workers", "CPU  71%")
        await eye.press("tab", "z")
        await eye.misses("Workers  2 of 3 busy")
        assert "CPU  71%" not in eye.text
        assert eye.lines[2].startswith(" Jobs")
        await eye.press("tab")
        await eye.sees("Workers  2 of 3 busy")
        await eye.misses("Jobs  ")
        await eye.press("z")
        await eye.sees("Jobs  ", "CPU  71%")


async def test_what_is_typed_right_behind_a_key_is_not_lost(mill: Opened) -> None:
    async with mill() as eye:
        await eye.sees("pose-cv")
        await eye.press("tab")
        for key, char in (("slash", "/"), *((char, char) for char in "ablate"), ("enter", None)):
            eye.app.post_message(events.Key(key, char))
        await eye.sees("/ablate finds 1", "Enter open")


async def test_jobs_that_wait_in_the_record_are_counted(daemon: Daemon, mill: Opened) -> None:
    daemon.jobs_more = 96_000
    async with mill() as eye:
        await eye.sees("2 open, 1 ended, 96.0k more wait")
        daemon.jobs_more = 0
        daemon.push()
        await eye.misses("more wait")
