"""Numbers as people read them: sizes, times, counts. Pure; `now` is an argument; knows no colour and no screen."""

from __future__ import annotations

import signal
from datetime import datetime

MINUTE, HOUR, DAY = 60, 3600, 86400


def size(count: float | None) -> str:
    """Bytes in at most five characters: `512B`, `3.1G`, `420M`."""
    if count is None:
        return ""
    value = float(count)
    for unit in ("B", "K", "M", "G", "T"):
        if value < 999.5 or unit == "T":
            break
        value /= 1024
    return f"{value:.1f}{unit}" if value < 9.95 and unit != "B" else f"{value:.0f}{unit}"


def spoken(count: float) -> str:
    """Bytes as a sentence has them: `24 MB`, `3.1 GB`."""
    if abs(count) < 99.5e6:
        return f"{count / 1e6:.0f} MB"
    return f"{count / 1e9:.2f} GB" if abs(count) < 0.995e9 else f"{count / 1e9:.1f} GB"


def count(number: int) -> str:
    """A count in at most six characters: `412`, `9,400`, `41.2k`, `1.2M`."""
    if number < 10_000:
        return f"{number:,}"
    if number < 999_950:
        return f"{number / 1e3:.1f}k" if number < 99_950 else f"{number / 1e3:.0f}k"
    return f"{number / 1e6:.1f}M" if number < 99_950_000 else f"{number / 1e6:.0f}M"


def several(number: float, one: str, more: str = "") -> str:
    """A number with the words that go with it: `1 worker`, `8 workers`, `1 task goes on`, `2 tasks go on`."""
    words = one if number == 1 else more or f"{one}s"
    return f"{number:,} {words}" if isinstance(number, int) else f"{number:g} {words}"


def clock_span(seconds: float | None) -> str:
    """A time spent, to the second while that matters: `00:31`, `12:04`, `1:02:33`, `3d 04h`."""
    if seconds is None:
        return ""
    whole = max(0, int(seconds))
    if whole < HOUR:
        return f"{whole // MINUTE:02d}:{whole % MINUTE:02d}"
    if whole < DAY:
        return f"{whole // HOUR}:{whole % HOUR // MINUTE:02d}:{whole % MINUTE:02d}"
    return f"{whole // DAY}d {whole % DAY // HOUR:02d}h"


def length(seconds: float) -> str:
    """A length that somebody has set, in a sentence: `0.5 s`, `12 s`, from a minute on as `clock_span`."""
    return f"{seconds:g} s" if seconds < MINUTE else clock_span(seconds)


def about(seconds: float | None) -> str:
    """A time to come, no finer than it can be known: `~40s`, `~48m`, `~2h10m`, `~3d`."""
    if seconds is None:
        return ""
    whole = max(0, int(seconds))
    if whole < 90:
        return f"~{whole}s"
    if whole < 90 * MINUTE:
        return f"~{round(whole / MINUTE)}m"
    if whole < 10 * HOUR:
        return f"~{whole // HOUR}h{whole % HOUR // MINUTE:02d}m"
    return f"~{round(whole / HOUR)}h" if whole < 2 * DAY else f"~{round(whole / DAY)}d"


def lasting(seconds: float) -> str:
    """For how long something has been so: `for 40 s`, `for 3 min`, `for 2 h 05 min`, `for 3 d`; no finer than matters,
    so that it seldom changes."""
    whole = max(0, int(seconds))
    if whole < MINUTE:
        return f"for {whole} s"
    if whole < HOUR:
        return f"for {whole // MINUTE} min"
    if whole < DAY:
        return f"for {whole // HOUR} h {whole % HOUR // MINUTE:02d} min"
    return f"for {whole // DAY} d"


def wall_clock(when: float | None, now: float) -> str:
    """The local time of day, or the day and month when that was long ago."""
    if when is None:
        return ""
    return datetime.fromtimestamp(when).strftime("%H:%M" if abs(now - when) < DAY else "%d %b")


def full_clock(when: float) -> str:
    """The local time to the second."""
    return datetime.fromtimestamp(when).strftime("%H:%M:%S")


def item_range(start: int, number: int) -> str:
    """The items of a task: `17`, or `16–31`; that without items is the [finally] step."""
    if number == 0:
        return "finally"
    return str(start) if number <= 1 else f"{start}–{start + number - 1}"


def exit_word(code: int | None, number: int | None) -> str:
    """How a process ended: its exit code, or the name of the signal."""
    if number is not None:
        try:
            return signal.Signals(number).name.removeprefix("SIG")
        except ValueError:
            return f"sig {number}"  # a real-time signal has no name of its own
    return "" if code is None else str(code)
