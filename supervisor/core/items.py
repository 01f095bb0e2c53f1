"""Which item is which: index to parameters, and task number to a range of items. Both count from 0.

Reads the rule in `spec.Items`; never holds the items themselves. Where the daemon chooses the ranges no rule says which
task has which items: that is `guided`'s to know.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import msgspec

from gristmill.supervisor.core.spec import Axis, Items, Value


def values(axis: Axis) -> Sequence[Value]:
    """The values of an axis in turn, without writing out a range."""
    return range(*axis.range) if axis.range else axis.values


def names(items: Items) -> tuple[str, ...]:
    """The parameters that every item has."""
    if items.axes:
        return tuple(axis.name for axis in items.axes)
    return tuple(items.cases[0]) if items.cases else ()


def params(items: Items, index: int) -> dict[str, Value]:
    """The parameters of the item of this index; empty where an item is only its index. `IndexError` beyond `total`."""
    if not 0 <= index < items.total:
        raise IndexError(f"item {index} of {items.total}")
    points = items.total - len(items.cases) if items.axes else 0
    if index < points:
        return _point(items, _position(items.excluded, index))
    return dict(items.cases[index - points]) if items.cases else {}


def tasks(items: Items) -> int:
    """The number of tasks that the items make; `ValueError` where the daemon chooses the ranges."""
    return -(-items.total // _per_task(items))


def grown(items: Items, total: int) -> Items:
    """Open items, of which there are `total` now."""
    return msgspec.structs.replace(items, total=total)


def sealed(items: Items) -> Items:
    """Items to which no more come."""
    return msgspec.structs.replace(items, open="")


def span(items: Items, number: int) -> tuple[int, int]:
    """First item and number of items of a task; the last task may have fewer. `IndexError` beyond the last,
    `ValueError` where the daemon chooses the ranges."""
    each = _per_task(items)
    if not 0 <= number < tasks(items):
        raise IndexError(f"task {number} of {tasks(items)}")
    start = number * each
    return start, min(each, items.total - start)


def _per_task(items: Items) -> int:
    if items.per_task is None:
        raise ValueError("the ranges of these items are chosen as they are handed out")
    return items.per_task


def _position(excluded: Sequence[int], index: int) -> int:
    """The position in the whole product of the point that is the `index`-th of those kept."""
    # excluded[k] - k points are kept before the k-th that is left out, and that never falls with k.
    return index + bisect_right(range(len(excluded)), index, key=lambda k: excluded[k] - k)


def _point(items: Items, position: int) -> dict[str, Value]:
    if items.paired:
        return {axis.name: values(axis)[position] for axis in items.axes}
    found: dict[str, Value] = {}
    for axis in reversed(items.axes):  # the last runs fastest
        choices = values(axis)
        position, place = divmod(position, len(choices))
        found[axis.name] = choices[place]
    return {axis.name: found[axis.name] for axis in items.axes}
