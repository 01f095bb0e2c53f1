"""Visits each key of a document and holds it against the shapes in `keys`: unknown keys, wrong kinds, bounds.

`msgspec.convert` alone would stop at the first error; a user wants all of them at once. What a value amounts to, and
which values go together, is judged elsewhere.
"""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import msgspec

from gristmill.supervisor.core import hints, keys
from gristmill.supervisor.core.findings import Findings, Path, dotted, unfit, worded

L = TypeVar("L", bound=keys.Table)

_TABLES: dict[str, type[keys.Table]] = {
    "slurm": keys.SlurmTable,
    "recycle": keys.RecycleTable,
    "snapshot": keys.SnapshotTable,
    "grid": keys.GridTable,
    "items": keys.ItemsTable,
    "resources": keys.ResourcesTable,
    "retry": keys.RetryTable,
    "limits": keys.LimitsTable,
    "finally": keys.FinallyTable,
    "results": keys.ResultsTable,
}
_TOP = keys.names(keys.JobFile)
_EVERY = {
    **{key: (table, key) for table, layout in _TABLES.items() for key in keys.names(layout)},
    **{key: (key,) for key in _TOP},
}


def walk(table: dict[str, Any], layout: type[L], path: Path, findings: Findings) -> L:
    """The table as its shape, with what is right in it; the rest is noted and left at its default.

    A grid's own parameters are no keys of the shape: they are left to `grid`.
    """
    kinds = _kinds(layout)
    good: dict[str, Any] = {}
    for key, value in table.items():
        here = (*path, key)
        if key not in kinds:
            if layout is not keys.GridTable:
                unknown(here, keys.names(layout), findings)
            continue
        name, kind = kinds[key]
        inner = _TABLES.get(key) if not path else None
        if inner is not None and isinstance(value, dict):
            good[name] = walk(value, inner, here, findings)
        elif check(value, kind, here, findings):
            good[name] = float(value) if name == "cpus" else value
    return layout(**good)


def unknown(path: Path, known: tuple[str, ...], findings: Findings) -> None:
    """Note a key that means nothing where it stands, with what was probably meant."""
    *above, key = (str(part) for part in path)
    what = f"unknown key {dotted(path)}"
    if findings.full:
        findings.add(path, what, "")
    elif above and key in _TOP:
        mend = f"move it above the first [table], out of [{above[0]}]"
        findings.add(path, f"{what}: {key} is a key of the job itself", mend)
    elif key in _EVERY and key not in known:
        findings.add(path, what, f"did you mean {'.'.join(_EVERY[key])}?")
    elif key.lower() in hints.SYNONYMS:
        findings.add(path, what, f"did you mean {hints.SYNONYMS[key.lower()]}?")
    else:
        near = difflib.get_close_matches(key[:40].lower().replace("-", "_"), [*known, *_EVERY], n=1)
        if near and near[0] in known:
            findings.add(path, what, f"did you mean {near[0]}?")
        elif near:
            findings.add(path, what, f"did you mean {'.'.join(_EVERY[near[0]])}?")
        else:
            findings.add(path, what, f"remove it; the keys here are {', '.join(known)}")


def check(value: object, kind: Kind, path: Path, findings: Findings) -> bool:
    """Whether a value is of a kind, all the way down; each thing that is not is noted."""
    if isinstance(value, list) and kind.element is not None:
        return _each(enumerate(value), kind.element, path, findings)
    if isinstance(value, dict) and kind.entry is not None:
        return _each(value.items(), kind.entry, path, findings)
    wrong = unfit(value)
    if wrong is None:
        try:
            msgspec.convert({"value": value}, kind.box, strict=True)
        except msgspec.ValidationError:
            wrong = f"is {worded(value)}"
    if wrong is not None:
        findings.add(path, f"{dotted(path)} {wrong}", f"write {kind.wants}")
    return wrong is None


def _each(values: Iterable[tuple[str | int, object]], kind: Kind, path: Path, findings: Findings) -> bool:
    """Whether all that a list or table holds is of a kind; nobody reads more problems than are told."""
    fits = True
    for key, value in values:
        fits = check(value, kind, (*path, key), findings) and fits
        if not fits and findings.full:
            break
    return fits


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of `keys`, taken apart once: converting to a bare annotation would compile it for each value.

    `wants` is in words; `element` and `entry` are the kinds of what a list or a table of it holds, if it may be one.
    """

    wants: str
    box: type[msgspec.Struct]
    element: Kind | None = None
    entry: Kind | None = None


@cache
def _kinds(layout: type[keys.Table]) -> dict[str, tuple[str, Kind]]:
    """The attribute and kind of each key of a table."""
    return {field.encode_name: (field.name, _kind(field.type)) for field in msgspec.structs.fields(layout)}


def _kind(annotation: Any) -> Kind:
    options, wants = _options(annotation)
    inside = {
        get_origin(option): _kind(get_args(option)[-1]) for option in options if get_origin(option) in (list, dict)
    }
    return Kind(wants, msgspec.defstruct("Box", [("value", annotation)]), inside.get(list), inside.get(dict))


def _options(kind: Any) -> tuple[list[Any], str]:
    """The plain types that a kind allows, and the words for what it wants (the outermost, where there are several)."""
    if get_origin(kind) is Annotated:
        inner, *notes = get_args(kind)
        options, wants = _options(inner)
        for note in notes:
            wants = (note.extra or {}).get("wants", wants)
        return options, wants
    if get_origin(kind) in (Union, types.UnionType):
        options, wants = [], ""
        for each in get_args(kind):
            more, said = _options(each)
            options += more
            wants = wants or said
        return options, wants
    return [kind], ""
