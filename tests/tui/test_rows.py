"""Rows, figures and graphs as text."""

import pytest
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from gristmill.supervisor.core import figures
from gristmill.supervisor.core.protocol import JobView, TaskView
from gristmill.tui import plot
from gristmill.tui.columns import Column, cut, fit, width_of
from gristmill.tui.marks import ASCII, SIGNS, UNICODE, Marks, Runs
from gristmill.tui.rows import JOBS, TASKS, TASKS_BEYOND, WORKERS, Context, Layout, job_bar
from gristmill.tui.widgets.highlight import highlight

from .stage import job, worker


def text(runs: Runs) -> str:
    return "".join(part for part, _ in runs)


def row(layout: Layout, value: object, width: int, marks: Marks = UNICODE) -> str:  # type: ignore[type-arg]
    context = Context(1_000_000.0, marks)
    cells = [cut(layout.cells[index].show(value, context, cells), cells, "…", layout.cells[index].column.right)
             for index, cells in fit(layout.columns, width)]  # fmt: skip
    return " ".join(text(cell) for cell in cells)


def test_a_worker_says_state_task_load_time_progress_and_last_line() -> None:
    one = worker(1, "12/17", "sweep", started_at=1_000_000.0 - 724)
    shown = row(WORKERS, one, 76)
    assert shown.split()[:6] == ["1", "●RUN", "sweep/17", "97", "3.1G", "12:04"]
    assert "51% ep 3 loss .41" in shown
    assert len(shown) == 76


def test_a_narrow_screen_keeps_state_and_name() -> None:
    assert row(WORKERS, worker(1, "12/17", "sweep"), 26).split() == ["1", "●RUN", "sweep/17"]


def test_a_job_says_why_it_waits() -> None:
    shown = row(JOBS, job(6, "pose-cv", "waiting", items_done=0, reason="task 1 needs 4.0G, 2.6G free"), 100)
    assert shown.split()[:3] == ["6", "◌WAI", "pose-cv"]
    assert "task 1 needs 4.0G, 2.6G free" in shown


def test_foreign_names_are_cut_to_cells_and_harmless() -> None:
    shown = row(JOBS, job(6, "日本語" * 9 + "\x1b]52;c;aGk=\x07"), 76)
    assert "\x1b" not in shown
    assert width_of(((shown, "text"),)) == 76


def test_a_task_says_how_it_ended() -> None:
    killed = TaskView(id="4/9", number=9, start=16, count=8, state="failed", attempts=2, signal=9, started_at=5.0,
                      ended_at=65.0, memory_peak_bytes=420 << 20, reason="killed")  # fmt: skip
    assert row(TASKS, killed, 76).split() == ["9", "✗FAIL", "16–23", "01:00", "KILL", "2", "420M", "killed"]


def test_states_differ_without_colour() -> None:
    for marks in (UNICODE, ASCII):
        shown = [text(marks.state(state)) for state in SIGNS]
        assert len(set(shown)) == len(shown)
    assert all(text(ASCII.state(state)).isascii() for state in SIGNS)


def bar(one: JobView) -> str:
    return "".join(f"{part}{tone[0]}" for part, tone in job_bar(one, ASCII, 10) if part)


def test_the_bar_of_a_job_tells_done_failed_and_left() -> None:
    assert bar(job(1, "a", items=10, items_done=5, items_failed=2)) == "#####r##f---f"
    assert bar(job(1, "a", "failed", items=10, items_done=1, items_failed=9)) == "#o#########f"
    assert bar(job(1, "a", "queued", items=10, items_done=0)) == "----------f"


@pytest.mark.parametrize(("number", "shown"), [
    (0, "0B"), (999, "999B"), (1000, "1.0K"), (3_300_000_000, "3.1G"), (64 << 30, "64G"), (1 << 50, "1024T"),
    (None, ""),
])  # fmt: skip
def test_sizes(number: int | None, shown: str) -> None:
    assert figures.size(number) == shown


@pytest.mark.parametrize(("number", "shown"), [(412, "412"), (9400, "9,400"), (41_200, "41.2k"), (800_000, "800k"),
                                               (1_200_000, "1.2M"), (999_999, "1.0M")])  # fmt: skip
def test_counts(number: int, shown: str) -> None:
    assert figures.count(number) == shown


@pytest.mark.parametrize(("seconds", "spent", "left"), [
    (31, "00:31", "~31s"), (724, "12:04", "~12m"), (7800, "2:10:00", "~2h10m"), (3 * 86400, "3d 00h", "~3d"),
    (-5, "00:00", "~0s"),
])  # fmt: skip
def test_times(seconds: float, spent: str, left: str) -> None:
    assert (figures.clock_span(seconds), figures.about(seconds)) == (spent, left)


def test_words_go_with_their_number() -> None:
    assert [figures.several(count, "task goes on", "tasks go on") for count in (0, 1, 2)] == [
        "0 tasks go on", "1 task goes on", "2 tasks go on"]
    assert [figures.several(cores, "core") for cores in (1, 1.0, 1.5, 2048)] == [
        "1 core", "1 core", "1.5 cores", "2,048 cores"]


def test_columns_give_way_by_rank_and_share_what_is_left() -> None:
    columns = [Column("A", 4), Column("B", 4, most=20, rank=1), Column("C", 4, rank=2)]
    assert fit(columns, 8) == [(0, 4)]
    assert fit(columns, 9) == [(0, 4), (1, 4)]
    assert fit(columns, 20) == [(0, 4), (1, 10), (2, 4)]


def test_a_finished_column_of_a_graph_never_changes() -> None:
    samples = [(float(second), second % 7 / 7) for second in range(100)]
    early = plot.bucket(samples[:61], 60.0, 1.0, 20)
    later = plot.bucket(samples[:66], 65.0, 1.0, 20)
    assert later[:15] == early[5:]


def test_a_graph_is_filled_from_below() -> None:
    assert plot.braille([0.0, 0.5, 1.0, None], 2) == [" ⡇", "⣸⡇"]
    assert plot.ascii_columns([0.0, 0.0, 1.0, None], 2) == [" #", ".#"]


def test_jitter_leaves_no_holes_but_absence_does() -> None:
    assert plot.bucket([(1.9, 0.5), (3.1, 0.5), (9.0, 0.5)], 9.0, 1.0, 9) == [0.5, 0.5, 0.5] + [None] * 5 + [0.5]


def test_what_was_searched_is_lit_across_colours() -> None:
    line = Strip([Segment("a LO"), Segment("ss and los", Style(bold=True)), Segment("s loss")])
    lit = Style(reverse=True)
    shown = [(text, style == lit) for text, style, _ in highlight(line, "loss", lit)]
    assert [text for text, is_lit in shown if is_lit] == ["LO", "ss", "los", "s", "loss"]
    assert "".join(text for text, _ in shown) == line.text
    assert highlight(line, "LOss", lit).text == line.text
    assert highlight(line, "none", lit) is line


def test_of_a_long_number_elsewhere_the_end_is_shown() -> None:
    task = TaskView(id="1/3", number=3, start=3, count=1, state="running", where="ray", host="node7",
                    engine_id="grist-62fa8b10-1.1/3")  # fmt: skip
    cell, context = TASKS_BEYOND.cells[3], Context(0.0, UNICODE)
    assert text(cell.show(task, context, 30)) == "node7 grist-62fa8b10-1.1/3"
    assert text(cell.show(task, context, 13)) == "node7 …-1.1/3"
    here = TaskView(id="1/3", number=3, start=3, count=1, state="running")
    assert text(cell.show(here, context, 13)) == "here"
