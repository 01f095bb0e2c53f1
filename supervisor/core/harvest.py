"""What tasks gave back as rows, one an item: which item a part of a result belongs to, and rows as a table.

A task of one item gives that item's result. A task of a range may give a list of exactly as many entries as it has
items, one for each in turn; else its result is one row for the whole range, with `start` and `count`.
"""

from __future__ import annotations

import json
from typing import Any, TypeAlias

import msgspec

from gristmill.supervisor.core import items
from gristmill.supervisor.core.secrets import veiled
from gristmill.supervisor.core.spec import Items

Row: TypeAlias = dict[str, Any]
"""`item`, `params`, `task`, `result`; `start` and `count` as well where it is of a whole range."""


class Reference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands in the record for a result that was left a file: its path, and how long it is."""

    file: str
    bytes: int


_REFERENCE = msgspec.json.Decoder(Reference)


def reference(result: bytes) -> Reference | None:
    """The file that a result in the record refers to, None where it is the result itself.

    Tasks give back what they like: one may look like a reference, and name no file, or one that is not ours.
    """
    try:
        found = _REFERENCE.decode(result)
    except (msgspec.DecodeError, RecursionError):
        return None
    return None if "\0" in found.file else found


def rows(rule: Items, task: str, start: int, count: int, result: Any) -> list[Row]:
    """The rows of what one task gave back, decoded; `task` as `JOB/NUMBER`."""
    if count == 1:
        one = isinstance(result, list) and len(result) == 1 and rule.per_task != 1  # a range that has one item left
        params = veiled(items.params(rule, start))
        return [{"item": start, "params": params, "task": task, "result": result[0] if one else result}]
    whole = {"item": start, "params": {}, "task": task, "result": result, "start": start, "count": count}
    if not (isinstance(result, list) and len(result) == count):
        return [whole]
    return [
        {"item": item, "params": veiled(items.params(rule, item)), "task": task, "result": part}
        for item, part in enumerate(result, start)
    ]


def cells(row: Row) -> dict[str, Any]:
    """A row under the names of its columns: the item, its parameters, the fields of its result; a result that is no
    object stands in `result`, and so does the name of a field that something else has already."""
    found = {"item": row["item"], **({"count": row["count"]} if "count" in row else {}), **row["params"]}
    result = row["result"]
    if not isinstance(result, dict):
        found["result" if "result" not in found else "result.result"] = result
        return found
    for name, value in result.items():
        found[name if name not in found else f"result.{name}"] = value
    return found


def plain(value: Any) -> Any:
    """A cell as a table without nesting holds it: lists and objects as JSON."""
    return json.dumps(value) if isinstance(value, dict | list) else value


class Columns:
    """The columns of a table of which the rows come by one by one: their names in the order in which they came up, each
    with a kind that holds all of its values (`bool`, `int`, `float`, or `text`, which holds anything)."""

    def __init__(self) -> None:
        self._kinds: dict[str, str | None] = {"item": "int"}

    def see(self, found: dict[str, Any]) -> None:
        """One row of cells more."""
        for name, value in found.items():
            self._kinds[name] = _widened(self._kinds.get(name), value)

    @property
    def kinds(self) -> dict[str, str]:
        """As known by now; a column without any value is text."""
        return {name: kind or "text" for name, kind in self._kinds.items()}


def _widened(kind: str | None, value: Any) -> str | None:
    """The kind of a column that was of `kind` so far and has this value as well; None while it has none."""
    if value is None:
        return kind
    own = "bool" if isinstance(value, bool) else "int" if isinstance(value, int) and abs(value) < 1 << 63 else (
        "float" if isinstance(value, float) else "text")  # fmt: skip
    if kind is None or kind == own:
        return own
    return "float" if {kind, own} == {"int", "float"} else "text"


def typed(value: Any, kind: str) -> Any:
    """A cell as a column of this kind holds it."""
    if value is None or (kind == "text" and isinstance(value, str)):
        return value
    if kind == "text":
        return json.dumps(value)
    return float(value) if kind == "float" else value
