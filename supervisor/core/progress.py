"""How far a task says it is: the fraction in the last words of its log."""

from __future__ import annotations

import re

_PATTERNS = (
    re.compile(r"(\d{1,3}(?:\.\d+)?)\s?%\|"),  # tqdm: ` 42%|████`
    re.compile(r"\[\s*(\d+)\s*/\s*(\d+)\s*\]"),  # [3/10]
    re.compile(r"\b(?:epoch|step|iteration|fold|item)\s+(\d+)\s*(?:/|of)\s*(\d+)", re.IGNORECASE),
)


def fraction(line: str) -> float | None:
    """0…1 when `line` tells a progress as tqdm, `[3/10]` or `epoch 3/10` do, else None."""
    for pattern in _PATTERNS:
        found = list(pattern.finditer(line))
        if not found:
            continue
        groups = found[-1].groups()
        done, whole = (float(groups[0]), 100.0) if len(groups) == 1 else (float(groups[0]), float(groups[1]))
        if whole > 0 and done <= whole:
            return done / whole
    return None


def last_words(tail: bytes) -> tuple[str, float | None]:
    """(the last line with text in it, the newest progress told) in the end of a log."""
    lines = [line.strip() for line in re.split(r"[\r\n]+", tail.decode("utf-8", "replace")) if line.strip()]
    told = next((value for line in reversed(lines) if (value := fraction(line)) is not None), None)
    return (lines[-1] if lines else ""), told
