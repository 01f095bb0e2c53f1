"""Patterns of files, as `*.py` and `conf/**`: which paths below a folder they mean. Reads no folder.

`*` and `?` stay within one name, `**` takes any number of folders; nothing means a name that begins with a dot unless
the pattern says the dot.
"""

from __future__ import annotations

import re
from functools import lru_cache

from gristmill.supervisor.core.findings import Fault, shown

_TOKEN = re.compile(r"\*\*/|\*\*|\*|\?|\[!?[^\]/]+\]|.", re.DOTALL)
_NAME = r"(?!\.)"


def checked(pattern: str) -> str:
    """The pattern, where it can mean files below a folder; raises `Fault`."""
    plain = pattern.strip().removeprefix("./")
    if not plain:
        raise Fault("an empty pattern", 'write one such as "*.py" or "conf/**"')
    if plain.startswith(("/", "~")) or ".." in plain.split("/"):
        raise Fault(f"{shown(pattern)} leads out of the working folder", "name files below it, or set cwd")
    return plain + "**" if plain.endswith("/") else plain


@lru_cache(maxsize=256)
def compiled(pattern: str) -> re.Pattern[str]:
    """What matches a whole path, with / between its names."""
    text = ""
    fresh = True  # at the beginning of a name, where a dot has to be asked for
    for token in _TOKEN.findall(pattern):
        if token == "**/":
            text += rf"(?:{_NAME}[^/]+/)*"
        elif token == "**":
            text += rf"{_NAME}[^/]+(?:/{_NAME}[^/]+)*"
        elif token == "*":
            text += (_NAME if fresh else "") + "[^/]*"
        elif token == "?":
            text += (_NAME if fresh else "") + "[^/]"
        elif token.startswith("[") and len(token) > 1:
            inner = token[1:-1]
            text += f"[{'^' + inner[1:] if inner[0] == '!' else inner}]".replace("\\", "\\\\")
        else:
            text += re.escape(token)
        fresh = token.endswith("/")
    return re.compile(text, re.DOTALL)


def base(pattern: str) -> str:
    """The folder below which all that it means lies, "" for the working folder itself."""
    whole = pattern.split("/")
    first = next((number for number, part in enumerate(whole[:-1]) if set(part) & set("*?[")), len(whole) - 1)
    return "/".join(whole[:first])


def deep(pattern: str) -> bool:
    """Whether it means files below folders that it does not name."""
    rest = pattern.removeprefix(base(pattern)).strip("/")
    return "/" in rest or "**" in rest
