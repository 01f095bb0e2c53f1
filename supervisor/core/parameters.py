"""The parameters of an item: which names they may have, and how a value reads in a command or a variable."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

import msgspec

from gristmill.supervisor.core.findings import Fault, shown, unfit
from gristmill.supervisor.core.spec import Value

Same: TypeAlias = tuple[bool, Value]
"""What two values share that are one: 1 and 1.0 are, 1 and true are not."""

BUILTIN = ("start", "count", "index", "task", "job")
"""Placeholders that every job has."""

RESERVED = frozenset(
    f"GRIST_{name}"
    for name in (
        *("JOB", "JOB_NAME", "TASK", "START", "COUNT", "ATTEMPT", "WORKER", "RESULT"),
        *("PARAMS", "PROGRESS", "JOBS", "STATE", "INDEX", "SCRIPT", "PYTHON", "SNAPSHOT"),
    )
)
"""Variables with a meaning of their own, which a parameter would hide."""

MOST = 1000
"""Parameters of one item."""

LONGEST = 60_000
"""Bytes of a command, a variable or an item's parameters: Linux passes no single text of 128 KiB or more."""


def text(value: Value) -> str:
    """A value as it stands in commands and variables: as TOML writes it, without quotes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def same(value: Value) -> Same:
    """What two values share that are one."""
    return isinstance(value, bool), value


def variable(name: str) -> str:
    """The environment variable that carries a parameter."""
    return "GRIST_" + "".join(char if char.isascii() and char.isalnum() else "_" for char in name.upper())


def faults(names: Iterable[str]) -> Iterator[tuple[str, Fault]]:
    """Each name that can't be a parameter's, with the reason."""
    taken: dict[str, str] = {}
    for name in names:
        if len(taken) == MOST:
            yield name, Fault(f"more than {MOST:,} parameters", "put the rest into a file and give the file's name")
            return
        if not name or name != name.strip() or not name.isprintable() or set(name) & set("{}") or len(name) > 100:
            yield name, Fault(f"{shown(name)} can't be a parameter's name", "write a short name without { }")
        elif name in BUILTIN:
            yield name, Fault(f"{{{name}}} has a meaning of its own", f"rename the parameter, to {name}_ or so")
        elif variable(name) in RESERVED:
            yield name, Fault(f"{variable(name)} has a meaning of its own", f"rename the parameter, to my_{name} or so")
        elif variable(name) in taken:
            what = f"{shown(name)} and {shown(taken[variable(name)])} would both be {variable(name)}"
            yield name, Fault(what, "rename one of them")
        else:
            taken[variable(name)] = name


def misfit(value: object) -> Fault | None:
    """Why a value can't be a parameter's, or None."""
    if not isinstance(value, str | int | float):
        return Fault("no text, number or true/false", "write text in quotes, a number, true or false")
    wrong = unfit(value)
    if wrong:
        return Fault(f"the value {wrong}", "write a plain number, or text in quotes")
    if isinstance(value, str) and len(value.encode()) > LONGEST:
        return Fault(f"longer than {LONGEST:,} bytes", "put it into a file and give the file's name")
    return None


def too_long(case: dict[str, Value]) -> Fault | None:
    """Why the parameters of one item can't be handed over together, or None."""
    if sum(len(value) for value in case.values() if isinstance(value, str)) * 6 < LONGEST and len(case) < 100:
        return None  # spares the encoding of the many that are short
    if len(msgspec.json.encode(case)) > LONGEST:
        return Fault(f"an item of more than {LONGEST:,} bytes", "put its data into a file and give the file's name")
    return None
