"""What is measured as it is printed: tables in Markdown, and their places in a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).parents[3] / "docs" / "stories.md"


class Table(NamedTuple):
    """A caption, the names of the columns, and rows of cells; `notes` follow below."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str | float | None]]
    notes: str = ""

    def markdown(self) -> str:
        """As it is printed."""
        lines = [self.head, ["---"] * len(self.head), *([cell(value) for value in row] for row in self.rows)]
        body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return f"**{self.caption}**\n\n{body}\n" + (f"\n{self.notes}\n" if self.notes else "")


class Bar(NamedTuple):
    """A figure, and what was promised of it, if anything: `met` is None where there is no promise to keep."""

    what: str
    figure: str
    bar: str = ""
    met: bool | None = None


def bars(rows: Sequence[Bar]) -> Table:
    """The promised figures of a story."""
    words = {True: "yes", False: "**no**", None: ""}
    return Table("What was promised", ("measured", "figure", "bar", "met"),
                 [(row.what, row.figure, row.bar, words[row.met]) for row in rows])


def cell(value: str | float | None) -> str:
    """A number by three digits, words as they are."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def placed(page: str, name: str, text: str) -> str:
    """The page with `text` between `<!-- NAME: measured -->` and `<!-- NAME: end -->`; raises ValueError without."""
    first, last = f"<!-- {name}: measured -->\n", f"<!-- {name}: end -->"
    begin, end = page.index(first) + len(first), page.index(last)
    return page[:begin] + text + page[end:]
