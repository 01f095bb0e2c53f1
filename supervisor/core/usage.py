"""What a job uses its placeholders for: whether they exist, stand where they can, and how many items a task may have.

A task of several items has no single parameter and no single index, so what a command uses settles `per_task` where
the file leaves it open.
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from gristmill.supervisor.core import items, parameters, shell, shorthand, template
from gristmill.supervisor.core.findings import Fault, Findings, Path, dotted, shown
from gristmill.supervisor.core.secrets import secret
from gristmill.supervisor.core.spec import Items


def templates(command: str | tuple[str, ...], stdin: str | None, env: Mapping[str, str]) -> dict[Path, str]:
    """All texts of a job that may hold placeholders, by the key that they stand at."""
    found: dict[Path, str] = {("command",): command} if isinstance(command, str) else {}
    if not isinstance(command, str):
        found.update({("command", number): part for number, part in enumerate(command)})
    if stdin is not None:
        found["stdin",] = stdin
    return found | {("env", name): value for name, value in env.items()}


@dataclass(frozen=True, slots=True)
class Uses:
    """What a job does with its items: texts with placeholders by their key, its parameters (None where what they are
    can't be told), and the text of a script, which reads them from its environment.
    """

    texts: Mapping[Path, str]
    names: tuple[str, ...] | None
    script: str
    more: tuple[str, ...] = ()
    """Placeholders that it has beside these and those of all jobs."""


def settle(made: Items, per_task: int | Literal["auto"] | UnsetType, uses: Uses, findings: Findings) -> Items:
    """The items with their number a task; what is wrong with placeholders is noted.

    Without `per_task`: 1, or "auto" where `{count}` is used. "auto" is 1 where something needs a single item, else the
    daemon chooses.
    """
    used: set[str] = set()
    short = shorthand.known(uses.names or ())
    for path, text in uses.texts.items():
        none: tuple[template.Hole, ...] = ()
        holes = findings.take(path, partial(_holes, path, text), none)
        used |= {hole.name for hole in holes}
        for hole in holes if uses.names is not None else ():
            if findings.full:
                break  # nobody reads more problems than are told
            fault = unknown(hole, text, (*(uses.names or ()), *uses.more, *parameters.BUILTIN, *short))
            if fault and _hidden(path):
                findings.add(path, *_BRACES)
            elif fault:
                findings.add(path, fault.what, fault.mend)
        if path == ("command",) and len(text.encode()) > parameters.LONGEST:
            findings.add(path, f"longer than {parameters.LONGEST:,} bytes", "put it into a script and run that")
    if ("command",) in uses.texts:
        _check_quotes(uses.texts["command",], made, findings)
    mentioned = set(re.findall(r"(?<!\w)GRIST_\w*", uses.script + "\n".join(uses.texts.values())))
    sources = {shorthand.source(name) for name in used}
    single = [name for name in items.names(made) if name in sources or parameters.variable(name) in mentioned]
    if used & {"index", shorthand.NUMBER}:
        single.append("index")
    if per_task is UNSET:
        per_task = "auto" if "count" in used else 1
    if per_task == "auto":
        return msgspec.structs.replace(made, per_task=1 if single else None)
    if per_task > 1 and single:
        name = single[0]
        mend = "write per_task = 1" + (", or use {start} and {count}" if name != "line" else "")
        findings.add(("items", "per_task"), f"a task of {per_task:,} items has no single {_hole(name)}", mend)
    return msgspec.structs.replace(made, per_task=per_task)


_BRACES = ("braces in the value of a secret", "write {{ and }} for literal braces")


def _hidden(path: Path) -> bool:
    """Whether what stands there is not to be shown."""
    return path[0] == "env" and len(path) > 1 and secret(str(path[1]))


def _holes(path: Path, text: str) -> tuple[template.Hole, ...]:
    try:
        return template.holes(text)
    except Fault:
        if _hidden(path):
            raise Fault(*_BRACES) from None
        raise


def _hole(name: str) -> str:
    """A placeholder as one would write it."""
    return f"{{{shown(name)[1:-1]}}}"


def unknown(hole: template.Hole, text: str, known: tuple[str, ...]) -> Fault | None:
    """What is wrong with a placeholder's name, or None."""
    name = hole.name
    if name in known:
        return None
    what = f"unknown placeholder {_hole(name)}"
    if not name.strip():
        return Fault("{} names no placeholder", "write {{}} for literal braces, or a name in it")
    if name.strip() in known:
        return Fault(what, f"write {_hole(name.strip())}, without blanks")
    base = re.split("[:!.[]", name, maxsplit=1)[0]
    if base in known:
        return Fault(what, f"write {_hole(base)}: values are filled in as they are, without a format")
    if hole.offset and text[hole.offset - 1] == "$":
        return Fault(what, f"for the shell's variable write ${{{_hole(name)}}}")
    near = difflib.get_close_matches(name[:40].lower(), known[:100], n=1)
    if near:
        return Fault(what, f"did you mean {_hole(near[0])}?")
    listed = ", ".join(map(_hole, known[:12]))
    return Fault(what, f"use {listed}, or write {{{{ and }}}} for literal braces")


def _check_quotes(command: str, made: Items, findings: Findings) -> None:
    """Refuse a placeholder inside quotes if one of its values needs quotes of its own."""
    try:
        holes = [hole for hole in template.holes(command) if shorthand.source(hole.name) in items.names(made)]
    except Fault:
        return
    inside = shell.quoted(command, [hole.offset for hole in holes])
    for name in dict.fromkeys(hole.name for hole in holes if hole.offset in inside):
        texts = shorthand.parts(name, _texts(made, shorthand.source(name)))
        bad = next((value for value in texts if shlex.quote(value) != value), None)
        if bad is not None:
            told = dotted((shorthand.source(name),))
            what = f"{told} stands inside quotes, and its value {shown(bad)} needs quotes of its own"
            findings.add(("command",), what, f"take {_hole(name)} out of the quotes: values are quoted for you")


def _texts(made: Items, name: str) -> list[str]:
    """The text values of a parameter; numbers need no quotes."""
    values = [value for axis in made.axes if axis.name == name for value in axis.values]
    return [value for value in (*values, *(case.get(name) for case in made.cases)) if isinstance(value, str)]
