"""Where in a shell line a quoted value would not stay one word: in quotes, back-ticks, arithmetic, here-documents.
Which command is none; and which line is one program's start and no more, so that the shell need not stay.

A value is filled in quoted by itself. Within quotes that the user wrote, those quotes would become part of the value,
and a `$(…)` in the value would even be run. This is no shell parser: in doubt it says "quoted", and a value that
needs no quotes may stand anywhere; in doubt, too, the shell stays.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

ARGV = ("/bin/sh", "-c")
"""What runs a line."""

_DOUBTFUL = ("<<", "$((", "((", "$[")
"""Here-documents, whose end is hard to find, and arithmetic, which fills in what is quoted in it."""

_STEP = re.compile(r"""\\.|\$?\(\(|\$[(\[]|<<|#|["'`()]|[^\\$<#"'`()]+|.""", re.DOTALL)


_SINGLE = re.compile(
    r"""
    (?P<program>[\w./][\w./+-]*)                          # as it is written: no quotes, no A=1 before it
    (?=[ \t]|\Z)
    (?>
        [\w ./+=:,@%^~*?\[\]!{}\t-]+ | \\[^\n] | \$\w+ | \$\{\w+\} | '[^']*'
        | "(?> [^"\\$`]+ | \\. | \$\w+ | \$\{\w+\} )*"
        | >>(?![>&|(]) | >&[\d-] | >\| | >(?![>&|(]) | <&[\d-] | <(?![<>&(])
    )*
    """,
    re.DOTALL | re.VERBOSE,
)
"""One program, its arguments and where it reads and writes: nothing that a shell would still have to do afterwards."""

_OWN = frozenset("""
    . : alias bg bind break builtin caller case cd chdir command compgen complete compopt continue coproc declare dirs
    disown do done echo elif else enable esac eval exec exit export false fc fg fi for function getopts hash help
    history if in jobs kill let local logout mapfile popd print printf pushd pwd read readarray readonly return
    select set shift shopt source suspend test then time times trap true type typeset ulimit umask unalias unset until
    wait whence while
""".split())  # noqa: SIM905 - seventy words in quotes could not be read
"""What some shell does itself, or takes for a word of its language."""


def in_place(line: str, functions: Collection[str] = ()) -> str:
    """A line that a shell is to run, so that it makes way for the program where it would only wait for that: the task
    is one process then, not two, and a signal that ends it is told as one. `functions` are the shell's own, as bash
    takes them from the environment."""
    found = _SINGLE.fullmatch(line.strip(" \t"))
    if found is None or found["program"] in _OWN or found["program"] in functions:
        return line
    return f"exec {found.group()}"


def is_empty(command: str | Sequence[str]) -> bool:
    """Whether a shell line, or an argv, names no program."""
    return not (command if isinstance(command, str) else "".join(command[:1])).strip()


def quoted(line: str, offsets: Iterable[int]) -> set[int]:
    """Those of the offsets that stand inside quotes of some kind."""
    wanted = sorted(offsets)
    inside: set[int] = set()
    open_: list[str] = []  # what is open, by the character that closes it; within $( ) quoting starts afresh
    doubtful = False
    at = number = 0
    while at < len(line) and number < len(wanted):
        step, end = _next(line, at, open_)
        while number < len(wanted) and wanted[number] < end:
            if doubtful or "`" in open_ or open_[-1:] == ['"'] or step[0] in "'\\#":
                inside.add(wanted[number])
            number += 1
        doubtful = doubtful or step in _DOUBTFUL
        if open_ and step == open_[-1]:
            open_.pop()
        elif step in ('"', "`") and step not in open_[-1:]:
            open_.append(step)
        elif step in ("$(", "(") and (step == "$(" or open_[-1:] != ['"']):
            open_.append(")")
        at = end
    return inside


def _next(line: str, at: int, open_: list[str]) -> tuple[str, int]:
    """The next step and its end; a text in single quotes and a comment are one step."""
    match = _STEP.match(line, at)
    step = match.group() if match else line[at]
    bare = open_[-1:] != ['"']
    if step == "'" and bare:
        end = line.find("'", at + 1)
        return step, len(line) if end < 0 else end + 1
    if step == "#" and bare and (at == 0 or line[at - 1] in " \t\n;&|("):
        end = line.find("\n", at)
        return step, len(line) if end < 0 else end
    return step, at + len(step)
