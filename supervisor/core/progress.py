"""How far a task says it is: in the file that GRIST_PROGRESS names, or in the last words of its log."""

from __future__ import annotations

import math
import re

_PATTERNS = (
    re.compile(r"(\d{1,3}(?:\.\d+)?)\s?%\|"),  # tqdm: ` 42%|████`
    re.compile(r"\[\s*(\d+)\s*/\s*(\d+)\s*\]"),  # [3/10]
    re.compile(r"\b(?:epoch|step|iteration|fold|item)\s+(\d+)\s*(?:/|of)\s*(\d+)", re.IGNORECASE),
)

_NUMBER = re.compile(r"(\d{1,3}(?:\.\d*)?|\.\d+)(?:[eE](-\d{1,2}))?\s*(%?)")


TELLING = 0.02
"""Progress below this much promises nothing yet, and is too little to be counted."""


def left(ran: float, done: float) -> float | None:
    """Seconds until it is over if a task that has `ran` for so long and is so far `done` (0…1) goes on like this."""
    return ran / done - ran if done >= TELLING else None


def fraction(line: str) -> float | None:
    """0…1 when `line` tells a progress as tqdm, `[3/10]` or `epoch 3/10` do, else None."""
    for pattern in _PATTERNS:
        found = list(pattern.finditer(line))
        if not found:
            continue
        groups = found[-1].groups()
        done, whole = (float(groups[0]), 100.0) if len(groups) == 1 else (float(groups[0]), float(groups[1]))
        if 0 < whole < math.inf and done <= whole:  # 400 digits are an infinity
            return done / whole
    return None


def stated(file: bytes) -> float | None:
    """0…1 as a task wrote it for us: `0.42`, `42%`, or what a log may say, on the last line with text; else None."""
    lines = [line.strip() for line in file.decode("utf-8", "replace").splitlines() if line.strip()]
    if not lines:
        return None  # in the moment between emptying and writing
    found = _NUMBER.fullmatch(lines[-1])
    if found is None:
        return fraction(lines[-1])
    digits, power, percent = found.groups()
    value = float(f"{digits}e{power or 0}") / (100 if percent else 1)
    return value if value <= 1 else None


def last_words(tail: bytes) -> tuple[str, float | None]:
    """(the last line with text in it, the newest progress told) in the end of a log."""
    lines = [line.strip() for line in re.split(r"[\r\n]+", tail.decode("utf-8", "replace")) if line.strip()]
    told = next((value for line in reversed(lines) if (value := fraction(line)) is not None), None)
    return (lines[-1] if lines else ""), told
