"""What kind of job file this is, and what a script or a list of commands says besides its commands.

`#GRIST key = value` lines stand before the first line that is no comment. They are TOML; `header` gives them back
with all else blanked out, so that every key keeps its line and column. Reads text only: which file is executable,
and whether an interpreter exists, is found out elsewhere.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import Literal, TypeAlias

from gristmill.supervisor.core import parameters, template
from gristmill.supervisor.core.findings import Fault, Findings, shown

Kind: TypeAlias = Literal["command", "script", "list"]

_MARK = re.compile(r"#GRIST(?=[ \t]|$)")
_NEARLY = re.compile(r"""\s*#\s*GRIST(?:\s*:\s*|\s+)(?:\[|[\w."'-]+\s*=)""", re.IGNORECASE)
_WRITE = "write #GRIST key = value, from the first column on"


def kind(file: str, text: str, executable: bool) -> Kind:
    """What a file is by its name; raises `Fault` where it is no job."""
    suffix = posixpath.splitext(file)[1].lower()
    if suffix == ".toml":
        return "command"
    if suffix in (".txt", ".cmds"):
        return "list"
    if suffix in (".sh", ".py", ".slurm", ".sbatch") or (executable and text.startswith("#!")):
        return "script"
    if executable:
        raise Fault("executable, but no script", 'write its interpreter in the first line, such as "#!/bin/sh"')
    if text.startswith("#!"):
        raise Fault("a script that is not executable", "chmod +x it, or name it .sh or .py")
    what = f"no job file: {shown(suffix)} says nothing" if suffix else "no job file: a name without a suffix"
    raise Fault(what, "name it .toml, .sh, .py, .slurm, .txt or .cmds, or make a script with a #! line executable")


def header(text: str, findings: Findings | None = None) -> str:
    """The `#GRIST` lines as TOML in place, all else blank; lines that are only nearly so are noted."""
    lines = text.removeprefix("\ufeff").split("\n")
    kept = [""] * len(lines)
    top = True
    for number, line in enumerate(lines, 1):
        bare = line.strip()
        top = top and (not bare or bare.startswith("#"))
        marked = _MARK.match(line)
        if marked and top:
            kept[number - 1] = " " * marked.end() + line[marked.end() :]
        elif findings is not None and _NEARLY.match(line):
            if top:
                findings.add_at(number, 1, f"{shown(bare, 30)} is not read", _WRITE)
            elif marked:
                what = "a #GRIST line below the first line that is no comment is not read"
                findings.add_at(number, 1, what, "move it to the top of the file")
    return "\n".join(kept)


def command(file: str, text: str, findings: Findings) -> tuple[str, ...]:
    """The argv that starts a script, a template with `{script}`; what keeps it from starting is noted."""
    if not text.strip("\ufeff \t\r\n"):
        findings.add((), "the script is empty", "write what it has to do, then drop it again")
    if posixpath.splitext(file)[1].lower() == ".py":
        return ("python3", "{script}")
    first = text.split("\n", 1)[0]
    if text.startswith("\ufeff"):
        findings.add_at(1, 1, "an invisible byte-order mark before the first line", "save it as UTF-8 without one")
    elif "\r\n" in text:
        findings.add_at(1, len(first), "lines end as on Windows, which shells can't read", "convert it with dos2unix")
    if not first.startswith("#!"):
        return ("/bin/sh", "{script}")
    interpreter, *rest = first[2:].strip().split(maxsplit=1) or [""]
    if not interpreter.startswith("/"):
        what = "a #! line without an interpreter" if not interpreter else f"{shown(interpreter)} is no full path"
        findings.add_at(1, 1, what, "write " + shown(f"#!/usr/bin/env {interpreter or 'bash'}"))
    # The kernel hands over what follows the interpreter as one argument, whatever blanks are in it.
    return (template.literal(interpreter), *(template.literal(each) for each in rest), "{script}")


def lines(text: str, findings: Findings) -> Iterator[str]:
    """The commands of a list, as written; comments and blank lines are skipped, what can't run is noted."""
    found = 0
    for number, raw in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        line = raw.removesuffix("\r")
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found += 1
        fault = parameters.too_long({"line": line})
        if fault:
            findings.add_at(number, 1, fault.what, "put it into a script and write the script's name here")
        yield line
    if not found:
        findings.add((), "no command in the list", "write one shell command a line")
