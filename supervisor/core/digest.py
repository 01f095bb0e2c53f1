"""SHA-256 of short texts, without OpenSSL: `hashlib` loads it, 4 MB in each process, for what CPython has built in."""

from __future__ import annotations

import importlib
from typing import Any


def sha256(data: bytes) -> str:
    """The digest, 64 hexadecimal digits."""
    made = _built_in().sha256(data)
    return str(made.hexdigest())


def _built_in() -> Any:
    """Where CPython has it since 3.12, and before; a distribution may leave it out."""
    for name in ("_sha2", "_sha256", "hashlib"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise ImportError("no SHA-256")
