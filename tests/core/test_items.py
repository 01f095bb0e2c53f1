"""Which item is which: indexes and parameters are one-to-one, and tasks cover every item once."""

from __future__ import annotations

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.supervisor.core import items
from gristmill.supervisor.core.spec import Axis, Items, Value

GRID = Items(total=6, axes=(Axis(name="a", values=(1, 2, 3)), Axis(name="b", values=("x", "y"))))


def test_the_last_axis_runs_fastest() -> None:
    assert [tuple(items.params(GRID, index).values()) for index in range(6)] == [
        (1, "x"), (1, "y"), (2, "x"), (2, "y"), (3, "x"), (3, "y"),
    ]  # fmt: skip


def test_excluded_points_are_skipped() -> None:
    made = msgspec.structs.replace(GRID, total=3, excluded=(0, 1, 4))
    assert [tuple(items.params(made, index).values()) for index in range(3)] == [(2, "x"), (2, "y"), (3, "y")]


def test_pairs_and_ranges() -> None:
    made = Items(
        total=2, paired=True, axes=(Axis(name="a", range=(0, 3, 1)), Axis(name="b", values=(7, 8, 9))), excluded=(1,)
    )
    assert [items.params(made, index) for index in range(2)] == [{"a": 0, "b": 7}, {"a": 2, "b": 9}]


def test_cases_come_after_points() -> None:
    made = msgspec.structs.replace(GRID, total=7, cases=({"a": 9, "b": "z"},))
    assert items.params(made, 5) == {"a": 3, "b": "y"}
    assert items.params(made, 6) == {"a": 9, "b": "z"}


def test_a_count_has_no_parameters() -> None:
    assert items.params(Items(total=10**9), 10**9 - 1) == {}


@pytest.mark.parametrize("index", [-1, 6])
def test_no_item_beyond_the_last(index: int) -> None:
    with pytest.raises(IndexError):
        items.params(GRID, index)


def test_a_huge_grid_is_read_at_once() -> None:
    made = Items(total=10**9, axes=tuple(Axis(name=name, range=(0, 1000, 1)) for name in "abc"))
    assert items.params(made, 123_456_789) == {"a": 123, "b": 456, "c": 789}


@st.composite
def grids(draw: st.DrawFn) -> tuple[Items, list[dict[str, Value]]]:
    """A grid, and its points as a plain product gives them."""
    names = draw(st.lists(st.sampled_from("abcd"), min_size=1, max_size=4, unique=True))
    axes = []
    for name in names:
        if draw(st.booleans()):
            axes.append(Axis(name=name, range=(1, 1 + 2 * draw(st.integers(1, 5)), 2)))
        else:
            axes.append(Axis(name=name, values=tuple(range(draw(st.integers(1, 5))))))
    points = [dict(zip(names, point, strict=True)) for point in itertools.product(*map(items.values, axes))]
    out = draw(st.sets(st.integers(0, len(points) - 1), max_size=len(points) - 1))
    cases: tuple[dict[str, Value], ...] = tuple(
        dict.fromkeys(names, -1 - extra) for extra in range(draw(st.integers(0, 2)))
    )
    kept: list[dict[str, Value]] = [dict(point) for place, point in enumerate(points) if place not in out]
    made = Items(total=len(kept) + len(cases), axes=tuple(axes), excluded=tuple(sorted(out)), cases=cases)
    return made, [*kept, *cases]


@given(grids())
def test_index_and_parameters_are_one_to_one(drawn: tuple[Items, list[dict[str, Value]]]) -> None:
    made, expected = drawn
    found = [items.params(made, index) for index in range(made.total)]
    assert found == expected
    assert len({tuple(point.values()) for point in found}) == made.total


@given(st.integers(1, 5000), st.integers(1, 600))
def test_tasks_cover_every_item_once(total: int, per_task: int) -> None:
    made = Items(total=total, per_task=per_task)
    covered: list[int] = []
    for number in range(items.tasks(made)):
        start, count = items.span(made, number)
        assert 1 <= count <= per_task
        covered += range(start, start + count)
    assert covered == list(range(total))
    for number in (-1, items.tasks(made)):
        with pytest.raises(IndexError):
            items.span(made, number)
