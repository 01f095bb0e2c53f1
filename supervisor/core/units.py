"""Durations and sizes as people write them, read strictly: what is not fully understood is refused."""

from __future__ import annotations

import re

from gristmill.supervisor.core.findings import Fault, shown

_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_BYTES: dict[str, int] = {
    "b": 1,
    **{f"{letter}b": 1000**power for power, letter in enumerate("kmgtp", 1)},
    **{f"{letter}ib": 1024**power for power, letter in enumerate("kmgtp", 1)},
    **{letter: 1024**power for power, letter in enumerate("kmgtp", 1)},  # as Slurm, systemd and docker read them
}
_NUMBER = r"[0-9]{1,15}(?:\.[0-9]{1,9})?"
_PART = re.compile(rf"({_NUMBER}) ?(ms|[dhms])", re.ASCII)
_DURATION = re.compile(rf"(?:{_NUMBER} ?(?:ms|[dhms]) ?)+", re.ASCII)
_SIZE = re.compile(rf"({_NUMBER}) ?([A-Za-z]+)", re.ASCII)

LONGEST_S = 10 * 365 * 86400.0
"""Ten years: a longer time is a slip."""
LARGEST_BYTES = 1 << 60

_WRITE_DURATION = 'write a duration such as "2h", "1h30m", "90s" or "250ms", or a number of seconds'
_WRITE_SIZE = 'write a size such as "2 GiB" or "500 MB"'


def seconds(value: str | int | float, *, zero: bool = False) -> float:
    """Seconds of `"1h30m"`, `"250ms"` or `30`; raises `Fault`. Zero only where it means something."""
    total = _spelled_seconds(value) if isinstance(value, str) else float(min(value, 1e18))
    if not total >= 0:  # so that NaN is caught too
        raise Fault(f"{value} is not a time that can pass", _WRITE_DURATION)
    if total == 0 and not zero:
        raise Fault("a time of 0 leaves none", 'leave the key out for no limit, or write a duration such as "2h"')
    if total > LONGEST_S:
        raise Fault("longer than ten years", "leave the key out for no limit, or write a shorter time")
    return total


def size(value: str | int, *, least: int = 1) -> int:
    """Bytes of `"2 GiB"`, `"500 MB"`, `"4G"` or a plain number; raises `Fault`. `least` catches a forgotten unit."""
    if isinstance(value, str):
        total = _spelled_bytes(value)
    else:
        total = value
        if total < least:
            raise Fault(f"{total} would be {total} bytes", 'give the unit, in quotes, such as "4 GiB"')
    if total < least:
        raise Fault(f"{total:,} bytes are too few", f'write {least:,} bytes or more, such as "64 MiB"')
    if total > LARGEST_BYTES:
        raise Fault("more than any machine has", _WRITE_SIZE)
    return total


def _spelled_seconds(text: str) -> float:
    plain = text.strip()
    if re.fullmatch(_NUMBER, plain, re.ASCII):
        raise Fault(f"{shown(text)} has no unit", f'write "{plain}s", "{plain}m" or "{plain}h"')
    if re.fullmatch(r"\d+:\d\d(:\d\d)?", plain, re.ASCII):
        raise Fault(f"{shown(text)} is a clock's notation", 'write the units, such as "2h30m"')
    if not _DURATION.fullmatch(plain):
        raise Fault(f"{shown(text)} is not a duration", _WRITE_DURATION)
    parts = _PART.findall(plain)
    units = [_SECONDS[unit] for _, unit in parts]
    if units != sorted(set(units), reverse=True):
        raise Fault(f"{shown(text)} is not a duration", 'write each unit once, the largest first, such as "1h30m"')
    return sum(float(number) * unit for (number, _), unit in zip(parts, units, strict=True))


def _spelled_bytes(text: str) -> int:
    plain = text.strip()
    if re.fullmatch(_NUMBER, plain, re.ASCII):
        raise Fault(f"{shown(text)} has no unit", f'write "{plain} GiB" or "{plain} MiB"')
    match = _SIZE.fullmatch(plain)
    if not match:
        raise Fault(f"{shown(text)} is not a size", _WRITE_SIZE)
    number, unit = match.groups()
    if unit.lower() not in _BYTES:
        raise Fault(f"{shown(text)} is not a size: no unit is called {shown(unit)}", _WRITE_SIZE)
    factor: int = _BYTES[unit.lower()]
    return round(float(number) * factor)
