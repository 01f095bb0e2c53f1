"""How wide columns are, which ones give way on a narrow screen, and how text is cut to cells. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size

from gristmill.supervisor.core.sanitise import safe
from gristmill.tui.marks import Run, Runs

GAP = 1


@dataclass(frozen=True, slots=True)
class Column:
    """A column: at least `width` cells, at most `most`; those with the highest `rank` give way first."""

    title: str
    width: int
    most: int = 0
    right: bool = False
    rank: int = 0
    share: int = 1


def fit(columns: Sequence[Column], width: int) -> list[tuple[int, int]]:
    """The columns that find room in `width` cells, as (index, width), in their order."""
    kept = list(range(len(columns)))

    def used() -> int:
        return sum(columns[index].width + GAP for index in kept) - GAP

    while used() > width and len(kept) > 1:
        kept.remove(max(kept, key=lambda index: (columns[index].rank, index)))
    widths = {index: columns[index].width for index in kept}
    spare = width - used()
    growing = [index for index in kept if columns[index].most > columns[index].width]
    while spare > 0 and growing:
        shares = sum(columns[index].share for index in growing)
        given = 0
        for index in list(growing):
            room = columns[index].most - widths[index]
            more = min(room, max(1, spare * columns[index].share // shares), spare - given)
            widths[index] += more
            given += more
            if more == room:
                growing.remove(index)
        spare -= given
    return [(index, widths[index]) for index in kept]


def row(columns: Sequence[Column], fitted: Sequence[tuple[int, int]], draws: Sequence[Callable[[int], Runs]],
        mark: str) -> Runs:  # fmt: skip
    """One line of these columns: what each draws within its cells, and a gap behind it."""
    out: list[Run] = []
    for index, cells in fitted:
        out += [*cut(draws[index](cells), cells, mark, columns[index].right), (" " * GAP, "text")]
    return tuple(out)


def said(text: str, tone: str) -> Callable[[int], Runs]:
    """What draws this text, however wide the column is."""
    return lambda _: ((text, tone),)


def width_of(runs: Runs) -> int:
    """The cells that these runs take once they are safe."""
    return sum(cell_len(safe(text)) for text, _ in runs)


def cut(runs: Runs, width: int, mark: str = "…", right: bool = False) -> Runs:
    """Safe runs of exactly `width` cells: padded, or cut with a mark at the end."""
    clean: list[Run] = [(safe(text), tone) for text, tone in runs if text]
    total = sum(cell_len(text) for text, _ in clean)
    if total <= width:
        pad = (" " * (width - total), clean[-1][1] if clean else "text")
        if total == width:
            return tuple(clean)
        return (pad, *clean) if right else (*clean, pad)
    out: list[Run] = []
    left = max(0, width - 1)
    for text, tone in clean:
        if (cells := cell_len(text)) > left:
            out.append((set_cell_size(text, left) + mark, tone))
            break
        out.append((text, tone))
        left -= cells
    return tuple(out) if width > 0 else ()


def spread(left: Runs, right: Runs, width: int) -> Runs:
    """One line with a left and a right part; the left one is cut where they would meet."""
    room = width - width_of(right)
    if room < 8:
        return cut(left, width)
    return (*cut(left, room), *right)


def rule(title: Runs, right: Runs, width: int, line: str) -> Runs:
    """A title inside a horizontal rule: ` Workers  6 of 8 busy ──────── sort: number ─`."""
    shown = ((" ", "text"), *title, (" ", "text"))
    tail = ((" ", "text"), *right, (" ", "text")) if right else ()
    room = width - width_of(shown) - width_of(tail)
    if room < 2:
        return cut(shown, width)
    return (*shown, (line * (room - 1), "faint"), *tail, (line, "faint"))
