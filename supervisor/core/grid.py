"""A `[grid]` made into the rule that `items` reads.

A grid is the product of its parameters in the order of the file, the last running fastest; or, with `zip = true`,
their i-th values together. `exclude` drops each point that agrees with one of its tables. `include` then adds whole
points after the others. Unlike in some CI systems, `include` changes no point that is there: each of its tables names
every parameter, and a point that the grid has already is refused rather than run twice.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from typing import Any, TypeAlias

from msgspec import UNSET

from gristmill.supervisor.core import items, keys, parameters
from gristmill.supervisor.core.findings import Fault, Findings, dotted, unfit, worded
from gristmill.supervisor.core.parameters import Same, same
from gristmill.supervisor.core.spec import Axis, Items, Value

MOST = 1_000_000_000
"""Items of one job."""
MOST_VALUES = 100_000
"""Values that are written out: those of one parameter, and the points that `exclude` drops."""
MOST_WRITTEN = 500_000
"""Values that are written out of all parameters together."""
MOST_WORK = 5_000_000
"""Comparisons that `exclude` and `include` may cost: a second or so."""

Point: TypeAlias = dict[str, Value]
_OPTIONS = keys.names(keys.GridTable)


def read(table: dict[str, Any], layout: keys.GridTable, findings: Findings) -> Items:
    """The items of a `[grid]`, one a task; problems are noted, and what is right is made of the rest."""
    written = {name: value for name, value in table.items() if name not in _OPTIONS}
    axes = _axes(written if len(written) <= parameters.MOST else {}, layout.zip, findings)
    included = tuple(layout.include) if layout.include is not UNSET else ()
    for name, fault in parameters.faults(written or (included[0] if included else ())):
        findings.add(("grid", name), fault.what, fault.mend)
    if not written and not included and not findings.touched("grid"):
        findings.add(("grid",), "a grid without a parameter", "add one, such as lr = [0.1, 0.2], or remove [grid]")
    if findings.touched("grid"):
        return Items(axes=axes)
    return findings.take(("grid",), partial(_items, axes, layout, included, findings), Items(axes=axes))


def _axes(written: dict[str, Any], repeats: bool, findings: Findings) -> tuple[Axis, ...]:
    axes: list[Axis] = []
    room = MOST_WRITTEN
    for name, value in written.items():
        axis = findings.take(("grid", name), partial(_axis, name, value, repeats), None)
        if axis is None:
            continue
        room -= len(axis.values)
        if room < 0:
            what = f"more than {MOST_WRITTEN:,} values in all parameters together"
            findings.add(("grid", name), what, "write ranges of whole numbers, or put the values into a file")
            break
        axes.append(axis)
    return tuple(axes)


def _items(axes: tuple[Axis, ...], layout: keys.GridTable, included: tuple[Point, ...], findings: Findings) -> Items:
    lengths = {axis.name: len(items.values(axis)) for axis in axes}
    if layout.zip and len(set(lengths.values())) > 1:
        counts = ", ".join(f"{dotted((name,))} has {length:,}" for name, length in lengths.items())
        raise Fault(f"zip needs lists of one length: {counts}", "make them equal, or remove zip")
    points = 0 if not axes else min(lengths.values()) if layout.zip else math.prod(lengths.values())
    if points + len(included) > MOST:
        raise Fault(f"{points:,} items are more than the {MOST:,} of one job", "leave out values, or make several jobs")
    wrong = parameters.too_long({axis.name: max(axis.values, key=_length) for axis in axes if axis.values})
    if wrong:
        raise wrong
    product = _Product(axes, layout.zip)
    for number, rule in enumerate(layout.exclude if layout.exclude is not UNSET else ()):
        findings.take(("grid", "exclude", number), partial(product.exclude, rule), None)
    left = points - len(product.excluded)
    if left + len(included) == 0:
        raise Fault("exclude leaves no point", "remove one of its tables")
    for number, point in enumerate(included):
        findings.take(("grid", "include", number), partial(product.include, point), None)
    excluded = tuple(sorted(product.excluded))
    return Items(total=left + len(included), axes=axes, paired=layout.zip, excluded=excluded, cases=included)


def _axis(name: str, value: object, repeats: bool) -> Axis:
    """One parameter of the grid; raises `Fault`. `repeats`: a value may come again, as it may in pairs."""
    if isinstance(value, dict):
        return _range(name, value)
    if not isinstance(value, list):
        if name in keys.names(keys.JobFile):
            mend = f"move {name} above the first [table]: what stands below [grid] is a parameter"
        elif isinstance(value, int | float) and not unfit(value):
            mend = f"write {dotted((name,))} = [{parameters.text(value)}]"
        else:
            mend = "write a list of values, or {range = [first, end]}"
        raise Fault(f"{worded(value)}, where a parameter takes a list", mend)
    if not value:
        raise Fault("an empty list leaves no item", "give at least one value, or remove the parameter")
    seen: set[Same] = set()
    for number, each in enumerate(value, 1):
        wrong = parameters.misfit(each)
        if wrong:
            raise Fault(f"value {number}: {wrong.what}", wrong.mend)
        if same(each) in seen and not repeats:
            mend = "remove it; to repeat, add a parameter such as repeat = {range = [0, 2]}"
            raise Fault(f"value {number}, {worded(each)}, is there already", mend)
        seen.add(same(each))
    return Axis(name=name, values=tuple(value))


def _range(name: str, table: dict[str, Any]) -> Axis:
    ends = table.get("range")
    if set(table) != {"range"} or not isinstance(ends, list) or not 2 <= len(ends) <= 3:
        raise Fault("neither a list nor a range", "write {range = [first, end]} or {range = [first, end, step]}")
    for each in ends:
        if isinstance(each, bool) or not isinstance(each, int | float) or unfit(each):
            raise Fault(f"a range with {worded(each)}", "write plain numbers, such as {range = [0, 10]}")
    first, end, step = ends if len(ends) == 3 else (*ends, 1)
    if step == 0:
        raise Fault("a range with a step of 0 never ends", "write a step such as 1")
    whole = all(isinstance(each, int) for each in (first, end, step))
    start, size = Decimal(str(first)), Decimal(str(step))
    count = -(-(end - first) // step) if whole else math.ceil((Decimal(str(end)) - start) / size)
    if count <= 0:
        mend = "write a later end; it is left out itself" if end == first else "swap the ends, or the step's sign"
        raise Fault(f"the range from {first} to {end} by {step} is empty", mend)
    if whole and count <= MOST:
        return Axis(name=name, range=(first, end, step))
    if count > MOST_VALUES:
        most = MOST if whole else MOST_VALUES
        raise Fault(f"{count:,} values are more than the {most:,} of one parameter", "write a larger step")
    return Axis(name=name, values=tuple(float(start + number * size) for number in range(count)))


def _length(value: Value) -> int:
    return len(value) if isinstance(value, str) else 0


class _Product:
    """The points of a grid while it is read: which are left out, and which are added."""

    def __init__(self, axes: tuple[Axis, ...], paired: bool) -> None:
        self.choices = {axis.name: items.values(axis) for axis in axes}
        self.paired = paired
        self.excluded: set[int] = set()
        self._added: set[frozenset[tuple[str, Same]]] = set()
        self._names = tuple(self.choices)
        self._dropped = 0
        self._work = 0
        self._rules: set[frozenset[tuple[str, Same]]] = set()
        self._index: dict[str, dict[Same, list[int]]] = {}
        for name, values in self.choices.items():
            if not isinstance(values, range):
                index = self._index[name] = {}
                for place, value in enumerate(values):
                    index.setdefault(same(value), []).append(place)

    def exclude(self, rule: Point) -> None:
        """Leave out the points that agree with a rule; raises `Fault`."""
        self._spend(len(rule))
        if not rule:
            raise Fault("an empty table agrees with every point", "name the parameters of the points to leave out")
        for name, value in rule.items():
            if name not in self.choices:
                raise Fault(f"{dotted((name,))} is no parameter of the grid", f"use {self._known()}")
            if not self._places(name, value):
                what = f"agrees with no point: {dotted((name,))} is never {worded(value)}"
                raise Fault(what, "mend the value, or remove the table")
        whole = frozenset((name, same(value)) for name, value in rule.items())
        if whole in self._rules:
            return
        self._rules.add(whole)
        hits = self._hits(rule)
        self._dropped += min(map(len, hits)) if self.paired else math.prod(map(len, hits))
        if self._dropped > MOST_VALUES:
            raise Fault(f"drops more than {MOST_VALUES:,} points", "leave the values out of the lists instead")
        found = self._positions(rule, hits)
        if not found:
            raise Fault("agrees with no point", "mend the values, or remove the table")
        self.excluded |= found

    def include(self, point: Point) -> None:
        """Add a whole point; raises `Fault`."""
        self._spend(len(point))
        self._names = self._names or tuple(point)
        for name in self._names:
            if name not in point:
                raise Fault(f"lacks {dotted((name,))}", f"give every parameter: {self._known()}")
        for name, value in point.items():
            if name not in self._names:
                raise Fault(f"{dotted((name,))} is no parameter of the grid", f"use {self._known()}")
            wrong = parameters.misfit(value)
            if wrong:
                raise Fault(f"{dotted((name,))}: {wrong.what}", wrong.mend)
        wrong = parameters.too_long(point)
        if wrong:
            raise Fault(wrong.what, wrong.mend)
        whole = frozenset((name, same(value)) for name, value in point.items())
        known = self.choices and self._positions(point, self._hits(point)) - self.excluded
        if not point or whole in self._added or known:
            raise Fault("no new point" if point else "an empty table is no point", "remove it")
        self._added.add(whole)

    def _spend(self, steps: int) -> None:
        """Counts work; raises `Fault` once it is more than a job file may cost."""
        self._work += steps
        if self._work > MOST_WORK:
            raise Fault("too many points to compare", "write the items into a file, and give it as [items] file")

    def _known(self) -> str:
        return ", ".join(dotted((name,)) for name in self._names)

    def _places(self, name: str, value: Value) -> Sequence[int]:
        """Where among the values of a parameter this one stands."""
        choices = self.choices[name]
        if not isinstance(choices, range):
            return self._index[name].get(same(value), ())
        whole = not isinstance(value, bool | str) and value == int(value) and int(value) in choices
        return (choices.index(int(value)),) if whole else ()

    def _hits(self, rule: Point) -> list[Sequence[int]]:
        """For each parameter, where its value agrees; in pairs, only for those that the rule names."""
        if self.paired:
            return [self._places(name, value) for name, value in rule.items()]
        self._spend(len(self.choices))
        return [
            self._places(name, rule[name]) if name in rule else range(len(values))
            for name, values in self.choices.items()
        ]

    def _positions(self, rule: Point, hits: list[Sequence[int]]) -> set[int]:
        if self.paired:
            few = min(hits, key=len)
            self._spend(len(few) * len(rule))
            wanted = [(self.choices[name], same(value)) for name, value in rule.items()]
            return {place for place in few if all(same(values[place]) == one for values, one in wanted)}
        found, stride = [0], 1
        for hit, values in zip(reversed(hits), reversed(self.choices.values()), strict=True):
            found = [place * stride + rest for place, rest in itertools.product(hit, found)]
            stride *= len(values)
        return set(found)
