"""The `#SBATCH` lines at the top of a script, as sbatch itself reads them: options with their values and places.

Owns the spelling alone: which lines count, quotes and comments in them, long, short and shortened forms. What an option
amounts to here is `slurm`'s.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import NamedTuple

from gristmill.supervisor.core.findings import Fault, Findings, shown
from gristmill.supervisor.core.secrets import masked

_MARK = "#SBATCH"
_NEARLY = re.compile(r"\s*#\s*SBATCH\s*-", re.IGNORECASE)
_WORD = re.compile(r"""(?:[^\s"'\\#]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+""")
_BEGIN = re.compile(r"\S")
_PIECE = re.compile(r"""\\(.)|"((?:[^"\\]|\\.)*)"|'([^']*)'|([^\\"']+)""")

VALUED = frozenset(
    (
        *("account", "acctg-freq", "array", "batch", "bb", "bbf", "begin", "chdir", "clusters", "cluster-constraint"),
        *("comment", "constraint", "container", "container-id", "core-spec", "cores-per-socket", "cpu-bind"),
        *("cpu-freq", "container-image", "container-mounts", "container-name", "container-workdir", "cpus-per-gpu"),
        *("cpus-per-task", "deadline", "delay-boot", "dependency", "distribution", "error", "exclude", "export"),
        *("export-file", "extra", "extra-node-info", "gid", "gpu-bind", "gpu-freq", "gpus", "gpus-per-node"),
        *("gpus-per-socket", "gpus-per-task", "gres", "gres-flags", "hint", "input", "job-name", "licenses"),
        *("mail-type", "mail-user", "mcs-label", "mem", "mem-bind", "mem-per-cpu", "mem-per-gpu", "mincpus", "network"),
        *("nodefile", "nodelist", "nodes", "ntasks", "ntasks-per-core", "ntasks-per-gpu", "ntasks-per-node"),
        *("ntasks-per-socket", "open-mode", "output", "partition", "power", "prefer", "priority", "profile", "qos"),
        *("reservation", "resv-ports", "signal", "sockets-per-node", "switches", "thread-spec", "threads-per-core"),
        *("time", "time-min", "tmp", "tres-bind", "tres-per-task", "uid", "wait-all-nodes", "wckey", "wrap"),
    )
)
"""Options that take a value."""
BARE = frozenset(
    (
        *("contiguous", "hold", "ignore-pbs", "no-requeue", "overcommit", "oversubscribe", "parsable", "quiet"),
        *("reboot", "requeue", "spread-job", "stepmgr", "test-only", "use-min-nodes", "verbose", "wait"),
    )
)
"""Options that take none."""
MAYBE = frozenset(("exclusive", "get-user-env", "kill-on-invalid-dep", "nice", "no-kill", "propagate", "x11"))
"""Options that take one behind "=" only."""
_SHORT = {
    "A": "account", "a": "array", "b": "begin", "B": "extra-node-info", "C": "constraint", "c": "cpus-per-task",
    "D": "chdir", "d": "dependency", "e": "error", "F": "nodefile", "G": "gpus", "H": "hold", "i": "input",
    "J": "job-name", "k": "no-kill", "L": "licenses", "M": "clusters", "m": "distribution", "N": "nodes",
    "n": "ntasks", "O": "overcommit", "o": "output", "p": "partition", "Q": "quiet", "q": "qos", "S": "core-spec",
    "s": "oversubscribe", "t": "time", "v": "verbose", "W": "wait", "w": "nodelist", "x": "exclude",
}  # fmt: skip
_OTHERWISE = {"tasks-per-node": "ntasks-per-node", "share": "oversubscribe", "workdir": "chdir"}
"""Names that sbatch takes, or took, for the same."""
_ALL = sorted(VALUED | BARE | MAYBE | _OTHERWISE.keys())
KNOWN = frozenset(_ALL)
"""All long names that sbatch has by itself. A cluster's plugins (SPANK) add others."""
_TYPO = 0.8
"""As similar as this to one of them, an unknown option is a slip."""


class Option(NamedTuple):
    """One option by its long name, with its value, "" where it has none, and where it stands."""

    name: str
    value: str
    line: int
    column: int

    @property
    def said(self) -> str:
        """The option as one would write it, without secrets."""
        return masked(f"--{self.name}={self.value}") if self.value else f"--{self.name}"


class Unread(NamedTuple):
    """A line that looks like options and that sbatch passes over, with the reason."""

    line: int
    text: str
    why: str


def read(text: str, findings: Findings) -> tuple[list[Option], list[Unread]]:
    """All options of a script in their order; notes what sbatch would refuse."""
    found: list[Option] = []
    unread: list[Unread] = []
    top = True
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        bare = line.strip()
        top = top and (not bare or bare.startswith("#"))
        if line.startswith(_MARK):
            if top:
                try:
                    found.extend(_options(line, number, findings))
                except Fault as fault:
                    findings.add_at(number, 1, fault.what, fault.mend)
            else:
                unread.append(Unread(number, bare, "it stands below the first command, where sbatch reads nothing"))
        elif top and _NEARLY.match(line):
            unread.append(Unread(number, bare, "sbatch reads lines that begin with #SBATCH alone"))
    return found, unread


def _options(line: str, number: int, findings: Findings) -> Iterator[Option]:
    words = _words(line, len(_MARK))
    strange = False  # whether the last one was a plugin's, of which nobody knows here whether it takes a value
    for column, word in words:
        if strange and not word.startswith("-"):
            continue
        strange = False
        name, value = _named(word)
        if not name and _is_plugins(word):
            plain, value = word[2:].partition("=")[::2]
            yield Option(plain, value.strip(), number, column)
            strange = "=" not in word
            continue
        if not name:
            findings.add_at(number, column, *_unknown(word))
            return
        if name in VALUED and value is None:
            _, value = next(words, (0, None))
            if value is None:
                findings.add_at(number, column, f"{shown(word)[1:-1]} has no value", f"write --{name}=VALUE")
                return
        if name in BARE and value:
            findings.add_at(number, column, f"--{name} takes no value", f"write --{name} alone")
            continue
        yield Option(name, (value or "").strip(), number, column)


def _named(word: str) -> tuple[str, str | None]:
    """An option's long name, "" where there is no such, and the value in the same word, None for none."""
    if word.startswith("--"):
        given, equals, value = word[2:].partition("=")
        given = given.replace("_", "-")  # as older versions had it
        near = [given] if given in _ALL else [name for name in _ALL if given and name.startswith(given)]
        name = near[0] if len(near) == 1 else ""  # as getopt does: shortened is good while it is clear
        return _OTHERWISE.get(name, name), value if equals else None
    name = _SHORT.get(word[1:2], "") if word.startswith("-") else ""
    return name, None if name in BARE else word[2:].removeprefix("=") or None


def _is_plugins(word: str) -> bool:
    """Whether an option that sbatch has not may be a plugin's."""
    name = word[2:].partition("=")[0]
    plain = word.startswith("--") and re.fullmatch(r"[A-Za-z][\w-]*", name, re.ASCII) is not None
    shortened = any(one.startswith(name) for one in _ALL)
    return plain and not shortened and not difflib.get_close_matches(name, _ALL, n=1, cutoff=_TYPO)


def _unknown(word: str) -> tuple[str, str]:
    given = word.partition("=")[0]
    if not word.startswith("-"):
        return f"{shown(word)} is no option of sbatch", "write --name=value, or begin a comment with #"
    near = difflib.get_close_matches(given.lstrip("-"), _ALL, n=1)
    return f"sbatch knows no {shown(given)[1:-1]}", f"did you mean --{near[0]}?" if near else "remove it"


def _words(line: str, start: int) -> Iterator[tuple[int, str]]:
    """The words of a line with their columns, quotes undone, up to a comment."""
    at = start
    while found := _BEGIN.search(line, at):
        at = found.start()
        if line[at] == "#":
            return
        match = _WORD.match(line, at)
        if match is None:
            raise Fault("a quote that is not closed", "close it")
        word = match.group()
        parts = (next((part for part in piece.groups() if part is not None), "") for piece in _PIECE.finditer(word))
        yield at + 1, "".join(parts)
        at += len(word)
