"""Hours of the week, as people write them: `08:00-20:00`, `mon-fri 08:00-20:00`, `fri,sat 22:00-06:00`.

They go by the clock on the wall. A window begins with its first minute and ends before its last; one that ends
earlier than it begins goes on past midnight, and its days are those it begins on. When clocks are put forward, an
hour that isn't there is in no window, and one that comes twice when they are put back counts twice: "08:00-20:00"
is from eight to eight on every day of the year. Which time it is, is passed in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

import msgspec

from gristmill.supervisor.core.findings import Fault, shown

DAY, WEEK = 24 * 60, 7 * 24 * 60
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

_TIME = r"(\d{1,2}):(\d\d)"
_WINDOW = re.compile(rf"(?:([a-z][a-z ,–-]*?)\s+)?{_TIME}\s*[–-]\s*{_TIME}", re.ASCII | re.IGNORECASE)
_WRITE = 'write hours such as "08:00-20:00" or "mon-fri 08:00-20:00"'


class Window(msgspec.Struct, frozen=True):
    """Hours on some days, in minutes after midnight; `days` count from Monday, 0. `end` may lie in the next day."""

    days: tuple[int, ...]
    begin: int
    end: int
    text: str


def read(text: str) -> Window:
    """The window that a text names; raises `Fault`."""
    plain = " ".join(text.split())
    found = _WINDOW.fullmatch(plain)
    if not found:
        raise Fault(f"{shown(text)} names no hours", _WRITE)
    days, *numbers = found.groups()
    begin, end = (_minute(*numbers[place : place + 2]) for place in (0, 2))
    if begin == end:
        raise Fault(f"{shown(text)} begins and ends at once", 'write "00:00-24:00" for whole days, or different hours')
    if begin == DAY:
        raise Fault(f"{shown(text)} begins when its day is over", "begin it at 00:00")
    return Window(_days(days) if days else tuple(range(7)), begin, end if end > begin else end + DAY, plain)


def left(windows: Iterable[Window], local: datetime) -> int:
    """Minutes on the wall's clock until no window holds any more, at most a week; 0 while none does."""
    spans = [(day * DAY + window.begin, window.end - window.begin) for window in windows for day in window.days]
    now = local.weekday() * DAY + local.hour * 60 + local.minute
    total = 0
    while total < WEEK:
        more = max((length - (now + total - begin) % WEEK for begin, length in spans), default=0)
        if more <= 0:
            break
        total += more
    return min(total, WEEK)


def until(windows: Iterable[Window], local: datetime) -> int:
    """Minutes on the wall's clock until a window begins, at most a week; 0 while one holds."""
    windows = tuple(windows)
    if left(windows, local):
        return 0
    now = local.weekday() * DAY + local.hour * 60 + local.minute
    return min(((day * DAY + window.begin - now) % WEEK for window in windows for day in window.days), default=WEEK)


def clock(local: datetime, minutes: int) -> str:
    """The time on the wall so many minutes from now: `20:00`, or `Mon 08:00` where that is a day away or more."""
    then = (local.weekday() * DAY + local.hour * 60 + local.minute + minutes) % WEEK
    day = "" if minutes < DAY else f"{DAYS[then // DAY][:3].capitalize()} "
    return f"{day}{then % DAY // 60:02d}:{then % 60:02d}"


def _minute(hour: str, minute: str) -> int:
    number = int(hour) * 60 + int(minute)
    if int(minute) > 59 or number > DAY:
        raise Fault(f"{hour}:{minute} is no time of day", "hours go from 00:00 to 24:00")
    return number


def _days(text: str) -> tuple[int, ...]:
    """The days of `mon-fri`, `sat,sun` or `fri-mon`."""
    found: set[int] = set()
    for part in text.lower().replace("–", "-").split(","):
        first, *rest = (_day(name.strip()) for name in part.split("-"))
        if len(rest) > 1:
            raise Fault(f"{shown(text)} names no days", _WRITE)
        last = rest[0] if rest else first
        found |= {day % 7 for day in range(first, last + 1 if last >= first else last + 8)}
    return tuple(sorted(found))


def _day(name: str) -> int:
    for number, day in enumerate(DAYS):
        if name in (day, day[:3]):
            return number
    raise Fault(f"{shown(name)} is no day", f"the days are {', '.join(day[:3] for day in DAYS)}")
