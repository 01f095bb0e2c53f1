"""Texts with `{placeholders}`: taken apart once, filled in for each task. `{{` and `}}` are literal braces."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

from gristmill.supervisor.core.findings import Fault, shown

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


class Hole(NamedTuple):
    """A placeholder, and the offset of its brace in the template."""

    name: str
    offset: int


@lru_cache(maxsize=1024)
def pieces(template: str) -> tuple[str | Hole, ...]:
    """The literal texts and holes of a template in turn; raises `Fault` on a lone brace."""
    found: list[str | Hole] = []
    at = 0
    for token in _TOKEN.finditer(template):
        found.append(template[at : token.start()])
        at = token.end()
        if token.group() in ("{{", "}}"):
            found.append(token.group()[0])
        elif token.group() in ("{", "}"):
            near = template[max(0, token.start() - 15) : token.end() + 15]
            raise Fault(f"a lone {token.group()} in {shown(near)}", f"write {token.group() * 2} for a literal brace")
        else:
            found.append(Hole(token.group(1), token.start()))
    found.append(template[at:])
    return tuple(piece for piece in found if piece != "")


def holes(template: str) -> tuple[Hole, ...]:
    """The placeholders of a template; raises `Fault` on a lone brace."""
    return tuple(piece for piece in pieces(template) if isinstance(piece, Hole))


def render(template: str, values: Mapping[str, str], quote: Callable[[str], str] | None = None) -> str:
    """The template with every hole filled, each value passed through `quote`; `KeyError` where one is missing."""
    if "{" not in template and "}" not in template:
        return template
    done = (
        piece if isinstance(piece, str) else values[piece.name] if quote is None else quote(values[piece.name])
        for piece in pieces(template)
    )
    return "".join(done)


def literal(text: str) -> str:
    """A template that stands for the text itself."""
    return text.replace("{", "{{").replace("}", "}}")
