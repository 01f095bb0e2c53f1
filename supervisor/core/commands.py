"""The commands as a table: what `--help` knows, for completion and for the man page. Values alone."""

from __future__ import annotations

from dataclasses import dataclass

FILES = ("FILE", "PATH")
JOBS = ("JOB", "JOB[/TASK]", "ID")


@dataclass(frozen=True, slots=True)
class Option:
    """An option: its spellings, and the name of the value that it takes, "" for none."""

    flags: tuple[str, ...]
    value: str
    help: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Argument:
    """A positional argument."""

    name: str
    help: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verb:
    """A command: one line of what it does, how it is written, its arguments, notes and examples."""

    name: str
    summary: str
    usage: str
    options: tuple[Option, ...]
    arguments: tuple[Argument, ...]
    notes: str = ""
    examples: tuple[str, ...] = ()


def wants(name: str, choices: tuple[str, ...]) -> str:
    """What can be offered for a value of this name: `words`, `jobs`, `folders`, `files`, or `nothing`."""
    if choices:
        return "words"
    return "folders" if name in ("DIR", "JOBS") else "jobs" if name in JOBS else "files" if name in FILES else "nothing"
