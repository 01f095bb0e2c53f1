"""The values of sbatch's options, in all forms that Slurm takes: times, sizes, arrays, dependencies, patterns.

Each function raises `Fault` for what Slurm would refuse, or what can't be kept here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from gristmill.supervisor.core.filenames import job_named
from gristmill.supervisor.core.findings import Fault, shown
from gristmill.supervisor.core.sbatch import Option
from gristmill.supervisor.core.spec import PRIORITY_MOST

MOST_IDS = 100_000
"""Ids of an array that are written out; a single range may have more."""
_TIME = re.compile(r"(?:(\d{1,5})-)?(\d{1,8})(?::(\d{1,8}))?(?::(\d{1,8}))?(?:\.\d*)?", re.ASCII)
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)([KMGTP]?)(?:i?B)?", re.ASCII | re.IGNORECASE)
_RANGE = re.compile(r"(\d{1,9})(?:-(\d{1,9})(?::(\d{1,9}))?)?", re.ASCII)
_NOW = re.compile(r"now(?:\+(\d{1,9})(second|minute|hour|day|week)?s?)?", re.ASCII)
_CLOCK = re.compile(r"(\d{1,2}):(\d\d)(?::\d\d)?", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_HOURS = {"midnight": "00:00", "noon": "12:00", "elevenses": "11:00", "fika": "15:00", "teatime": "16:00"}
_SHORT_DATE = re.compile(r"(\d\d?)([/.])(\d\d?)(?:\2(\d\d(?:\d\d)?))?(?:[-T ](.+))?", re.ASCII)
_NUMBER_DATE = re.compile(r"(\d\d)()(\d\d)(\d\d)?(?:[T ](.+))?", re.ASCII)
_DEPENDS = {"afterok": "after", "afterany": "after_any", "afternotok": "after_failed"}
_TIME_MEND = "write minutes, minutes:seconds, hours:minutes:seconds, days-hours or days-hours:minutes:seconds"


def name(text: str) -> str:
    """A job's name made fit to be one here."""
    if not (made := job_named(text)):
        raise Fault("an empty name", "write one, or remove the line: the file's name is taken")
    return made


def seconds(text: str) -> float:
    """Seconds of a time as Slurm writes it, 0 for no limit: a lone number is minutes."""
    if text.upper() in ("INFINITE", "UNLIMITED", "-1"):
        return 0.0
    match = _TIME.fullmatch(text)
    if match is None:
        raise Fault("no time as Slurm writes it", _TIME_MEND)
    days, *rest = match.groups()
    first, second, third = (int(part or 0) for part in rest)
    if days is not None:  # days-hours[:minutes[:seconds]]
        return float(int(days) * 86400 + first * 3600 + second * 60 + third)
    if rest[2] is not None:  # hours:minutes:seconds
        return float(first * 3600 + second * 60 + third)
    return float(first * 60 + second)  # minutes[:seconds]


def size(text: str) -> int:
    """Bytes of a size, 0 for all there is; a lone number is megabytes."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise Fault("no size as Slurm writes it", "write a number with K, M, G or T behind it, such as 4G")
    power = " KMGTP".index(match[2].upper()) if match[2] else 2
    return round(float(match[1]) * float(1 << 10 * power))


def whole(text: str) -> int:
    """A whole number, kept within what a priority may be."""
    if not re.fullmatch(r"[+-]?\d{1,12}", text, re.ASCII):
        raise Fault(f"{shown(text)} is no whole number", "write one, such as 100")
    return max(-PRIORITY_MOST, min(PRIORITY_MOST, int(text)))


def count(text: str) -> int:
    """A whole number of 1 or more."""
    if not re.fullmatch(r"\d{1,6}", text, re.ASCII) or int(text) < 1:
        raise Fault(f"{shown(text)} is no number of 1 or more", "write one, such as 4")
    return int(text)


def ntasks(last: Mapping[str, Option]) -> int:
    """The tasks of Slurm's that share the cores of one machine; 1 where what is written is no number."""
    given = last.get("ntasks") or last.get("ntasks-per-node")
    return int(given.value) if given is not None and re.fullmatch(r"[1-9]\d{0,5}", given.value, re.ASCII) else 1


