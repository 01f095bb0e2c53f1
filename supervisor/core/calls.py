"""What a job file says of the function that it calls: read into a `Call`, with what is wrong about it noted.

Whether the module is there, and whether the function takes what it is given, only its interpreter can tell
(`worker/warm.py`).
"""

from __future__ import annotations

from functools import partial
from typing import Literal

from msgspec import UNSET

from gristmill.supervisor.core import entries, items, keys
from gristmill.supervisor.core.findings import Fault, Findings, Path, shown
from gristmill.supervisor.core.spec import Call, Items, Recycle

CREEP = 256 << 20
"""Bytes that a process that is used again may grow by, where the job says nothing."""
_LEAST_GROWTH = 1 << 20
_COMPANIONS = ("preload", "python", "isolation", "recycle")


def read(layout: keys.JobFile, where: entries.Place, findings: Findings) -> Call | None:
    """The call of a job, None where it has none; what it takes is settled once the items are known (`taking`)."""
    if layout.call is UNSET:
        for key in _COMPANIONS:
            if getattr(layout, key) is not UNSET and not findings.touched("call"):
                other = "write the interpreter into the command" if key == "python" else f"remove {key}"
                findings.add((key,), f"{key} without call changes nothing", f'add call = "module:function", or {other}')
        return None
    if layout.command is not UNSET:
        findings.add(("call",), "both command and call", "keep the one that a task runs")
    if layout.recycle is not UNSET and layout.isolation != "reuse":
        what = "recycle changes nothing where each call has a process of its own"
        findings.add(("recycle",), what, 'add isolation = "reuse", or remove recycle')
    for key in ("venv", "conda"):
        if layout.python is not UNSET and getattr(layout, key) is not UNSET:
            findings.add(("python",), f"both python and {key}", "keep the one that has the interpreter")
    if layout.resources is not UNSET and layout.resources.strict:
        what = "strict is for commands: a call has the memory that its module loaded in its address space"
        findings.add(("resources", "strict"), what, "remove it; the governor watches what calls use")
    if layout.pty:
        findings.add(("pty",), "pty is for commands: a call has no terminal", "remove it")
    if layout.isolation == "reuse" and layout.resources is not UNSET and not findings.touched("resources"):
        for key in ("gpus", "gpu_memory"):
            if getattr(layout.resources, key) is not UNSET:
                what = "a process that is used again keeps the card of its first call"
                findings.add(("resources", key), what, "leave isolation out: each call has a process of its own")
    preload = None if layout.preload is UNSET else layout.preload
    return Call(
        target=findings.take(("call",), partial(target_of, layout.call), ""),
        preload=None if preload is None else findings.take(("preload",), partial(target_of, preload), None),
        python=_interpreter(layout, where, findings),
        recycle=_recycle(layout, findings) if layout.isolation == "reuse" else None,
    )


def taking(layout: keys.JobFile, made: Items) -> Literal["nothing", "parameters", "index", "range"]:
    """What each call is given, by what the job says of its items."""
    table = layout.items if layout.items is not UNSET else keys.ItemsTable()
    if table.per_task not in (UNSET, 1):
        return "range"
    if items.names(made):
        return "parameters"
    return "nothing" if layout.items is UNSET else "index"


def target_of(text: str) -> str:
    """A function as a job file names it; raises Fault where that names none."""
    module, colon, function = text.partition(":")
    dotted = [*module.split("."), *function.split(".")]
    if colon and all(part.isidentifier() for part in dotted) and not module.endswith(".py"):
        return text
    mend = 'write "module:function", such as "cubes:make"'
    stem = module.removesuffix(".py").rpartition("/")[2]
    if colon and module.endswith(".py") and stem.isidentifier():
        mend = f'write the module, not its file: "{stem}:{shown(function)[1:-1]}"'
    elif not colon and all(part.isidentifier() for part in module.split(".")) and "." in module:
        mend = f'write a colon before the function: "{":".join(module.rsplit(".", 1))}"'
    raise Fault(f"{shown(text)} names no function of a module", mend)


def _interpreter(layout: keys.JobFile, where: entries.Place, findings: Findings) -> str | None:
    if layout.python is UNSET or (layout.python.strip() and "/" not in layout.python):
        return None if layout.python is UNSET else layout.python.strip()
    return entries.path(layout.python, ("python",), where, findings)


def _recycle(layout: keys.JobFile, findings: Findings) -> Recycle:
    if isinstance(layout.recycle, int):
        return Recycle(tasks=layout.recycle, memory_bytes=CREEP)
    table = layout.recycle if layout.recycle is not UNSET else keys.RecycleTable()
    path: Path = ("recycle", "memory")
    growth = entries.size(table.memory, path, findings, _LEAST_GROWTH)
    return Recycle(tasks=None if table.tasks is UNSET else table.tasks, memory_bytes=growth or CREEP)
