"""What is found wrong in a file while it is read: collected, located, and put into words a user can act on.

Owns the collector and the wording of keys and values; knows no key and no rule. All foreign text in a message
passes `shown` or `dotted`, so that a message is one line and moves no cursor.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from typing import TypeAlias, TypeVar

from gristmill.supervisor.core.errors import Problem

Path: TypeAlias = tuple[str | int, ...]
"""Where in a document: the keys from the top, and indexes (from 0) in lists."""

T = TypeVar("T")

MOST = 100
"""Problems told of one file; a file with more has one cause or is no job file."""


class Fault(ValueError):  # noqa: N818 - the file's fault, no error of ours
    """One thing that is wrong with a value, not yet tied to a place."""

    def __init__(self, what: str, mend: str) -> None:
        self.what = what
        self.mend = mend
        super().__init__(f"{what} – {mend}")


class Findings:
    """The problems of one file, with the places its keys stand at."""

    def __init__(self, places: Mapping[Path, tuple[int, int]] | None = None) -> None:
        self.places = places or {}
        self._problems: list[Problem] = []
        self._paths: set[Path] = set()
        self._more = 0

    def add(self, path: Path, what: str, mend: str) -> None:
        """Note a problem at the key of `path`, or at the nearest key above it that stands in the file."""
        self._paths.add(path)
        if self.full:
            self._more += 1
        else:
            self.add_at(*place(self.places, path), what, mend)

    def add_at(self, line: int, column: int, what: str, mend: str) -> None:
        """Note a problem at a line and column, which count from 1."""
        if len(self._problems) < MOST:
            self._problems.append(Problem(line, column, what, mend))
        else:
            self._more += 1

    def take(self, path: Path, make: Callable[[], T], default: T) -> T:
        """What `make` returns; or `default`, with its `Fault` noted at `path` under the key's name."""
        try:
            return make()
        except Fault as fault:
            self.add(path, f"{dotted(path)}: {fault.what}", fault.mend)
            return default

    def touched(self, *path: str | int) -> bool:
        """Whether a problem was noted at this path or below it, so that what follows from it stays unsaid."""
        return any(found[: len(path)] == path for found in self._paths)

    @property
    def full(self) -> bool:
        """Whether further problems are only counted: no use in looking for their mends."""
        return len(self._problems) >= MOST

    def problems(self) -> tuple[Problem, ...]:
        """All problems in the order of the file, those of the file as a whole first."""
        found = sorted(self._problems, key=lambda problem: (problem.line, problem.column))
        if self._more:
            found.append(Problem(0, 0, f"{self._more:,} more problems", "mend the first ones, then check again"))
        return tuple(found)


def place(places: Mapping[Path, tuple[int, int]], path: Path) -> tuple[int, int]:
    """Line and column of a path, or of the nearest part above it; (0, 0) for the file as a whole."""
    for length in range(len(path), 0, -1):
        if path[:length] in places:
            return places[path[:length]]
    return 0, 0


def shown(text: str, limit: int = 60) -> str:
    """Foreign text in quotes, on one line, cut to `limit` characters, with nothing in it that a terminal obeys."""
    return quoted(text if len(text) <= limit else text[: limit - 1] + "…")


def quoted(text: str) -> str:
    """A text as a TOML string."""
    return '"' + "".join(char if char.isprintable() and char not in '"\\' else escaped(char) for char in text) + '"'


def escaped(char: str) -> str:
    """A character as TOML escapes it."""
    known = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}
    return known.get(char) or (f"\\u{ord(char):04X}" if ord(char) < 0x10000 else f"\\U{ord(char):08X}")


def dotted(path: Path) -> str:
    """A path as a user would write it: `retry.on`, `grid.lr (value 3)`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f" (value {part + 1})"
        else:
            bare = part if re.fullmatch(r"[A-Za-z0-9_-]{1,100}", part) else shown(part)
            text += f".{bare}" if text else bare
    return text


def worded(value: object) -> str:
    """A value of a TOML document in words, short."""
    if isinstance(value, str):
        return f"the text {shown(value, 40)}"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if abs(value) < 2**63 else "a number too large"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, date | datetime | time):
        return "a date or time"
    return "of a kind unknown here"


def unfit(value: object) -> str | None:
    """What is wrong with a scalar whatever its key, or None: what JSON, a shell or SQLite can't carry."""
    if isinstance(value, str):
        if "\0" in value:
            return "holds a NUL character"
    elif isinstance(value, int):
        if abs(value) >= 2**63:
            return "is a number too large"
    elif isinstance(value, float) and not math.isfinite(value):
        return f"is {value!r}, no number"
    return None
