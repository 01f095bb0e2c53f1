"""What a job file says of the time when its tasks have ended: the [finally] step, and what becomes of the results."""

from __future__ import annotations

from functools import partial
from typing import Literal

from msgspec import UNSET

from gristmill.supervisor.core import calls, entries, keys, parameters, shell, template, usage
from gristmill.supervisor.core.findings import Findings, Path
from gristmill.supervisor.core.spec import Finish

KNOWN = ("results", "job")
"""Placeholders of that step: it has no items."""
_COMMAND: Path = ("finally", "command")


def read(layout: keys.JobFile, findings: Findings) -> Finish | None:
    """The [finally] step, None where there is none."""
    table = layout.last
    if table is UNSET:
        return None
    if table.call is not UNSET:
        return _call(layout, table, table.call, findings)
    if table.command is UNSET:
        if not findings.touched("finally"):
            mend = 'say what runs, such as command = "python merge.py {results}"'
            findings.add(("finally",), "finally without a command", mend)
        return None
    command = table.command if isinstance(table.command, str) else tuple(table.command)
    if shell.is_empty(command):
        findings.add(_COMMAND, "finally.command is empty", 'say what runs, such as "python merge.py {results}"')
    _check_holes(command, findings, (*KNOWN, *(("snapshot",) if layout.snapshot is not UNSET else ())))
    return Finish(command=command, on=table.on, timeout_s=_timeout(table, findings))


def _call(layout: keys.JobFile, table: keys.FinallyTable, call: str, findings: Findings) -> Finish:
    """A step that is a call, made where the job's own are."""
    if table.command is not UNSET:
        findings.add(("finally", "call"), "both finally.command and finally.call", "keep the one that runs")
    elif layout.call is UNSET and not findings.touched("call"):
        what = "finally.call in a job without a call has no interpreter to be made in"
        findings.add(("finally", "call"), what, 'write finally.command, such as "python merge.py {results}"')
    target = findings.take(("finally", "call"), partial(calls.target_of, call), "")
    return Finish(call=target, on=table.on, timeout_s=_timeout(table, findings))


def _timeout(table: keys.FinallyTable, findings: Findings) -> float | None:
    return entries.seconds(table.timeout, ("finally", "timeout"), findings)


def export(layout: keys.JobFile) -> Literal["csv", "json", "parquet"] | None:
    """The form in which results are put beside the job's file when it has ended, None for not at all."""
    if layout.results is UNSET or layout.results.export is UNSET:
        return None
    return layout.results.export


def _check_holes(command: str | tuple[str, ...], findings: Findings, known: tuple[str, ...]) -> None:
    texts: dict[Path, str] = {_COMMAND: command} if isinstance(command, str) else {
        (*_COMMAND, number): part for number, part in enumerate(command)
    }
    for path, text in texts.items():
        none: tuple[template.Hole, ...] = ()
        holes = findings.take(path, partial(template.holes, text), none)
        for hole in holes:
            fault = usage.unknown(hole, text, known)
            if fault:
                findings.add(path, fault.what, fault.mend)
        if isinstance(command, str) and shell.quoted(text, [hole.offset for hole in holes]):
            findings.add(path, "a placeholder stands inside quotes", "take it out of them: values are quoted for you")
        if len(text.encode()) > parameters.LONGEST:
            findings.add(path, f"longer than {parameters.LONGEST:,} bytes", "put it into a script and run that")
