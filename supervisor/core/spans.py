"""Sets of items as the fewest ranges: ten million items of which nothing is missing are one pair of numbers.

Knows numbers only; what an item is, and why one is in a set, is its owner's.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator


class Spans:
    """A set of whole numbers, kept as ranges that neither overlap nor touch; all ends are exclusive."""

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        self.total = 0
        """How many numbers are in it."""
        for start, end in ranges:
            self.add(start, end)

    def __len__(self) -> int:
        """How many ranges it takes."""
        return len(self._starts)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Its ranges as (start, end), ascending."""
        return zip(self._starts, self._ends, strict=True)

    def add(self, start: int, end: int) -> None:
        """Puts start…end-1 in; what is in already stays."""
        if start >= end:
            return
        first, last = bisect_left(self._ends, start), bisect_right(self._starts, end)
        if first < last:  # those that it overlaps or touches become one with it
            start, end = min(start, self._starts[first]), max(end, self._ends[last - 1])
        self._replace(first, last, [(start, end)])

    def remove(self, start: int, end: int) -> None:
        """Takes start…end-1 out; what is not in is passed over."""
        if start >= end:
            return
        first, last = bisect_right(self._ends, start), bisect_left(self._starts, end)
        if first < last:
            edges = [(self._starts[first], start), (end, self._ends[last - 1])]
            self._replace(first, last, [(low, high) for low, high in edges if low < high])

    def take(self, most: int) -> tuple[int, int]:
        """Takes the first numbers out, `most` at most and all of one range; returns (start, end). IndexError if empty.
        """
        start, end = self._starts[0], min(self._ends[0], self._starts[0] + most)
        self.remove(start, end)
        return start, end

    def _replace(self, first: int, last: int, ranges: list[tuple[int, int]]) -> None:
        self.total -= sum(self._ends[first:last]) - sum(self._starts[first:last])
        self.total += sum(end - start for start, end in ranges)
        self._starts[first:last] = [start for start, _ in ranges]
        self._ends[first:last] = [end for _, end in ranges]
