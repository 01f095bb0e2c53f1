"""A log that grows, is searched, wrapped, and can't touch the terminal."""

import gc
import os
import re
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gristmill.tui.widgets import logview

from .stage import OSC52, Daemon, Eye, Opened


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "task.log"
    path.write_text("".join(f"step {number} loss\n" for number in range(1, 501)))
    return path


@pytest.fixture
def reading(daemon: Daemon, mill: Opened, log: Path) -> Opened:
    """Opens the log of the first worker's task."""
    daemon.logs["4/17"] = {"path": str(log), "live": True, "state": "running", "attempt": 1}

    @asynccontextmanager
    async def opened(width: int = 80, height: int = 24) -> AsyncIterator[Eye]:
        async with mill(width, height) as eye:
            await eye.sees("sweep/17")
            await eye.press("l")
            await eye.sees("Log  sweep/17")
            yield eye

    return opened


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


async def test_it_opens_at_the_end_and_follows(reading: Opened, log: Path, size: tuple[int, int]) -> None:
    async with reading(*size) as eye:
        await eye.sees("step 500 loss", "● follow", "500 lines")
        append(log, "fresh line\n")
        await eye.sees("fresh line", "501 lines")
        assert eye.lines[-2].strip() == "fresh line"


async def test_scrolling_up_pauses_and_counts_what_is_new(reading: Opened, log: Path, size: tuple[int, int]) -> None:
    async with reading(*size) as eye:
        await eye.sees("step 500 loss")
        await eye.press("k")
        await eye.sees("PAUSED (f)")
        top = eye.lines[3]
        append(log, "one\ntwo\nthree\n")
        await eye.sees("PAUSED +3 new (f)")
        assert eye.lines[3] == top


async def test_much_that_is_new_is_counted_bit_by_bit(
    reading: Opened, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logview, "AT_ONCE", 8)
    async with reading() as eye:
        await eye.sees("step 500 loss")
        await eye.press("k")
        append(log, "one\ntwo\nthree\n")
        await eye.sees("PAUSED +3 new (f)")
        assert "three" not in eye.text
        await eye.press("f")
        await eye.sees("three", "● follow")


async def test_keys_move_through_it(reading: Opened) -> None:
    async with reading() as eye:
        await eye.sees("step 500 loss")
        for key, first in (("g", 1), ("j", 2), ("pagedown", 21), ("k", 20), ("pageup", 1), ("G", 481), ("home", 1)):
            await eye.press(key)
            assert eye.lines[3].strip() == f"step {first} loss", key


async def test_long_lines_pan_or_wrap(reading: Opened, log: Path) -> None:
    append(log, "a" * 100 + "END" + "\n")
    async with reading() as eye:
        await eye.sees("aaaa")
        assert "END" not in eye.text
        await eye.press("right", "right", "right", "right")
        await eye.sees("END", "+32 cells")
        await eye.press("left", "left", "left", "left", "left", "w")
        await eye.sees("END", "wrap")
        await eye.press("up")
        await eye.misses("END")
        await eye.press("down")
        await eye.sees("END")


async def test_search_goes_to_matches_and_counts_them(reading: Opened, log: Path) -> None:
    async with reading() as eye:
        await eye.sees("step 500 loss")
        await eye.press("slash", "=STEP", "enter")
        await eye.sees("/STEP 0")
        await eye.press("slash", *["backspace"] * 4, "=step 7", "enter")
        await eye.sees("/step 7 11/11", "step 79 loss")
        await eye.press("N")
        await eye.sees("/step 7 10/11", "step 78 loss")
        await eye.press("n", "n")
        await eye.sees("/step 7 1/11", "step 7 loss")
        append(log, "step 7 again\n")
        await eye.sees("1/12")
        await eye.press("escape")
        await eye.misses("/step 7")
        await eye.press("escape")
        await eye.sees("Workers")


async def test_colours_pass_and_commands_do_not(reading: Opened, log: Path) -> None:
    append(log, f"\x1b[31mred\x1b[0m {OSC52}\x1b[2J\x1b]0;title\x07 [bold]x\n")
    async with reading() as eye:
        await eye.sees("red ^[]52;c;ZWNobyBwd25lZA==^G^[[2J^[]0;title^G [bold]x")
        strips = eye.app.screen._compositor.render_strips()
        styles = [style for strip in strips for text, style, _ in strip if text == "red"]
        assert [style.color == eye.app.palette.style("text").color for style in styles if style] == [False]


