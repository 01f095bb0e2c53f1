"""The man page grist(1), as troff reads it, written from the table of commands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gristmill.supervisor.core.commands import Verb

ABOUT = """Jobs are files that are dropped into a folder. A daemon takes them in, hands their tasks to a pool of worker
processes, and finds by itself how many of those the machine can feed; it says why so many. What runs outlives the
daemon. Files named *.toml are jobs in full, scripts run as they are, and of *.txt and *.cmds each line is a command."""
FILES = (
    ("jobs/", "The folder that jobs are dropped into: the nearest one upward, or --jobs, or GRIST_JOBS."),
    ("jobs/accepted/, done/, failed/, rejected/", "Where their files go; beside a rejected one lies why."),
    ("jobs/.gristmill/settings.toml", "Settings of this jobs folder; they win over those of the user."),
    ("~/.config/gristmill/settings.toml", "Settings of the user."),
    ("~/.local/state/gristmill/", "State folders: database, logs, results. Others: --state, GRIST_STATE."),
)
ENVIRONMENT = (
    ("GRIST_JOBS, GRIST_STATE", "The jobs folder and the state folder, where no option names them."),
    ("GRIST_WHO", "Where daemons leave their figures for grist who, in the place of /tmp."),
    ("NO_COLOR", "No colours."),
)
EXITS = (
    ("0", "Good."), ("1", "A job failed."), ("2", "Usage, or a bad job file."), ("3", "No daemon runs."),
    ("4", "The wait ended first."),
)  # fmt: skip


_SIGNS = str.maketrans({
    "\\": r"\e", "-": r"\-", "'": r"\(aq", "`": r"\(ga", '"': r"\(dq", "~": r"\(ti", "^": r"\(ha", "–": r"\(en",
    "…": "...",
})
COMMON = ("--help", "--jobs", "--state")
"""Options of all verbs, told once."""


def page(verbs: Sequence[Verb], version: str) -> str:
    """The whole page."""
    lines = [
        f'.TH GRIST 1 "" "gristmill {_text(version)}" "User Commands"',
        ".SH NAME", r"grist \- drop a job file into a folder; the machine does the rest",
        ".SH SYNOPSIS", ".B grist", r".I VERB", r"[\fIoption\fR ...] [\fIargument\fR ...]",
        ".SH DESCRIPTION", _text(ABOUT), ".SH COMMANDS", _text("All take --help, --jobs DIR and --state DIR."),
    ]
    for verb in verbs:
        lines += _verb(verb)
    for title, rows in (("FILES", FILES), ("ENVIRONMENT", ENVIRONMENT), ("EXIT STATUS", EXITS)):
        lines += [f".SH {title}", *_listed(rows)]
    return "\n".join(lines) + "\n"


def _verb(verb: Verb) -> list[str]:
    lines = [f'.SS "{_text(verb.usage)}"', _text(verb.summary[0].upper() + verb.summary[1:]) + "."]
    if verb.notes:
        lines += [".PP", _text(verb.notes)]
    lines += _listed((one.name, one.help) for one in verb.arguments if one.help)
    lines += _listed(
        (", ".join(option.flags) + (f" {option.value}" if option.value else ""), option.help)
        for option in verb.options if option.flags[-1] not in COMMON
    )
    if verb.examples:
        lines += [".PP", "Examples:", ".PP", ".nf", ".RS", *map(_text, verb.examples), ".RE", ".fi"]
    return lines


def _listed(rows: Iterable[tuple[str, str]]) -> list[str]:
    return [line for term, words in rows for line in (".TP", rf"\fB{_text(term)}\fR", _text(words))]


def _text(text: str) -> str:
    """Text as it is: nothing in it is taken for an order."""
    plain = text.translate(_SIGNS)
    return "\n".join(rf"\&{line}" if line.startswith(".") else line for line in plain.split("\n"))
