"""Items that are written out: a list in the job file, or the rows of a csv, tsv, jsonl or txt file.

Turns text into one dict of parameters an item; opens nothing. Every item has the same parameters, so that a
placeholder that is right for one is right for all.
"""

from __future__ import annotations

import csv
import posixpath
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import msgspec

from gristmill.supervisor.core import parameters
from gristmill.supervisor.core.findings import Fault, dotted, shown
from gristmill.supervisor.core.spec import Value

Cases: TypeAlias = tuple[dict[str, Value], ...]

MOST = 250_000
"""Items written out, at most; they are kept with the job. A count or a grid may have many more."""

_TOO_MANY = "give [items] total and let the program read the row of {index} itself"


def listed(values: list[Any]) -> Cases:
    """The items of `list = […]`: values are called `item`, tables bring their names; raises `Fault`."""
    if not values:
        raise Fault("the list is empty", "give at least one item")
    if all(isinstance(value, dict) for value in values):
        return _checked(((f"table {number}", value) for number, value in enumerate(values, 1)), "")
    if any(isinstance(value, dict) for value in values):
        raise Fault("tables and values in one list", "make every item a table, or none")
    return _checked(((f"value {number}", {"item": value}) for number, value in enumerate(values, 1)), "")


def from_text(text: str, path: str) -> Cases:
    """The items that the file at `path` holds, by its suffix; raises `Fault`, which names the file's line."""
    suffix = posixpath.splitext(path)[1].lower()
    file = posixpath.basename(path)
    text = text.removeprefix("\ufeff")  # as spreadsheets write it
    if suffix in (".csv", ".tsv"):
        return _checked(_rows(text, file, "\t" if suffix == ".tsv" else _separator(text)), file)
    if suffix in (".jsonl", ".ndjson"):
        return _checked(_objects(text, file), file)
    if suffix in (".txt", ".list"):
        return _checked(_lines(text, file), file)
    raise Fault(f"{shown(file)} is not csv, tsv, jsonl or txt", "convert it, or name it after what it is")


def _rows(text: str, file: str, separator: str) -> Iterator[tuple[str, dict[str, Any]]]:
    # Not splitlines, which also splits at form feeds and the like within a cell.
    reader = csv.reader((line + "\n" for line in text.split("\n")), delimiter=separator, strict=True)
    header: list[str] | None = None
    try:
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            where = f"{file}:{reader.line_num}"
            if header is None:
                header = _header(row, where)
            elif len(row) != len(header):
                what = f"{where}: {len(row)} cells under {len(header)} columns"
                raise Fault(what, "fill the row, or put quotes round cells with commas")
            else:
                yield where, dict(zip(header, row, strict=True))
    except csv.Error as error:
        raise Fault(f"{file}:{reader.line_num}: {shown(str(error))[1:-1]}", "mend the quotes of that row") from error


def _header(row: list[str], where: str) -> list[str]:
    """The names of the columns; raises `Fault`."""
    header = [cell.strip() for cell in row]
    if "" in header:
        raise Fault(f"{where}: column {header.index('') + 1} has no name", "name every column in the first row")
    if len(header) > parameters.MOST:
        raise Fault(f"{where}: {len(header):,} columns", "keep the columns that the command needs")
    for number, name in enumerate(header):
        if name in header[:number]:
            raise Fault(f"{where}: two columns are called {shown(name)}", "rename one of them")
    return header


def _separator(text: str) -> str:
    """What parts the columns: the commonest of comma, semicolon and tab in the first row that has anything."""
    first = text.lstrip().split("\n", 1)[0]
    return max(",;\t", key=first.count)


def _objects(text: str, file: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            found = msgspec.json.decode(line)
        except (msgspec.DecodeError, RecursionError) as error:
            raise Fault(f"{file}:{number}: not JSON: {shown(str(error))[1:-1]}", "write one object a line") from error
        if not isinstance(found, dict):
            raise Fault(f"{file}:{number}: no object", 'write one object a line, such as {"lr": 0.1}')
        yield f"{file}:{number}", found


def _lines(text: str, file: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield f"{file}:{number}", {"item": line.removesuffix("\r")}


def _checked(found: Iterable[tuple[str, dict[str, Any]]], file: str) -> Cases:
    """The items, once each has the names of the first and values that can be handed to a command."""
    cases: list[dict[str, Value]] = []
    names: dict[str, Any] = {}
    for where, case in found:
        if not cases:
            names = case
            for _, fault in parameters.faults(case):
                raise Fault(f"{where}: {fault.what}", fault.mend)
        _check_case(where, case, names)
        if len(cases) == MOST:
            raise Fault(f"{where}: more than {MOST:,} items", _TOO_MANY)
        cases.append(case)
    if not cases:
        raise Fault(f"{shown(file)} holds no item", "give it at least one row below the names of the columns")
    if not names:
        raise Fault("items without a parameter", "give each at least one, such as {lr = 0.1}")
    return tuple(cases)


def _check_case(where: str, case: dict[str, Any], names: dict[str, Any]) -> None:
    if case.keys() != names.keys():
        missing = [name for name in names if name not in case]
        extra = [name for name in case if name not in names]
        what = f"lacks {dotted((missing[0],))}" if missing else f"has {dotted((extra[0],))}, which the first has not"
        raise Fault(f"{where} {what}", "give every item the same parameters")
    for name, value in case.items():
        fault = parameters.misfit(value)
        if fault:
            raise Fault(f"{where}, {dotted((name,))}: {fault.what}", fault.mend)
    fault = parameters.too_long(case)
    if fault:
        raise Fault(f"{where}: {fault.what}", fault.mend)
