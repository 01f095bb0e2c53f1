"""GNU parallel's short placeholders: `{}` and its parts for an item that is a value, `{#}` and `{%}` for any task."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable

ITEM = "item"
"""The parameter that a list of values, or the lines of a file, come under."""
NUMBER, SLOT = "#", "%"
_EXTENSION = re.compile(r"\.[^/.]+$")


def _stem(text: str) -> str:
    return _EXTENSION.sub("", text)


FORMS: dict[str, Callable[[str], str]] = {
    "": lambda text: text,
    ".": _stem,
    "/": posixpath.basename,
    "//": lambda text: posixpath.dirname(text) or ".",
    "/.": lambda text: _stem(posixpath.basename(text)),
}
"""What each makes of the value: itself, without its extension, without its folder, its folder, without both."""


def known(names: tuple[str, ...]) -> tuple[str, ...]:
    """Those that a job with such parameters has."""
    return (NUMBER, SLOT, *(FORMS if ITEM in names else ()))


class Values(dict[str, str]):
    """The values of placeholders; short ones are worked out when they are asked for."""

    def __missing__(self, name: str) -> str:
        if name in FORMS and ITEM in self:
            return FORMS[name](self[ITEM])
        if name == NUMBER and "index" in self:
            return str(int(self["index"]) + 1)
        raise KeyError(name)


def parts(name: str, values: list[str]) -> list[str]:
    """What a placeholder stands for, from the texts that its parameter has."""
    return [FORMS[name](value) for value in values] if name in FORMS else values


def source(name: str) -> str:
    """The parameter that a placeholder is made of."""
    return ITEM if name in FORMS else name
