"""Where in a TOML text each key stands, which `tomllib` does not say.

Reads valid TOML rightly and any other text without harm: it never raises but for `TooDeepError`, and takes time
linear in the text. So it may run before `tomllib`, and keeps from it what that would take hours for (a key of
100,000 dots) or recurse too far into. It says nothing about whether the text is valid.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Iterator

from gristmill.supervisor.core.findings import Path

DEEPEST = 16
"""Levels of tables and lists that a file may nest, and parts that one dotted key may have."""
ELEMENTS = 1000
"""Elements of one list that get places of their own; a problem further on is shown at the list's key."""

_SPACE = re.compile(r"[ \t]*")
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_LINE = re.compile(r"[^\n]*")
_PART = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
_TEXT = re.compile(
    r"""
    "{3} (?: [^"\\] | \\. | "(?!"") )* "{3,5}    # up to two quotes may stand before the closing three
    | '{3} (?: [^'] | '(?!'') )* '{3,5}
    | " (?: [^"\\\n] | \\. )* "
    | ' [^'\n]* '
    """,
    re.DOTALL | re.VERBOSE,
)
"""No two choices begin alike, so that it stays linear; possessive forms (`*+`) would say so, and match wrongly here on
Python 3.11.2, which is Debian 12's."""
_OTHER = re.compile(r"[^,\[\]{}#\n]+")
_RUN = re.compile(
    r"""(?: [^\[\]{}"'#]+ | \{ [^\[\]{}"'#\n]* \} | "(?!"") [^"\\\n]* " | '(?!'') [^'\n]* ' ){1,500}""", re.VERBOSE
)
"""Plain elements of a list with all between them, for those that get no places."""


class TooDeepError(ValueError):
    """Nested deeper than any job file needs to be."""

    def __init__(self, line: int, column: int) -> None:
        self.line = line
        self.column = column
        super().__init__(f"nested more than {DEEPEST} deep")


def places(text: str) -> dict[Path, tuple[int, int]]:
    """Line and column, from 1, of each key's first mention, and of the first elements of each list."""
    reader = _Reader(text)
    reader.document()
    return {path: reader.place(offset) for path, offset in reader.found.items()}


class _Reader:
    """One pass over a text; `at` is the offset reached."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.found: dict[Path, int] = {}
        self.lines = [0, *(match.end() for match in re.finditer("\n", text))]
        self.lengths: dict[Path, int] = {}  # of arrays of tables

    def place(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self.lines, offset)
        return line, offset - self.lines[line - 1] + 1

    def document(self) -> None:
        table: Path = ()
        while self.at < len(self.text):
            self.skip(_BLANK)
            if self.starts("["):
                table = self.header()
            elif self.at < len(self.text):
                self.pair(table, 0)
            self.skip(_LINE)

    def header(self) -> Path:
        """`[a.b]` or `[[a.b]]`: the table that the pairs below it belong to."""
        array = self.starts("[[")
        self.at += 2 if array else 1
        path: Path = ()
        offset = self.at
        for key, offset in self.key():
            path = (*path, key)
            self.found.setdefault(path, offset)
            if path in self.lengths:  # a header goes through the newest table of each array above it
                path = (*path, self.lengths[path] - 1)
        if not array or not path:
            return path
        if isinstance(path[-1], int):
            path = path[:-1]
        number = self.lengths.get(path, 0)
        self.lengths[path] = number + 1
        self.found[(*path, number)] = offset
        return (*path, number)

    def pair(self, table: Path, depth: int) -> None:
        """`a.b = value`."""
        path = table
        for key, offset in self.key():
            path = (*path, key)
            self.found.setdefault(path, offset)
        if path != table and self.starts("="):
            self.at += 1
            self.skip(_SPACE)
            self.value(path, depth)

    def key(self) -> Iterator[tuple[str, int]]:
        """The parts of a dotted key with their offsets; stops after it, on what is not a key."""
        self.skip(_SPACE)
        for count in range(len(self.text)):
            match = _PART.match(self.text, self.at)
            if not match:
                return
            if count >= DEEPEST:
                raise TooDeepError(*self.place(self.at))
            self.at = match.end()
            yield _plain(match.group()), match.start()
            self.skip(_SPACE)
            if not self.starts("."):
                return
            self.at += 1
            self.skip(_SPACE)

    def value(self, path: Path, depth: int) -> None:
        if depth >= DEEPEST:
            raise TooDeepError(*self.place(self.at))
        if self.starts("["):
            self.elements(path, depth)
        elif self.starts("{"):
            self.at += 1
            while self.between("}"):
                before = self.at
                self.pair(path, depth + 1)
                if self.at == before:  # no key: not TOML
                    return
        else:
            self.skip(_TEXT if self.text[self.at : self.at + 1] in ('"', "'") else _OTHER)

    def elements(self, path: Path, depth: int) -> None:
        """`[1, 2, 3]`, over any number of lines."""
        self.at += 1
        number = 0
        while self.between("]"):
            before = self.at
            if number < ELEMENTS:
                self.found[(*path, number)] = self.at
            else:
                self.skip(_RUN)
                if self.at > before:
                    continue
            self.value((*path, number), depth + 1)
            number += 1
            if self.at == before:  # no value: not TOML
                return

    def between(self, end: str) -> bool:
        """Go past commas, blanks and comments; whether something comes before `end`, which is passed too."""
        self.skip(_BLANK)
        if self.starts(","):
            self.at += 1
            self.skip(_BLANK)
        if self.starts(end):
            self.at += 1
            return False
        return self.at < len(self.text)

    def starts(self, sign: str) -> bool:
        return self.text.startswith(sign, self.at)

    def skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self.text, self.at)
        if match:
            self.at = match.end()


def _plain(part: str) -> str:
    """The key that a part of a dotted key stands for: quotes off, escapes read."""
    if part[0] == "'":
        return part[1:-1]
    if part[0] != '"':
        return part
    if "\\" not in part:
        return part[1:-1]
    try:
        read = tomllib.loads(f"key = {part}")["key"]
    except tomllib.TOMLDecodeError:  # tomllib will say so of the whole text
        return part
    return str(read)