def cores(last: Mapping[str, Option]) -> int:
    """Cores that a script claims: those of a task of Slurm's times their number."""
    for given in ("ntasks", "ntasks-per-node"):
        if given in last:
            count(last[given].value)
    each = last.get("cpus-per-task")
    return ntasks(last) * (1 if each is None else count(each.value))


def array(text: str) -> tuple[Any, int]:
    """The ids of an array as the values of a parameter, in their order, and how many of them run at once, 0 for any
    number."""
    ids, percent, most = text.partition("%")
    runs = [_run(part.strip()) for part in ids.split(",")]
    bound = 0 if not percent else int(most) if re.fullmatch(r"\d{1,9}", most.strip(), re.ASCII) else -1
    if bound < 0:
        raise Fault(f"{shown(most)} is no number of tasks", "write how many may run at once, such as --array=0-99%4")
    if len(runs) == 1 and len(runs[0]) > 1:
        only = runs[0]
        return {"range": [only.start, only.stop, only.step]}, bound
    if sum(len(run) for run in runs) > MOST_IDS:
        raise Fault(f"more than {MOST_IDS:,} ids", "write a single range")
    return sorted({one for run in runs for one in run}), bound


def _run(text: str) -> range:
    match = _RANGE.fullmatch(text)
    if match is None:
        raise Fault(f"{shown(text)} is no id and no range", "write ids and ranges, such as --array=1,4,10-20:2%4")
    first, last, step = match.groups()
    if last is None:
        return range(int(first), int(first) + 1)
    if int(last) < int(first) or step == "0":
        raise Fault(f"{shown(text)} holds no id", "write the smaller id first")
    found = range(int(first), int(last) + 1, int(step or 1))
    return range(found.start, found[-1] + 1, found.step)


def gpus(text: str) -> int | None:
    """GPUs of `2`, `a100:2`, `gpu:2` or `gpu:a100:2`; None where something else is asked for."""
    total = 0
    for part in text.split(","):
        words = part.strip().split("(")[0].split(":")
        if words[0] not in ("gpu", "none") and len(words) > 1 and words[0] in ("shard", "mps", "tmp", "craynetwork"):
            return None
        words = words[1:] if words[0] == "gpu" else words
        last = words[-1] if words else "1"
        total += int(last) if re.fullmatch(r"\d{1,4}", last, re.ASCII) else 0 if last in ("none", "") else 1
    return total


def cards(last: Mapping[str, Option]) -> int:
    """GPUs that a script asks for, by whatever option."""
    given = next((last[name] for name in ("gres", "gpus", "gpus-per-node", "gpus-per-task") if name in last), None)
    return 0 if given is None else gpus(given.value) or 0


def dependency(text: str) -> tuple[dict[str, list[int]], bool]:
    """The ids of other jobs by the key that says how they must have ended, and whether it is a singleton."""
    made: dict[str, list[int]] = {}
    alone = False
    if "?" in text:
        raise Fault("that any of several suffices (?) can't be kept here", "write a comma: all must have ended so")
    for part in text.split(","):
        kind, *ids = part.strip().split(":")
        if kind == "singleton" and not ids:
            alone = True
        elif kind not in _DEPENDS:
            known = ", ".join((*_DEPENDS, "singleton"))
            raise Fault(f"{shown(kind)} can't be kept here", f"write one of {known}")
        elif not ids or not all(re.fullmatch(r"\d{1,18}", one, re.ASCII) for one in ids):
            raise Fault(f"{shown(part)} names no job by its number", f"write {kind}:ID, or #GRIST after = [\"NAME\"]")
        else:
            made.setdefault(_DEPENDS[kind], []).extend(map(int, ids))
    return made, alone


