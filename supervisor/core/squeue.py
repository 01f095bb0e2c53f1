"""What Slurm's commands print, read: `squeue` and `sacct` in formats that we ask for, the messages of `sbatch`.

Text with separators alone: the JSON of these commands changes from release to release. Knows words, starts nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Literal, NamedTuple

from gristmill.supervisor.core.remote import End, Ended, Glimpse

FORMAT = "%j|%i|%T|%N|%r"
"""Name, id, state, nodes, reason: for `squeue -h -o`. Slots that wait come in one line, `4711_[0-3,7%2]`."""
SACCT = "JobID,State,NodeList,ExitCode"
"""For `sacct -n -P -X -o`."""

QUEUED = frozenset(("PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD"))
RUNNING = frozenset(
    ("RUNNING", "COMPLETING", "CONFIGURING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING")
)
_STUCK = re.compile(r"(?i)launch.failed.requeued.held|job.?requeued.?in.?held|jobheldadmin|dependencyneversatisfied")
"""Reasons that Slurm alone put there, and that it does not leave by itself."""

_ENDS = {
    "OUT_OF_MEMORY": End.MEMORY, "TIMEOUT": End.TIME, "DEADLINE": End.TIME, "CANCELLED": End.CANCELED,
    "PREEMPTED": End.PREEMPTED, "NODE_FAIL": End.NODE, "BOOT_FAIL": End.NODE, "REVOKED": End.PREEMPTED,
}  # fmt: skip

_SILENT = re.compile(
    r"(?i)unable to contact|unable to establish|connection (?:refused|failure|timed out)|timed out|zero bytes|munge|"
    r"authentication|communication|backup controller|try again|unexpected message|temporarily|in standby|"
    r"could not establish|Invalid job credential|socket"
)
_REFUSED = re.compile(
    r"(?i)invalid partition|node configuration is not available|memory specification can not|invalid account|"
    r"invalid qos|unrecognized option|unrecognised option|invalid generic resource|invalid feature|"
    r"invalid constraint|time limit is invalid|invalid --|invalid option|invalid node name|invalid wckey|"
    r"invalid reservation|more processors requested|access/permission denied|invalid directive|not a valid|"
    r"unable to open file|user not in group|invalid numeric|cpu count|invalid gres|reservation .* invalid"
)


class Row(NamedTuple):
    """A line of `squeue`: slots of one array, in one state."""

    label: str
    job: str
    slots: Collection[int]
    state: str
    host: str
    reason: str


def slots(text: str) -> list[int]:
    """The numbers in `0-3,7,10-20:5%2`; raises ValueError where it is cut off."""
    found: list[int] = []
    for part in text.partition("%")[0].split(","):
        span, _, step = part.partition(":")
        first, _, last = span.partition("-")
        found += range(int(first), int(last or first) + 1, int(step or 1))
    return found


def spans(numbers: Iterable[int]) -> str:
    """The same the other way round, as `scancel` reads it."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and parts[-1][1] == number - 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(f"{first}-{last}" if last > first else str(first) for first, last in parts)


def rows(text: str) -> list[Row]:
    """The lines of `squeue -h -o FORMAT`; what is no line of an array of ours is passed over."""
    found = []
    for line in text.splitlines():
        fields = line.strip().split("|", 4)
        if len(fields) != 5:
            continue
        job, array, which = fields[1].partition("_")
        if not array:
            continue
        try:
            some = slots(which[1:-1]) if which.startswith("[") else [int(which)]
        except ValueError:
            continue
        found.append(Row(fields[0], job, some, fields[2], fields[3], "" if fields[4] == "None" else fields[4]))
    return found


def glimpses(found: Iterable[Row], chunks: Mapping[str, str]) -> dict[str, Glimpse]:
    """What these lines say of chunks (name to id of the array)."""
    names = {job: name for name, job in chunks.items()}
    queued: dict[str, set[int]] = {}
    running: dict[str, dict[int, str]] = {}
    stuck: dict[str, set[int]] = {}
    reasons: dict[str, str] = {}
    for row in found:
        name = names.get(row.job)
        if name is None:
            continue
        if row.state in QUEUED:
            queued.setdefault(name, set()).update(row.slots)
            if row.reason and row.reason != "JobArrayTaskLimit":
                reasons[name] = row.reason
            else:
                reasons.setdefault(name, row.reason)
            if _STUCK.search(row.reason) or row.state == "REQUEUE_HOLD":
                stuck.setdefault(name, set()).update(row.slots)
        elif row.state in RUNNING:
            running.setdefault(name, {}).update(dict.fromkeys(row.slots, row.host))
    return {
        name: Glimpse(frozenset(queued.get(name, ())), running.get(name, {}), reasons.get(name, ""),
                      frozenset(stuck.get(name, ())))
        for name in queued.keys() | running.keys()
    }  # fmt: skip


def end(state: str, words: str = "") -> Ended | None:
    """What a state means in which Slurm left a slot, None for one that is no end."""
    name = state.split(maxsplit=1)[0].rstrip("+") if state else ""
    if not name or name in QUEUED or name in RUNNING:
        return None
    told = state + (f" ({words})" if words and words not in ("None", "0:0") else "")
    return Ended(_ENDS.get(name, End.ENDED), told)


def ends(text: str) -> dict[int, Ended]:
    """Of `squeue -t all`, by slot: how those ended that are over."""
    found = {}
    for row in rows(text):
        told = end(row.state, row.reason)
        if told is not None:
            found.update(dict.fromkeys(row.slots, told))
    return found


def accounted(text: str) -> dict[int, Ended]:
    """The same of `sacct`, in `SACCT`."""
    found = {}
    for line in text.splitlines():
        fields = line.split("|")
        which = fields[0].partition("_")[2]
        if len(fields) >= 4 and which.isdigit():
            told = end(fields[1], f"exit code {fields[3]}" if fields[3] != "0:0" else "")
            if told is not None:
                found[int(which)] = told
    return found


def sort(message: str) -> Literal["silent", "busy", "refused"]:
    """What a failure of `sbatch` amounts to. What nobody knows is no reason to fail a task: it is tried again."""
    if "temporarily unable to accept" in message:
        return "busy"
    if _REFUSED.search(message):
        return "refused"
    return "silent" if _SILENT.search(message) else "busy"


def plain(message: str) -> str:
    """A command's complaint without what says nothing."""
    lines = [re.sub(r"^(?:sbatch|squeue|scancel|sinfo|scontrol|sacct): (?:error: )?", "", line).strip()
             for line in message.splitlines()]  # fmt: skip
    return "; ".join(dict.fromkeys(line for line in lines if line))[:300] or "no word of why"


def settings(text: str, *names: str) -> dict[str, str]:
    """Values in `scontrol show config`."""
    found = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and name.strip() in names:
            found[name.strip()] = value.strip()
    return found
