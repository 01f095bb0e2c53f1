"""Which variables of a shell a job takes along: those named, or all but secrets and what belongs to the session."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from gristmill.supervisor.core import parameters
from gristmill.supervisor.core.errors import GristError
from gristmill.supervisor.core.findings import shown
from gristmill.supervisor.core.secrets import secret

_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_SESSION = frozenset(
    (
        *("_", "PWD", "OLDPWD", "SHLVL", "SHELL", "TERM", "COLORTERM", "COLUMNS", "LINES", "STY", "WINDOW", "WINDOWID"),
        *("DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "PS1", "PS2", "PS4", "PROMPT_COMMAND", "LS_COLORS", "MAIL"),
        *("GPG_AGENT_INFO", "GPG_TTY", "NOTIFY_SOCKET", "INVOCATION_ID", "JOURNAL_STREAM", "DBUS_SESSION_BUS_ADDRESS"),
        *("VIRTUAL_ENV_PROMPT", "CONDA_PROMPT_MODIFIER", "LESSOPEN", "LESSCLOSE", "HISTFILE", "HISTSIZE"),
    )
)
_OF_SESSION = (
    *("SSH_", "TMUX", "XDG_SESSION", "XDG_SEAT", "XDG_VTNR", "XDG_RUNTIME", "TERM_", "GRIST_", "TEXTUAL", "BASH_"),
)


def taken(environ: Mapping[str, str], names: Iterable[str], everything: bool) -> tuple[dict[str, str], list[str]]:
    """The variables that a job takes along, and the names of secrets that were left behind.

    `names` are `NAME`, for the shell's value, or `NAME=value`; these are taken whatever they are called. Raises
    `GristError` for one that is not there, or can't be handed on.
    """
    found: dict[str, str] = {}
    left: list[str] = []
    for name, value in environ.items() if everything else ():
        if not _NAME.fullmatch(name) or name in _SESSION or name.startswith(_OF_SESSION) or not _fits(value):
            continue
        if secret(name):
            left.append(name)
        else:
            found[name] = value
    for given in names:
        name, equals, value = given.partition("=")
        if not _NAME.fullmatch(name):
            raise GristError(f"--env {shown(name)}: no variable is called so – write --env NAME or --env NAME=VALUE")
        if not equals and name not in environ:
            raise GristError(f"--env {name}: the shell has no such variable – write --env {name}=VALUE, or export it")
        found[name] = value if equals else environ[name]
        if not _fits(found[name]):
            raise GristError(f"--env {name}: longer than {parameters.LONGEST:,} bytes, or no text – put it into a file")
    return found, sorted(set(left) - found.keys())


def _fits(value: str) -> bool:
    try:
        return len(value.encode()) <= parameters.LONGEST
    except UnicodeEncodeError:
        return False
