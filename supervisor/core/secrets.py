"""Which variables are secrets, by their names, and texts without them: no screen, log or answer shows their values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_SECRET = re.compile(
    r"TOKEN(?!I[ZS])|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|AUTH(?!ORS?(?:_|$))|KEYS?(?:_|$)|(?:^|_)PAT$",
    re.IGNORECASE,
)
_VALUE = r"""("[^"]*"|'[^']*'|[^\s,;"']+)"""
_GIVEN = re.compile(rf"\b([A-Za-z_]\w*)={_VALUE}", re.ASCII)
_OPTION = re.compile(rf"(?<![\w-])--([A-Za-z][\w-]*)[ \t]+(?!-){_VALUE}", re.ASCII)
_NUMBER = re.compile(r"[\"']?[+-]?[\d.]+(?:e[+-]?\d+)?[\"']?", re.IGNORECASE | re.ASCII)
HIDDEN = "…"


def secret(name: str) -> bool:
    """Whether a variable of this name is taken to hold a secret."""
    return _SECRET.search(name) is not None


def masked(text: str) -> str:
    """The text, with what is given to variables and options of such names (`NAME=value`, `--name value`) left out."""
    text = _GIVEN.sub(lambda match: f"{match[1]}={HIDDEN}" if secret(match[1]) else match[0], text)
    return _OPTION.sub(lambda match: f"--{match[1]} {HIDDEN}" if _hides(match[1], match[2]) else match[0], text)


def veiled(params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of an item as they are shown: of such a name a text that is no number is left out, and of another
    what `masked` leaves out, as of a line of a list of commands."""
    return {
        name: value if not isinstance(value, str) else HIDDEN if _hides(name, value) else masked(value)
        for name, value in params.items()
    }


def without(text: str, params: Mapping[str, Any]) -> str:
    """A text into which these parameters were filled, as it is shown."""
    for name, value in params.items():
        if isinstance(value, str) and value and _hides(name, value):
            text = text.replace(value, HIDDEN)
    return masked(text)


def _hides(name: str, value: str) -> bool:
    return secret(name.replace("-", "_")) and _NUMBER.fullmatch(value) is None  # how many tokens is no secret
