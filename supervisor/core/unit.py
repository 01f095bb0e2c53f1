"""The systemd user unit of one jobs folder, as text: its name, its lines, and the quoting that systemd wants.

Pure. Refuses a path that a unit file can't hold. The first line carries a digest of all others, so that a unit that
was changed by hand is told from one that is merely old.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from gristmill.supervisor.core.digest import sha256
from gristmill.supervisor.core.errors import GristError

MARK = "# Written by `grist service install`, which knows its own text by this digest: "


@dataclass(frozen=True, slots=True)
class Unit:
    """What a unit says: the words that start the daemon, the folder they are about, and where programs are found.

    `documentation` is a URI, "" where there is none to be read.
    """

    command: tuple[str, ...]
    jobs: str
    path: str
    documentation: str = ""


def name(real_jobs: str) -> str:
    """The unit's name, from the jobs folder free of links: the folder that holds it, and a digest of the whole."""
    parts = real_jobs.strip("/").split("/")
    above = parts[-2] if len(parts) > 1 else parts[-1]
    slug = re.sub(r"[^a-z0-9]+", "-", above.lower()).strip("-")[:40].strip("-") or "jobs"
    digest = sha256(real_jobs.encode("utf-8", "surrogateescape"))[:10]
    return f"gristmill-{slug}-{digest}.service"


def text(unit: Unit) -> str:
    """The unit file."""
    program, *rest = unit.command
    # Variables are replaced in every word but the first, which is the program's path and has no way to write a $.
    words = [word(program), *(word(argument, variables=True) for argument in rest)]
    if "$" in program:
        start = ("-c", 'exec "$0" "$@"', *unit.command)
        words = ["/bin/sh", *(word(argument, variables=True) for argument in start)]
    documentation = f"Documentation={value(unit.documentation)}\n" if unit.documentation else ""
    body = f"""\
[Unit]
Description=Gristmill ({value(unit.jobs)})
{documentation}StartLimitIntervalSec=600
StartLimitBurst=6

[Service]
ExecStart={" ".join(words)}
# Not the jobs folder: it could not be unmounted or replaced then.
WorkingDirectory=%h
# Programs of tasks are found where they were found when this was installed.
Environment={word("PATH=" + unit.path)}
Restart=on-failure
RestartSec=10
# Stopping, restarting or upgrading the daemon leaves running tasks alone; the next daemon takes them over.
KillMode=process
# A task that is killed for its memory does not take the daemon and all other tasks with it.
OOMPolicy=continue
# Claims of memory and cores are enforced in groups below this one, the daemon has a leaf of its own (systemd ≥ 254).
Delegate=yes
DelegateSubgroup=daemon
# As little beside others as tasks at niceness 10: inside a control group niceness counts among its own alone.
CPUWeight=11
# Tasks may be many, and each may have threads; what the user may have bounds them still.
TasksMax=infinity

[Install]
WantedBy=default.target
"""
    return f"{MARK}{digest(body)}\n{body}"


def digest(body: str) -> str:
    """Names a text."""
    return sha256(body.encode())[:16]


def untouched(written: str) -> bool:
    """Whether a unit file is as some `grist service install` wrote it."""
    first, _, body = written.partition("\n")
    return first == MARK + digest(body)


def word(plain: str, *, variables: bool = False) -> str:
    """One word of a line that systemd splits; with `variables` of one in which it also replaces $NAME."""
    quoted = value(plain, backslash=True).replace('"', '\\"')
    if variables:
        quoted = quoted.replace("$", "$$")
    return quoted if re.fullmatch(r"[A-Za-z0-9_@%+=:,./$-]+", quoted) else f'"{quoted}"'


def value(plain: str, *, backslash: bool = False) -> str:
    """A text in which systemd replaces %x alone; `backslash` where it also undoes escapes."""
    if not plain.isprintable():  # newlines and controls; also what is not UTF-8, which arrives as surrogates
        raise GristError(f"{plain!r}: a unit file can't hold such a name – rename that folder")
    doubled = plain.replace("%", "%%")
    return doubled.replace("\\", "\\\\") if backslash else doubled


def by_hand(command: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Ways to keep a daemon going without systemd: (what it is, the line to type)."""
    line = shlex.join(command)
    crontab = line.replace("%", "\\%")  # cron ends a command at a bare one
    return (
        ("until the machine restarts", f"nohup {line} >/dev/null 2>&1 &"),
        ("where you can look at it, in tmux", f"tmux new-session -d -s gristmill {shlex.quote(line)}"),
        ("at every start of the machine, a line for `crontab -e`", f"@reboot {crontab}"),
    )
