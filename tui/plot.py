"""A filled graph in braille, block or ASCII characters, from plain numbers. Pure; knows no colour.

Buckets are aligned to absolute time, so that a finished column never changes: it only moves to the left.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_LEFT = (0x00, 0x40, 0x44, 0x46, 0x47)
_RIGHT = (0x00, 0x80, 0xA0, 0xB0, 0xB8)
_ASCII = " .:|#"
BRIDGED = 2
"""Buckets without a sample that are taken for jitter, not for a time in which nobody looked."""


def bucket(samples: Iterable[tuple[float, float]], now: float, seconds: float, number: int) -> list[float | None]:
    """The highest sample of each of the last `number` buckets, oldest first; None where nothing was seen."""
    newest = int(now // seconds)
    columns: list[float | None] = [None] * number
    for when, value in samples:
        index = number - 1 - (newest - int(when // seconds))
        if 0 <= index < number:
            before = columns[index]
            columns[index] = value if before is None else max(before, value)
    return _bridge(columns)


def _bridge(columns: list[float | None]) -> list[float | None]:
    """Short holes filled with what was before them: one sample a second does not hit every second."""
    last, age = None, 0
    for index, value in enumerate(columns):
        last, age = (last, age + 1) if value is None else (value, 0)
        near = columns[index + 1 : index + 1 + BRIDGED]
        if value is None and age <= BRIDGED and (not near or any(later is not None for later in near)):
            columns[index] = last
    return columns


def braille(columns: Sequence[float | None], height: int) -> list[str]:
    """Lines, the top one first, two columns of values (0…1) to a character and four dots to a line."""
    dots = [_dots(value, height * 4) for value in columns]
    if len(dots) % 2:
        dots.insert(0, 0)
    lines = []
    for row in range(height - 1, -1, -1):
        cells = []
        for left, right in zip(dots[::2], dots[1::2], strict=True):
            bits = _LEFT[_within(left, row)] | _RIGHT[_within(right, row)]
            cells.append(chr(0x2800 | bits) if bits else " ")
        lines.append("".join(cells))
    return lines


def ascii_columns(columns: Sequence[float | None], height: int) -> list[str]:
    """The same in plain ASCII: a character shows the higher of its two columns in four steps."""
    dots = [_dots(value, height * 4) for value in columns]
    if len(dots) % 2:
        dots.insert(0, 0)
    pairs = [max(pair) for pair in zip(dots[::2], dots[1::2], strict=True)]
    return ["".join(_ASCII[_within(value, row)] for value in pairs) for row in range(height - 1, -1, -1)]


def _dots(value: float | None, full: int) -> int:
    """How many dots high a value stands; what was seen always shows at least one."""
    return 0 if value is None else max(1, min(full, round(value * full)))


def _within(dots: int, row: int) -> int:
    return max(0, min(4, dots - row * 4))


def resample(values: Sequence[float], number: int) -> list[float]:
    """As many values as there are columns: several become their mean, one becomes several."""
    if not values or number < 1:
        return [0.0] * max(0, number)
    found = []
    for column in range(number):
        first = column * len(values) // number
        last = max(first + 1, (column + 1) * len(values) // number)
        found.append(sum(values[first:last]) / (last - first))
    return found