async def test_a_log_not_yet_written_is_waited_for(daemon: Daemon, mill: Opened, tmp_path: Path) -> None:
    path = tmp_path / "later.log"
    daemon.logs["4/17"] = {"path": str(path), "live": True, "state": "starting", "attempt": 1}
    async with mill() as eye:
        await eye.sees("sweep/17")
        await eye.press("l")
        await eye.sees("nothing written yet")
        path.write_text("at last\n")
        await eye.sees("at last")


async def test_a_renamed_log_keeps_its_place(daemon: Daemon, reading: Opened, log: Path) -> None:
    moved = log.with_name("task-17.log")
    async with reading() as eye:
        await eye.sees("step 500 loss")
        await eye.press("g")
        os.rename(log, moved)
        daemon.logs["4/17"] = {"path": str(moved), "live": False, "state": "done", "attempt": 1}
        daemon.push()
        await eye.sees("✓OK")
        assert eye.lines[3].strip() == "step 1 loss"
        await eye.press("f")
        await eye.sees("step 500 loss")


async def test_another_attempt_starts_another_log(daemon: Daemon, reading: Opened, tmp_path: Path) -> None:
    async with reading() as eye:
        await eye.sees("step 500 loss")
        second = tmp_path / "second.log"
        second.write_text("second try\n")
        daemon.logs["4/17"] = {"path": str(second), "live": True, "state": "running", "attempt": 2}
        daemon.push()
        await eye.sees("second try", "attempt 2")
        assert "step 500" not in eye.text


async def test_a_huge_log_opens_at_once(daemon: Daemon, mill: Opened, tmp_path: Path) -> None:
    path = tmp_path / "huge.log"
    with path.open("wb") as file:
        file.truncate(1 << 30)
        file.seek(1 << 30)
        file.write(b"\nthe end of a gigabyte\n")
    daemon.logs["4/17"] = {"path": str(path), "live": False, "state": "done", "attempt": 1}
    async with mill() as eye:
        await eye.sees("sweep/17")
        await eye.press("l")
        await eye.sees("the end of a gigabyte", "1.0G")
        await eye.press("q")


