"""A TOML text as values and the places of its keys; what is wrong with its syntax, in a user's words.

Knows nothing of jobs. `tomllib` judges; `locate` says where things stand, and is asked first, as it stops what
would keep `tomllib` busy for hours.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from typing import Any

from gristmill.supervisor.core import locate
from gristmill.supervisor.core.errors import Problem
from gristmill.supervisor.core.findings import Path, shown

_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")

_MENDS: tuple[tuple[str, str, str], ...] = (
    # what tomllib says, what we say, the mend; the first that fits
    ("Invalid value", "not a value", 'text stands in quotes: key = "value"; true and false in small letters'),
    ("Expected '=' after a key", 'no "=" after the key', "write key = value"),
    ("Invalid statement", "neither a key nor a [table]", 'write key = value, or [table]; text stands in quotes'),
    ("Expected newline or end of document", "more than one value", "write one key a line; text stands in quotes"),
    ("Cannot overwrite a value", "this key is given twice", "keep one of them"),
    ("Duplicate inline table key", "a key is given twice in { }", "keep one of them"),
    ("Cannot declare", "this table is given twice", "put its keys under one [heading]"),
    ("Cannot mutate immutable namespace", "a { } table can't be added to", "put all its keys into the { }"),
    ("Cannot redefine namespace", "this table is given twice", "put its keys under one [heading]"),
    ("Unescaped '\\' in a string", "a lone backslash in a text", r"write \\, or put the text in single quotes"),
    ("Illegal character '\\n'", "the text does not end on its line", 'close the quote, or use """ for several lines'),
    ("Unterminated string", "the text has no end", "close the quote"),
    ("Expected \"'", "the text has no end", "close the quote"),
    ("Expected '\"'", "the text has no end", "close the quote"),
    ("Unclosed array", "the list has no end", "put a comma between its values and close it with ]"),
    ("Unclosed inline table", "the { } table has no end", "write it on one line, with commas, and close it with }"),
    ("Expected ']' at the end of a table", "the [heading] has no end", "close it with ]"),
    ("Expected ']]' at the end of an array", "the [[heading]] has no end", "close it with ]]"),
    ("Invalid initial character for a key part", "no key here", "write key = value; an odd key stands in quotes"),
    ("Invalid date or datetime", "no such date or time", "mend it, or put it in quotes as text"),
    ("Illegal character", "a control character", "remove it"),
    ("Found invalid character", "a control character", "remove it"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Document:
    """The values of a text, the places of its keys, or the one problem that keeps it from being read."""

    values: dict[str, Any]
    places: dict[Path, tuple[int, int]]
    problem: Problem | None = None


def read(text: str) -> Document:
    """The document that a TOML text holds; raises nothing for any text."""
    try:
        places = locate.places(text)
        return Document(tomllib.loads(text), places)
    except locate.TooDeepError as error:
        deep = f"nested more than {locate.DEEPEST} deep"
        return Document({}, {}, Problem(error.line, error.column, deep, "no job needs that: write it flat"))
    except RecursionError:
        return Document({}, {}, Problem(0, 0, "nested too deep", "no job needs that: write it flat"))
    except ValueError as error:  # TOMLDecodeError is one, and so is what int() and datetime() say
        return Document({}, {}, _explained(str(error), text))


def _explained(message: str, text: str) -> Problem:
    """What tomllib says, as a problem at its place."""
    line = column = 0
    match = _PLACE.search(message)
    if match:
        message = message[: match.start()]
        if match.group(1):
            line, column = int(match.group(1)), int(match.group(2))
        else:
            line = text.count("\n") + 1
            column = len(text) - (text.rfind("\n") + 1) + 1
    for said, what, mend in _MENDS:
        if message.startswith(said):
            return Problem(line, column, what, mend)
    if "integer string conversion" in message:
        return Problem(line, column, "a number too large", "write a smaller one")
    return Problem(line, column, f"not TOML: {shown(message)[1:-1]}", "see https://toml.io for how it is written")
