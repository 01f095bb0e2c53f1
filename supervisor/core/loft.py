"""Jobs that wait in the record alone, by number: a hundred thousand of them take a megabyte.

Owns in which order they come down: by falling priority, then age. What else is to be known of one, the record knows.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort


class Loft:
    """The numbers, by priority."""

    def __init__(self) -> None:
        self._rows: dict[int, array[int]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._rows.values()))

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and any(_at(row, number) is not None for row in self._rows.values())

    @property
    def highest(self) -> int | None:
        """The highest priority that waits here."""
        return max(self._rows, default=None)

    @property
    def newest(self) -> int | None:
        """The highest number."""
        return max((row[-1] for row in self._rows.values()), default=None)

    def numbers(self) -> frozenset[int]:
        """All of them."""
        return frozenset(number for row in self._rows.values() for number in row)

    def add(self, priority: int, number: int) -> None:
        """One more, not here yet."""
        insort(self._rows.setdefault(priority, array("q")), number)

    def first(self, most: int) -> list[int]:
        """Those of the highest priority that come down next, the oldest first; they are still here."""
        return [] if self.highest is None else list(self._rows[self.highest][:most])

    def discard(self, number: int) -> bool:
        """Takes one out; False where it is not here."""
        for priority, row in self._rows.items():
            if (at := _at(row, number)) is not None:
                del row[at]
                if not row:
                    del self._rows[priority]
                return True
        return False


def _at(row: array[int], number: int) -> int | None:
    at = bisect_left(row, number)
    return at if at < len(row) and row[at] == number else None
