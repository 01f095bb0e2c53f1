"""A condition as people read it: what is wrong, and for how long it has been so. Pure; `now` is an argument."""

from __future__ import annotations

MINUTE, HOUR, DAY = 60, 3600, 86400


def lasting(seconds: float) -> str:
    """`for 40 s`, `for 3 min`, `for 2 h 05 min`, `for 3 d`; no finer than matters, so that it seldom changes."""
    whole = max(0, int(seconds))
    if whole < MINUTE:
        return f"for {whole} s"
    if whole < HOUR:
        return f"for {whole // MINUTE} min"
    if whole < DAY:
        return f"for {whole // HOUR} h {whole % HOUR // MINUTE:02d} min"
    return f"for {whole // DAY} d"


def named(kind: str, reason: str) -> str:
    """`disk: 3 MB are free …`; a reason that names its kind itself is not told twice."""
    return reason if reason.startswith(kind) else f"{kind}: {reason}"
