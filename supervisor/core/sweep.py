"""A sweep by its parameters: for each value of each, how many items ended well and badly, how long they took, the
memory they reached, and the mean of one number that they gave back.

Pure; fed one ended item after the other. An axis of many numbers is told in ranges of values, one of many words not
at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from gristmill.supervisor.core import items
from gristmill.supervisor.core.answers import AxisView, SweepView, ValueView
from gristmill.supervisor.core.parameters import Same, same, text
from gristmill.supervisor.core.secrets import veiled
from gristmill.supervisor.core.spec import Items, Value

VALUES_MOST = 24
"""Values of one axis that are told one by one."""
RANGES = 8
AXES_MOST = 12
PREFERRED = ("score", "accuracy", "acc", "auc", "f1", "loss", "val_loss", "error", "mse", "rmse", "value", "result")
"""Fields of results that are taken for the one that matters, where nobody says which."""


class Ended(NamedTuple):
    """An item that is over: its index, whether it ended well, wall time in seconds, peak memory in bytes, result."""

    item: int
    good: bool
    wall_s: float | None
    memory_bytes: int | None
    result: Any = None


@dataclass(slots=True)
class _Mean:
    total: float = 0.0
    count: int = 0

    def add(self, value: float | None) -> None:
        if value is not None:
            self.total, self.count = self.total + value, self.count + 1

    @property
    def value(self) -> float | None:
        return self.total / self.count if self.count else None


@dataclass(slots=True)
class _Sum:
    good: int = 0
    bad: int = 0
    memory: int = 0
    wall: _Mean = field(default_factory=_Mean)
    result: _Mean = field(default_factory=_Mean)


class Sweep:
    """The account. `wanted` names the field of results to be averaged; "" lets it be chosen."""

    def __init__(self, rule: Items, wanted: str = "") -> None:
        self._rule, self._wanted = rule, wanted
        self._labels = {name: label for name, values in _axes(rule) if (label := _labelled(values)) is not None}
        for name, label in self._labels.items():
            label.update({one: str(veiled({name: value})[name]) for one, value in label.items()})
        self._sums: dict[str, dict[str, _Sum]] = {
            name: {text: _Sum() for text in dict.fromkeys(labels.values())} for name, labels in self._labels.items()
        }
        self._fields: dict[str, None] = {}
        self._seen = 0

    def add(self, ended: Iterable[Ended]) -> None:
        """Some more items."""
        for one in ended:
            self._seen += 1
            numbers = _numbers(one.result)
            if len(self._fields) < 100:
                self._fields.update(dict.fromkeys(numbers))
            self._wanted = self._wanted or _chosen(numbers)
            for name, value in items.params(self._rule, one.item).items():
                label = self._labels.get(name, {}).get(same(value))
                if label is not None:
                    _count(self._sums[name][label], one, numbers.get(self._wanted))

    def view(self, of: int) -> SweepView:
        """What it came to; `of` items have ended in all."""
        axes = [
            AxisView(name=name, values=[
                ValueView(value=label, done=one.good, failed=one.bad, wall_s=one.wall.value,
                          memory_peak_bytes=one.memory or None, result=one.result.value)
                for label, one in found.items()
            ])
            for name, found in self._sums.items()
        ]  # fmt: skip
        return SweepView(axes=axes, result=self._wanted, fields=list(self._fields), seen=self._seen, of=of)


def _count(one: _Sum, ended: Ended, result: float | None) -> None:
    one.good += ended.good
    one.bad += not ended.good
    one.memory = max(one.memory, ended.memory_bytes or 0)
    if ended.good:
        one.wall.add(ended.wall_s)
        one.result.add(result)


def _axes(rule: Items) -> list[tuple[str, list[Value]]]:
    """Each parameter with the values that it takes, in order."""
    if rule.axes:
        found = {axis.name: list(items.values(axis)[: 100_000]) for axis in rule.axes}
    else:
        found = {name: [] for name in items.names(rule)}
    for case in rule.cases:
        for name, value in case.items():
            if name in found:
                found[name].append(value)
    return list(found.items())[:AXES_MOST]


def _labelled(values: list[Value]) -> dict[Same, str] | None:
    """The label of each value; None where an axis has too many to be told."""
    distinct = list({same(value): value for value in values}.values())
    if len(distinct) <= VALUES_MOST:
        return {same(value): text(value) for value in distinct}
    numbers = [value for value in distinct if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) < len(distinct):
        return None
    numbers.sort()
    labels = {}
    for part in range(RANGES):
        few = numbers[part * len(numbers) // RANGES : (part + 1) * len(numbers) // RANGES]
        labels.update(dict.fromkeys(map(same, few), f"{text(few[0])}…{text(few[-1])}"))
    return labels


def _numbers(result: Any) -> Mapping[str, float]:
    """The numbers of a result by name; one that is a number itself is called `result`."""
    if isinstance(result, Mapping):
        return {str(name): float(value) for name, value in result.items() if _is_number(value)}
    return {"result": float(result)} if _is_number(result) else {}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def _chosen(numbers: Mapping[str, float]) -> str:
    return next((name for name in PREFERRED if name in numbers), next(iter(numbers), ""))


def decode(data: bytes) -> Any:
    """A result as the store has it."""
    return msgspec.json.decode(data)
