"""What tasks gave back as rows, and rows as a table."""

from __future__ import annotations

from typing import Any

import pytest

from gristmill.supervisor.core import harvest
from gristmill.supervisor.core.spec import Axis, Items

GRID = Items(total=4, axes=(Axis(name="x", values=(1, 2, 3, 4)),))
CHOSEN = Items(total=1000, per_task=None)


def test_an_items_result_is_its_own_whatever_it_is() -> None:
    assert harvest.rows(GRID, "1/2", 2, 1, [7]) == [{"item": 2, "params": {"x": 3}, "task": "1/2", "result": [7]}]


def test_a_range_gives_one_entry_an_item_also_when_it_has_one_item() -> None:
    assert [(row["item"], row["result"]) for row in harvest.rows(CHOSEN, "1/0", 40, 3, ["a", None, {}])] == [
        (40, "a"), (41, None), (42, {})
    ]  # fmt: skip
    assert harvest.rows(CHOSEN, "1/9", 5, 1, [0.5])[0]["result"] == 0.5
    assert harvest.rows(CHOSEN, "1/9", 5, 1, {"a": 1})[0]["result"] == {"a": 1}


@pytest.mark.parametrize("result", [[1, 2], {"sum": 3}, 7, "abc"])
def test_anything_else_is_one_row_for_the_range(result: Any) -> None:
    assert harvest.rows(CHOSEN, "1/0", 40, 3, result) == [
        {"item": 40, "params": {}, "task": "1/0", "result": result, "start": 40, "count": 3}
    ]


def test_each_field_of_a_result_is_a_column_and_none_hides_another() -> None:
    row = {"item": 0, "params": {"x": 1, "item": "a"}, "task": "1/0", "result": {"loss": 0.5, "x": 9}}
    assert harvest.cells(row) == {"item": "a", "x": 1, "loss": 0.5, "result.x": 9}
    row = {"item": 3, "params": {"x": 1}, "task": "1/0", "result": {"item": 8}}
    assert harvest.cells(row) == {"item": 3, "x": 1, "result.item": 8}
    assert harvest.cells({"item": 0, "params": {"result": 2}, "task": "", "result": 3}) == {
        "item": 0, "result": 2, "result.result": 3
    }  # fmt: skip


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2, None], "int"), ([1, 0.5], "float"), ([True, None], "bool"), ([True, 1], "text"), (["a", 1], "text"),
        ([None], "text"), ([[1], [2]], "text"), ([1 << 70], "text"),
    ],
)  # fmt: skip
def test_a_column_is_of_the_kind_that_holds_all_of_its_values(values: list[Any], kind: str) -> None:
    columns = harvest.Columns()
    for value in values:
        columns.see({"a": value})
    assert columns.kinds == {"item": "int", "a": kind}


def test_columns_come_in_the_order_in_which_they_came_up() -> None:
    columns = harvest.Columns()
    columns.see({"item": 0, "x": 1, "loss": 2})
    columns.see({"item": 1, "x": 1, "more": "a"})
    assert list(columns.kinds) == ["item", "x", "loss", "more"]


def test_text_holds_anything() -> None:
    assert [harvest.typed(value, "text") for value in ("a", [1], None, True)] == ["a", "[1]", None, "true"]
    assert harvest.typed(3, "float") == 3.0
