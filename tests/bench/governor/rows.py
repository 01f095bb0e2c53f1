"""The rows of the table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Row(NamedTuple):
    """One measured figure; `met` is None where there is no bar."""

    scenario: str
    what: str
    figure: str
    bar: str = ""
    met: bool | None = None


HEAD = "| scenario | measured | figure | bar | met |\n|---|---|---|---|---|"


def table(rows: Iterable[Row]) -> str:
    """The rows as Markdown, without the head."""
    words = {True: "yes", False: "**no**", None: ""}
    return "\n".join(
        f"| {row.scenario} | {row.what} | {row.figure} | {row.bar} | {words[row.met]} |" for row in rows
    )
