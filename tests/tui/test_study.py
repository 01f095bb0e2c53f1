"""A job in depth, as lines: every bar beside its figure, nothing wider than the screen."""

import pytest

from gristmill.supervisor.core.answers import (
    CausesView,
    CauseView,
    LifeView,
    SweepView,
    TimelineView,
)
from gristmill.tui import study
from gristmill.tui.columns import width_of
from gristmill.tui.marks import ASCII, TO_ASCII, UNICODE, Marks, Runs
from gristmill.tui.plot import resample

from .scene import _causes, _life, _sweep, _timeline
from .stage import OSC52


def texts(lines: list[Runs]) -> list[str]:
    return ["".join(text for text, _ in line).rstrip() for line in lines]


@pytest.mark.parametrize("width", [40, 60, 80, 160, 300])
@pytest.mark.parametrize("marks", [UNICODE, ASCII], ids=["unicode", "ascii"])
def test_nothing_is_wider_than_the_screen(width: int, marks: Marks) -> None:
    for lines in (study.sweep(_sweep(), width, marks), study.causes(_causes(), width, marks),
                  study.timeline(_timeline(), width, 14, marks), study.life(_life(1), width, 9, marks)):  # fmt: skip
        assert all(width_of(line) <= width for line in lines)
        assert not marks.ascii or all(text.translate(TO_ASCII).isascii() for text in texts(lines))


def test_a_sweep_has_a_line_for_each_value() -> None:
    lines = texts(study.sweep(_sweep(), 100, UNICODE))
    assert lines[0].split() == ["layers", "OK", "FAIL", "PEAK", "TIME", "RESULT"]
    assert lines[1].split()[:4] == ["1", "9", "1", "━"]
    assert "1.2G" in lines[1] and "08:40" in lines[1] and "0.52" in lines[1]
    assert lines[-1] == "  RESULT: mean of loss (others: steps)"


def test_what_is_missing_is_said() -> None:
    assert "No parameters here" in texts(study.sweep(SweepView(axes=[]), 80, UNICODE))[0]
    assert "No task has ended" in texts(study.sweep(SweepView(axes=_sweep().axes), 80, UNICODE))[0]
    assert "No task has failed" in texts(study.causes(CausesView(causes=[], seen=0, of=0), 80, UNICODE))[0]
    empty = TimelineView(began_at=0, step_s=1, done=[0], failed=[0])
    assert "Nothing has ended" in texts(study.timeline(empty, 80, 10, UNICODE))[0]
    assert "not seen" in texts(study.life(LifeView(began_at=0, step_s=1, cpu=[], memory_bytes=[]), 80, 9, UNICODE))[0]


def test_causes_are_foreign_text_and_tell_how_many() -> None:
    foreign = CauseView(state="failed", reason="exit 1", words=OSC52 + " boom", count=900, numbers=list(range(20)))
    view = CausesView(seen=1000, of=4000, causes=[foreign])
    lines = texts(study.causes(view, 100, UNICODE))
    assert lines[0] == "     900 ✗FAIL   ^[]52;c;ZWNobyBwd25lZA==^G boom"
    assert lines[1].endswith("18 19 and 880 more")
    assert lines[-1] == "  of the newest 1,000 of 4,000 failed tasks"


def test_few_ends_are_drawn_as_bars_of_several() -> None:
    view = TimelineView(began_at=0, step_s=1, done=[1, 0] * 40, failed=[0] * 80)
    assert "at most 1 in 00:02" in texts(study.timeline(view, 100, 10, UNICODE))[0]


def test_resampling_keeps_the_mean_and_stretches_what_is_short() -> None:
    assert resample([1, 3, 5, 7], 2) == [2, 6]
    assert resample([1, 2], 4) == [1, 1, 2, 2]
    assert resample([], 3) == [0, 0, 0]