def cut(path: Path, most: int, last: int) -> None:
    """Leaves the middle of a log out, as a worker does where `limits.log` is passed."""
    data = path.read_bytes()
    tail = data[data.rfind(b"step %d loss" % last) :]
    earlier = re.search(rb"\n\[gristmill: (\d+) .*\]\n", data)
    gone = len(data) - most // 2 - len(tail) + (int(earlier[1]) - len(earlier[0]) if earlier else 0)
    mark = b"\n[gristmill: %d bytes left out here: limits.log = %d]\n" % (gone, most)
    os.truncate(path, most // 2)
    append(path, (mark + tail).decode())


async def test_where_the_middle_is_left_out_the_same_lines_stay_on_the_screen(reading: Opened, log: Path) -> None:
    async with reading() as eye:
        await eye.sees("step 500 loss", "500 lines")
        cut(log, 2000, 490)
        await eye.sees("● follow", "step 500 loss", "bytes left out here: limits.log = 2000]", "90 lines")
        append(log, "step 501 loss\n")
        await eye.sees("step 501 loss")
        await eye.press("g")
        assert eye.lines[3].strip() == "step 1 loss"
        cut(log, 2000, 499)
        append(log, "step 502 loss\n")
        await eye.sees("PAUSED +1 new (f)")
        assert eye.lines[3].strip() == "step 1 loss"
        await eye.press("f")
        await eye.sees("step 500 loss", "step 502 loss")


async def test_a_search_goes_on_where_the_middle_is_left_out_and_does_not_jump(reading: Opened, log: Path) -> None:
    async with reading() as eye:
        await eye.press("slash", "=step 7", "enter")
        await eye.sees("/step 7 11/11", "PAUSED")
        await eye.press("g")
        cut(log, 2000, 490)
        await eye.sees("/step 7 10")
        assert eye.lines[3].strip() == "step 1 loss"
        await eye.press("n")
        await eye.sees("/step 7 2/10", "step 70 loss")


async def test_a_log_that_somebody_empties_is_read_anew(reading: Opened, log: Path) -> None:
    async with reading() as eye:
        await eye.sees("step 500 loss")
        os.truncate(log, 0)
        append(log, "fresh\n")
        await eye.sees("fresh", "1 lines")
        await eye.misses("step 500")


async def test_one_endless_line_of_colours_takes_little_memory(reading: Opened, log: Path) -> None:
    os.truncate(log, 0)
    append(log, "".join(f"\x1b[3{number % 8}m\0" for number in range(200_000)) + "\nend\n")
    async with reading() as eye:
        await eye.sees("end", "1.1M")
        gc.collect()
        tracemalloc.start()
        await eye.press("g", *["pagedown"] * 4)
        await eye.sees("^@^@^@")
        used, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert used < 4 << 20


async def test_a_filter_shows_only_lines_that_pass_and_goes_with_escape(reading: Opened, log: Path,
                                                                        size: tuple[int, int]) -> None:  # fmt: skip
    async with reading(*size) as eye:
        await eye.sees("step 500 loss")
        await eye.press("ampersand", "=7", "enter")
        await eye.sees("&7 95", "step 497 loss")
        assert "step 498" not in eye.text
        append(log, "fresh 7\nfresh 8\n")
        await eye.sees("fresh 7", "&7 96")
        assert "fresh 8" not in eye.text
        await eye.press("g")
        await eye.until(lambda: eye.lines[3].strip() == "step 7 loss", "begins with the first that passes")
        await eye.press("escape")
        await eye.sees("step 1 loss")
        await eye.press("ampersand", "=!step", "enter")
        await eye.sees("fresh 7", "fresh 8", "&!step 2")
        await eye.press("escape")
        await eye.sees("step")


async def test_a_filter_that_lets_nothing_pass_says_so(reading: Opened) -> None:
    async with reading() as eye:
        await eye.sees("step 500 loss")
        await eye.press("ampersand", "=mauve", "enter")
        await eye.sees("no line passes &mauve", "&mauve 0")
        await eye.press("j", "k", "G", "g", "w", "pagedown")
        assert "no line passes &mauve" in eye.text


async def test_a_mark_stays_where_it_was_set(reading: Opened, log: Path) -> None:
    async with reading() as eye:
        await eye.sees("step 500 loss")
        await eye.press("M")
        await eye.sees("── mark ")
        append(log, "after the mark\n")
        await eye.sees("after the mark")
        where = next(place for place, line in enumerate(eye.lines) if "── mark" in line)
        assert eye.lines[where - 1].strip() == "step 500 loss"
        assert eye.lines[where + 1].strip() == "after the mark"
        await eye.press("k", "f")
        assert "── mark" in eye.text


def write_errors(log: Path) -> None:
    text = log.read_text().replace("step 50 loss", "Traceback: step 50")
    log.write_text(text.replace("step 300 loss", "RuntimeError 300"))


async def test_the_next_error_is_gone_to_and_has_a_sign(reading: Opened, log: Path) -> None:
    write_errors(log)
    async with reading() as eye:
        await eye.sees("step 500 loss")
        await eye.press("E")
        await eye.until(lambda: eye.line("▎").startswith("▎Traceback: step 50"), "the first, round the end")
        await eye.press("E")
        await eye.until(lambda: eye.line("▎").startswith("▎RuntimeError 300"), "the second")
        await eye.press("E")
        await eye.until(lambda: eye.line("▎").startswith("▎Traceback: step 50"), "the first again")


async def test_no_error_is_said(reading: Opened) -> None:
    async with reading() as eye:
        await eye.sees("step 500 loss")
        await eye.press("E")
        await eye.sees("no line here tells of an error")


async def test_times_stand_beside_lines_that_come(reading: Opened, log: Path) -> None:
    async with reading() as eye:
        await eye.sees("step 500 loss")
        await eye.press("T")
        append(log, "fresh\n")
        await eye.sees("fresh")
        assert re.match(r" \d\d:\d\d:\d\d fresh", eye.line("fresh"))
        assert eye.line("step 500 loss") == " " * 10 + "step 500 loss"


async def test_standard_error_apart_and_both_together(daemon: Daemon, reading: Opened, tmp_path: Path) -> None:
    (tmp_path / "err").write_text("a warning\n")
    daemon.logs["4/17 err"] = {"path": str(tmp_path / "err"), "live": True, "state": "running", "attempt": 1}
    async with reading() as eye:
        await eye.sees("step 500 loss")
        await eye.press("o")
        await eye.sees("sweep/17 err", "a warning")
        assert "step 500" not in eye.text
        await eye.press("o")
        await eye.sees("out+err", "err a warning", "out step 500 loss")
        await eye.press("o")
        await eye.misses("a warning")


async def test_what_was_chosen_last_is_shown_though_the_answer_to_what_was_chosen_before_comes_after(
    daemon: Daemon, reading: Opened, log: Path, tmp_path: Path
) -> None:
    (tmp_path / "err").write_text("a warning\n")
    for which, path in (("4/17", log), ("4/17 err", tmp_path / "err")):  # ended: it is not asked for again by itself
        daemon.logs[which] = {"path": str(path), "live": False, "state": "done", "attempt": 1}
    async with reading() as eye:
        await eye.sees("step 500 loss")
        daemon.kept["log"] = []
        await eye.press("o")
        await eye.until(lambda: daemon.ops("log")[-1] == {"task": "4/17", "err": True}, "standard error is asked for")
        await eye.press("o")
        daemon.give("log")
        await eye.sees("err a warning", "out step 500 loss")


async def test_what_is_shown_can_be_saved_and_replaces_nothing(reading: Opened, tmp_path: Path) -> None:
    target = tmp_path / "saved.txt"
    async with reading() as eye:
        await eye.sees("step 500 loss")
        await eye.press("ampersand", "=99", "enter", "S")
        await eye.press("ctrl+u", f"={target}", "enter")
        await eye.sees("saved 69B as")
        assert target.read_text().split() == [word for number in (99, 199, 299, 399, 499) for word in
                                              ("step", str(number), "loss")]  # fmt: skip
        await eye.press("S", "ctrl+u", f"={target}", "enter")
        await eye.sees("not saved: File exists")


async def test_logs_of_marked_tasks_are_mixed_with_their_names(daemon: Daemon, mill: Opened, log: Path,
                                                               tmp_path: Path) -> None:  # fmt: skip
    other = tmp_path / "other"
    other.write_text("from eighteen\n")
    for task, path in (("4/17", log), ("4/18", other)):
        daemon.logs[task] = {"path": str(path), "live": True, "state": "running", "attempt": 1}
    async with mill() as eye:
        await eye.sees("sweep/17")
        await eye.press("space", "space", "l")
        await eye.sees("Log  2 tasks", "sweep/18 from eighteen")
        append(log, "now from seventeen\n")
        await eye.sees("sweep/17 now from seventeen")
        await eye.press("ampersand", "=eighteen", "enter")
        await eye.sees("&eighteen 1")
        await eye.misses("seventeen\n")
        await eye.press("o")
        await eye.sees("only the output is shown")


async def test_a_filter_below_its_last_line_shows_that(reading: Opened) -> None:
    async with reading() as eye:
        await eye.sees("step 500 loss")
        await eye.press("k", "ampersand", "=step 41 ", "enter")
        await eye.sees("step 41 loss", "&step 41  1")
        assert "no line passes" not in eye.text


async def test_earlier_attempts_are_read_with_a_key(daemon: Daemon, reading: Opened, log: Path, tmp_path: Path) -> None:
    (tmp_path / "first").write_text("words of the first\n")
    first = {"path": str(tmp_path / "first"), "live": False, "state": "failed", "attempt": 1, "attempts": 2}
    daemon.logs["4/17 1"] = first
    async with reading() as eye:
        await eye.sees("step 500 loss")
        daemon.logs["4/17"] = {"path": str(log), "live": True, "state": "running", "attempt": 2, "attempts": 2}
        daemon.push()
        await eye.sees("attempt 2")
        await eye.press("a")
        await eye.sees("words of the first", "attempt 1 of 2 (a)")
        assert daemon.ops("log")[-1] == {"task": "4/17", "attempt": 1}
        await eye.press("a")
        await eye.sees("step 500 loss", "attempt 2")
        daemon.logs["4/17"]["attempts"] = 1
        daemon.push()
        await eye.misses("attempt 2")
        await eye.press("a")
        await eye.sees("there was one attempt only")
