"""Which variables are secrets, by their names, and texts without them: no screen, log or answer shows their values."""

from __future__ import annotations

import re

_SECRET = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|AUTH|KEYS?(?:_|$)|(?:^|_)PAT$", re.IGNORECASE)
_GIVEN = re.compile(r"""\b([A-Za-z_]\w*)=("[^"]*"|'[^']*'|[^\s,;"']+)""", re.ASCII)
HIDDEN = "…"


def secret(name: str) -> bool:
    """Whether a variable of this name is taken to hold a secret."""
    return _SECRET.search(name) is not None


def masked(text: str) -> str:
    """The text, with what is given to variables of such names (`NAME=value`) left out."""
    return _GIVEN.sub(lambda match: f"{match[1]}={HIDDEN}" if secret(match[1]) else match[0], text)
