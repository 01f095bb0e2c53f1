"""A job written as the text of a `.toml` file: what `tomllib` reads back as the same values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gristmill.supervisor.core.findings import quoted
from gristmill.supervisor.core.template import literal

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def dumps(table: Mapping[str, Any]) -> str:
    """The text; raises TypeError for a value that TOML has no word for, with the key that holds it."""
    return "".join(f"{_key(key)} = {_value(value, key)}\n" for key, value in table.items())


def one_command(command: str) -> tuple[str, str]:
    """A name for a shell command, and the text of a job file that runs it; braces in it mean nothing."""
    words = command.split()
    name = re.sub(r"[^A-Za-z0-9_.+-]+", "-", words[0].rpartition("/")[2] if words else "").strip("-.")[:80] or "job"
    return name, f"name = {quoted(name)}\ncommand = {quoted(literal(command))}\n"


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else quoted(key)


def _value(value: Any, where: str) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            return quoted(value)
        case Mapping():
            inner = ", ".join(f"{_key(str(key))} = {_value(each, f'{where}.{key}')}" for key, each in value.items())
            return f"{{ {inner} }}" if inner else "{}"
        case list() | tuple() | range():
            return f"[{', '.join(_value(each, where) for each in value)}]"
    if hasattr(value, "__fspath__"):
        return quoted(str(value.__fspath__()))
    if hasattr(value, "item"):  # a scalar of NumPy
        return _value(value.item(), where)
    what = f"{where}: a {type(value).__name__} can't stand in a job file"
    raise TypeError(f"{what} – give text, a number, a list or a dict")
