"""A job file's text made into a `Spec`, or into every problem that keeps it from being one.

The only door to what the neighbours know: `script` (kinds of file, #GRIST lines), `slurm` (#SBATCH lines), `document`
(TOML and places), `walker` and `keys` (what a file may say), `grid` and `cases` (the items), `entries` (single keys),
`usage` (what placeholders are used for). Opens nothing: the text of an `[items] file` comes through `read`, and whether
folders and programs exist is `edge.environment`'s to examine.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from msgspec import UNSET, structs

from gristmill.supervisor.core import (
    calls,
    cases,
    document,
    entries,
    finishing,
    freeze,
    gate,
    grid,
    items,
    keys,
    script,
    shell,
    slurm,
    usage,
    walker,
)
from gristmill.supervisor.core.errors import JobFileError, Problem
from gristmill.supervisor.core.findings import Fault, Findings, Path, place, shown
from gristmill.supervisor.core.spec import Items, Spec

_SAY = 'say what a task runs, such as command = "python3 train.py" or call = "module:function"'


@dataclass(frozen=True, slots=True)
class _File:
    """A job file, and what it is read against."""

    text: str
    name: str
    kind: script.Kind
    where: entries.Place
    read: Callable[[str], str]


def parse(text: str, file: str, *, cwd: str, home: str, executable: bool = False, read: Callable[[str], str]) -> Spec:
    """The job that a file asks for; raises `JobFileError` with all problems, and nothing else for any text.

    `file` is the file's name, whose suffix decides what it is. `cwd` (absolute) is the default working folder; every
    relative path in the file is relative to it. `read` returns the text of an `[items] file`, or raises `OSError`.
    """
    findings = Findings()
    name = posixpath.basename(file)
    try:
        kind = script.kind(name, text, executable)
        spec = _parse(_File(text, name, kind, entries.Place(cwd, home), read), findings)
    except Fault as fault:  # one that makes all else pointless
        raise JobFileError(file, (Problem(0, 0, fault.what, fault.mend),)) from fault
    except RecursionError:
        raise JobFileError(file, (Problem(0, 0, "nested too deep", "write it flat"),)) from None
    problems = findings.problems()
    if problems:
        raise JobFileError(file, problems)
    return spec


def locate(text: str, file: str, path: Path) -> tuple[int, int]:
    """Line and column, from 1, of a key of a job file (or of the key above it); (0, 0) for the file as a whole."""
    toml = posixpath.splitext(file)[1].lower() == ".toml"
    read = document.read(_plain(text) if toml else script.header(text))
    found = place(read.places if toml else {**slurm.read(text, read.values, Findings()).places, **read.places}, path)
    if not toml and path[:1] == ("command",):
        return 1, 1  # the #! line
    return found


def _parse(file: _File, findings: Findings) -> Spec:
    """The job as far as it can be understood; only worth anything if nothing was found."""
    if _unreadable(file.text, findings):
        return Spec(name="", kind=file.kind, command="", cwd=file.where.cwd)
    plain = _plain(file.text) if file.kind == "command" else script.header(file.text, findings)
    found = document.read(plain)
    findings.places = found.places
    if found.problem:
        findings.add_at(found.problem.line, found.problem.column, found.problem.what, found.problem.mend)
    values = found.values if file.kind == "command" else _without_command(found.values, file.kind, findings)
    asked = slurm.read(file.text, values, findings) if file.kind == "script" else slurm.Script(keys=values)
    values = asked.keys
    findings.places = {**asked.places, **found.places}
    layout = walker.walk(values, keys.JobFile, (), findings)
    if not (found.problem or file.kind != "command" or "command" in values or "call" in values):
        what = "command is missing" if file.text.strip() else "the file is empty"
        findings.add((), what, _SAY)
    command = _command(file, layout, findings)
    call = calls.read(layout, file.where, findings)
    env = entries.env(layout, plain, findings)
    stdin = None if layout.stdin is UNSET else layout.stdin
    made = _items(file, layout, values, findings)
    uses = usage.Uses(
        texts=usage.templates(() if file.kind == "script" or call else command, stdin, env),
        names=("line",) if file.kind == "list" else _names(values, made, findings),
        script=file.text if file.kind == "script" else "",
        more=("snapshot",) if layout.snapshot is not UNSET else (),
    )
    made = usage.settle(made, layout.items.per_task if layout.items is not UNSET else UNSET, uses, findings)
    if call is not None:
        call = structs.replace(call, takes=calls.taking(layout, made))
    if layout.venv is not UNSET and layout.conda is not UNSET:
        findings.add(("conda",), "both venv and conda", "keep the one that the job runs in")
    return Spec(
        name=findings.take(("name",), partial(entries.name, layout.name, file.name), ""),
        kind=file.kind if call is None else "call",
        command=command if call is None else (),
        slurm=asked.slurm and structs.replace(asked.slurm, submit=file.where.cwd),
        snapshot=freeze.read(layout, findings),
        call=call,
        where="" if layout.where is UNSET else layout.where,
        batch=entries.batch(layout.slurm, ("slurm",), findings),
        cwd=entries.path(layout.cwd, ("cwd",), file.where, findings) or file.where.cwd,
        items=made,
        stdin=stdin,
        env=env,
        venv=entries.path(layout.venv, ("venv",), file.where, findings),
        conda=entries.conda(layout.conda, file.where, findings),
        gate=structs.replace(gate.read(layout, findings), singleton=asked.singleton),
        priority=layout.priority,
        nice=None if layout.nice is UNSET else layout.nice,
        timeout_s=entries.seconds(layout.timeout, ("timeout",), findings),
        grace_s=entries.seconds(layout.grace, ("grace",), findings, zero=True) or 0.0,
        retry=entries.retry(layout, findings),
        limits=entries.limits(layout, findings),
        resources=entries.resources(layout, findings),
        on_reboot=layout.on_reboot,
        finish=finishing.read(layout, findings),
        export=finishing.export(layout),
        leftovers=layout.leftovers,
        notify=entries.notify(layout.notify, findings),
        stderr=layout.stderr,
        pty=layout.pty,
    )


def _plain(text: str) -> str:
    return text.removeprefix("\ufeff")


def _unreadable(text: str, findings: Findings) -> bool:
    """Whether the text is none: characters that no program could be handed."""
    for sign, what in (("\0", "a NUL character"), ("[\ud800-\udfff]", "not UTF-8")):
        found = re.search(sign, text)
        if found:
            line = text.count("\n", 0, found.start()) + 1
            column = found.start() - text.rfind("\n", 0, found.start())
            findings.add_at(line, column, what, "save the file as plain UTF-8 text")
            return True
    return False


def _without_command(values: dict[str, Any], kind: script.Kind, findings: Findings) -> dict[str, Any]:
    """The keys of a script or a list, which has its command in itself."""
    for key in ("command", "call"):
        if key in values:
            own = "a script is its own command" if kind == "script" else "each line of a list is a command"
            findings.add((key,), f"{key} in a {kind}: {own}", f"remove {key}, or write a .toml job")
    return {key: value for key, value in values.items() if key not in ("command", "call")}


def _command(file: _File, layout: keys.JobFile, findings: Findings) -> str | tuple[str, ...]:
    if file.kind == "script":
        return script.command(file.name, file.text, findings)
    if file.kind == "list":
        return (*shell.ARGV, "{line}")
    if layout.command is UNSET:
        return ""
    command = layout.command if isinstance(layout.command, str) else tuple(layout.command)
    if shell.is_empty(command):
        findings.add(("command",), "command is empty", _SAY)
    return command


def _items(file: _File, layout: keys.JobFile, values: dict[str, Any], findings: Findings) -> Items:
    """The items, one a task as yet."""
    table = layout.items if layout.items is not UNSET else keys.ItemsTable()
    sources: list[Path] = [("grid",)] if layout.grid is not UNSET else []
    if layout.items is not UNSET:
        sources += [("items", key) for key in ("total", "file", "list", "open") if key in values["items"]]
    if file.kind == "list":
        for path in sources:
            findings.add(path, f"{'.'.join(map(str, path))} in a list: its lines are the items", "remove it")
        found: cases.Cases = tuple({"line": line} for line in script.lines(file.text, findings))
        return Items(total=len(found) or 1, cases=found)
    if len(sources) > 1:
        said = " and ".join(".".join(map(str, path)) for path in sources)
        findings.add(sources[-1], f"{said} both say what the items are", "keep one of them")
    elif layout.items is not UNSET and not sources and not findings.touched("items"):
        findings.add(("items",), "items does not say how many there are", "give total, file or list")
    if layout.grid is not UNSET:
        return grid.read(values["grid"], layout.grid, findings)
    if table.listed is not UNSET:
        return _written(findings, ("items", "list"), partial(cases.listed, table.listed))
    if table.file is not UNSET:
        return _written(findings, ("items", "file"), partial(_from_file, table.file, file))
    if table.open is not UNSET:
        if table.per_task not in (UNSET, 1):
            findings.add(("items", "per_task"), "items that come one by one are tasks of their own", "remove per_task")
        return Items(total=0, open=table.open)
    return Items(total=table.total if table.total is not UNSET else 1)


def _names(values: dict[str, Any], made: Items, findings: Findings) -> tuple[str, ...] | None:
    """The parameters that a file means its items to have, right or wrong their values; None if it can't be told."""
    grid_table = values.get("grid")
    if isinstance(grid_table, dict):
        written = tuple(name for name in grid_table if name not in keys.names(keys.GridTable))
        return written or (None if findings.touched("grid") else items.names(made))
    return None if findings.touched("grid") or findings.touched("items") else items.names(made)


def _written(findings: Findings, path: Path, make: Callable[[], cases.Cases]) -> Items:
    none: cases.Cases = ()
    found = findings.take(path, make, none)
    return Items(total=len(found) or 1, cases=found)


def _from_file(path: str, file: _File) -> cases.Cases:
    path = entries.absolute(path, file.where)
    try:
        text = file.read(path)
    except OSError as error:
        why = (error.strerror or type(error).__name__).lower()
        raise Fault(f"{shown(path, 200)} can't be read: {why}", f"a path is relative to {file.where.cwd}") from error
    except ValueError as error:  # not UTF-8
        raise Fault(f"{shown(path, 200)} is not UTF-8 text", "convert it") from error
    return cases.from_text(text, path)
