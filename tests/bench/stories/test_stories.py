"""What the tables stand on, and that docs/stories.md says what is run."""

from __future__ import annotations

import re

import pytest

from tests.bench.stories import __main__ as stories
from tests.bench.stories.peers import PROGRAMS
from tests.bench.stories.rounds import Lap, Laps
from tests.bench.stories.tables import PAGE, Bar, Table, bars, placed


def laps(**values: list[float]) -> Laps:
    """Laps on a quiet machine."""
    return Laps({name: [Lap(value, 0.0) for value in found] for name, found in values.items()})


def test_a_ratio_is_that_of_the_rounds_not_that_of_the_medians() -> None:
    """A round in which the whole machine was slow says as much as any other."""
    found = laps(ours=[1.0, 20.0, 3.0], theirs=[2.0, 10.0, 3.0])
    assert found.ratio("ours", "theirs") == 1.0
    assert found.ratio("theirs", "ours") == 1.0
    assert found.median("ours") == 3.0


def test_the_best_is_found_among_those_that_are_asked_for() -> None:
    """`least` and `most` go by medians."""
    found = laps(a=[3.0, 3.0], b=[1.0, 9.0], c=[1.0, 1.0])
    assert found.least("a", "b") == "a"
    assert found.most("a", "b", "c") == "b"


def test_a_table_says_which_promises_are_not_kept() -> None:
    """A figure without a promise has neither a yes nor a no."""
    text = bars([Bar("x", "1", "≥ 2", False), Bar("y", "3", "≥ 2", True), Bar("z", "4")]).markdown()
    assert "| x | 1 | ≥ 2 | **no** |" in text
    assert "| y | 3 | ≥ 2 | yes |" in text
    assert "| z | 4 |  |  |" in text


def test_figures_have_three_digits() -> None:
    """Thousands are grouped; what is not known is left empty."""
    assert "| a | 1,235 | 1.23 | 0.0123 |  |" in Table("t", "abcde", [("a", 1234.6, 1.234, 0.01234, None)]).markdown()


def test_tables_take_their_place_and_leave_the_rest_alone() -> None:
    """Only what stands between the marks is replaced."""
    page = "head\n<!-- a: measured -->\nold\n<!-- a: end -->\n<!-- b: measured -->\nkept\n<!-- b: end -->\n"
    assert placed(page, "a", "new\n") == page.replace("old", "new")
    with pytest.raises(ValueError, match="substring not found"):
        placed(page, "c", "new")


def test_the_page_has_a_place_for_every_story() -> None:
    """So that `--write` does not fail after a quarter of an hour."""
    for name in stories.STORIES:
        assert "x" in placed(PAGE.read_text(), name, "x")


def test_the_job_files_of_the_page_are_those_that_are_run() -> None:
    """Each is shown as it is."""
    files = [file.read_text() for file in PROGRAMS.glob("*/*.toml")]
    shown = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert shown
    assert [text for text in shown if text not in files] == []