def export(text: str) -> tuple[tuple[str, ...] | None, dict[str, str]]:
    """The variables that are handed on, None for all of them, and those that are set besides."""
    variables: dict[str, str] = {}
    kept: dict[str, None] = {}
    everything = False
    for part in text.split(","):
        name, equals, value = part.strip().partition("=")
        if not equals and name.upper() in ("ALL", "NONE", "NIL", ""):
            everything |= name.upper() == "ALL"
        elif not _VARIABLE.fullmatch(name):
            raise Fault(f"{shown(name)} can't be a variable's name", "write --export=ALL,NAME=value")
        elif equals:
            variables[name] = value
        else:
            kept[name] = None
    return None if everything else tuple(kept), variables


def begin(text: str) -> str:
    """When it begins, as `start` says it; "" for at once. A day without a year is the next one that is called so."""
    plain = text.strip()
    if plain.lower() == "today":
        return ""
    if plain.lower() == "tomorrow":
        return "00:00"
    if match := _NOW.fullmatch(plain):
        number, unit = match.groups()
        seconds = int(number or 0) * {"minute": 60, "hour": 3600, "day": 86400, "week": 604800}.get(unit or "", 1)
        return f"{seconds}s" if seconds else ""
    if clock := _clock(plain):
        return clock
    try:
        if match := _SHORT_DATE.fullmatch(plain) or _NUMBER_DATE.fullmatch(plain):
            return _date(*match.groups())
        return datetime.fromisoformat(plain).strftime("%Y-%m-%d %H:%M")
    except ValueError:
        raise Fault("no time to begin at that is read here",
                    "write 16:00, now+2hours, tomorrow or 2026-12-24T08:00") from None  # fmt: skip


def _clock(text: str) -> str:
    """A time of day as `start` has it, "" for what is none: 16:00, 4:30 PM, noon."""
    plain, half = text.strip().lower(), ""
    if plain in _HOURS:
        return _HOURS[plain]
    if plain.endswith(("am", "pm")):
        plain, half = plain[:-2].rstrip(), plain[-2:]
    match = _CLOCK.fullmatch(plain)
    if match is None or int(match[1]) > 23 or int(match[2]) > 59 or (half and not 0 < int(match[1]) < 13):
        return ""
    hour = int(match[1]) if not half else int(match[1]) % 12 + 12 * (half == "pm")
    return f"{hour:02}:{match[2]}"


def _date(month: str, _: str, day: str, year: str | None, time: str | None) -> str:
    """A date as America writes it, as `start` has it; raises ValueError for what is none."""
    clock = _clock(time) if time else "00:00"
    moment = datetime.fromisoformat(f"{int(year or 2000) % 100 + 2000:04}-{int(month):02}-{int(day):02} {clock}")
    return f"{moment:%Y-%m-%d %H:%M}" if year else f"{moment.minute} {moment.hour} {moment.day} {moment.month} *"


# ── names of files ────────────────────────────────────────────────────────────────────────────────────────────────────

_SIGN = re.compile(r"%(\d{0,2})([A-Za-z%])")
SIGNS = "AabjJNnstux%"


def pattern(text: str) -> None:
    """Raises `Fault` where a file's name holds a sign that sbatch has not."""
    if not text:
        raise Fault("an empty name", "write a file, such as %x-%j.out")
    for _, sign in _unquoted(text):
        if sign not in SIGNS:
            raise Fault(f"%{sign} stands for nothing", "use %x (name), %j (job), %A and %a (array), %u or %N")


def _unquoted(text: str) -> Iterable[tuple[str, str]]:
    return () if "\\" in text else _SIGN.findall(text)


def filled(text: str, signs: Mapping[str, str]) -> str:
    """A file's name with its signs filled in; a backslash in it turns them off, as sbatch has it."""
    if "\\" in text:
        return text.replace("\\", "")
    fill: Callable[[re.Match[str]], str] = lambda match: (  # noqa: E731
        "%" if match[2] == "%" else _padded(signs.get(match[2], match[0]), match[1])
    )
    return _SIGN.sub(fill, text)


def _padded(text: str, width: str) -> str:
    return text.zfill(min(int(width), 10)) if width and text.isdigit() else text
