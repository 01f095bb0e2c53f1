"""What is said of options of sbatch that mean nothing on one machine, and of commands that clusters have."""

from __future__ import annotations

import re

STAND_INS = frozenset(("srun", "scontrol"))
"""Commands of a cluster that something stands in for."""
COMMANDS = {
    "srun": "runs its command once; a stand-in does, where there is no other srun",
    "module": "where the shell knows no module, the line fails and the script goes on",
    "sbatch": "there may be none here: drop the file into the jobs folder instead",
    "scontrol": "`show hostnames` names this machine, by a stand-in where there is no other; nothing else is there",
    "squeue": "there may be none here: grist status has it",
    "sacct": "there may be none here: grist status has it", "scancel": "there may be none here: grist cancel does it",
}  # fmt: skip
_COMMAND = re.compile(rf"(?:^|[|;&(`!]|\b(?:time|exec|then|do|else))[ \t]*({'|'.join(COMMANDS)})(?=[ \t]|$)")

_MAIL = "no mail is sent: grist wait tells when a job has ended"
_WHERE = "there is one machine, and whoever drops the file"
_NODES = "there is one machine"
IGNORED: dict[str, str] = {
    "mail-type": _MAIL, "mail-user": _MAIL, "partition": _WHERE, "account": _WHERE, "qos": _WHERE, "wckey": _WHERE,
    "reservation": _WHERE, "clusters": _NODES, "constraint": _NODES, "nodelist": _NODES, "exclude": _NODES,
    "nodefile": _NODES, "prefer": _NODES, "switches": _NODES, "contiguous": _NODES, "spread-job": _NODES,
    "exclusive": "others may use the machine: --cpus-per-task claims cores",
    "oversubscribe": "cores are shared as the governor finds best",
    "overcommit": "cores are shared as the governor finds best",
    "licenses": "#GRIST resources.counters = { NAME = 1 } takes of what the settings count",
    "cpu-bind": "the system places tasks on cores", "gpu-bind": "a task sees its own GPUs alone",
    "wait-all-nodes": _NODES,
    "deadline": "#GRIST expires and limits.time bound a job",
    "time-min": "the governor plans with measured times",
    "wrap": "a file has its commands in itself",
    "tmp": "free space is not claimed; the disk's reserve is watched",
    "comment": "it is for people", "verbose": "grist check says what is honoured", "quiet": "nothing is printed",
    "parsable": "nothing is printed", "wait": "grist wait waits",
    "hint": "the system places tasks on cores", "distribution": "the system places tasks on cores",
    "cpu-freq": "the system sets it", "mem-bind": "the system places memory",
    "kill-on-invalid-dep": "a job whose dependency can't be met any more fails",
    "x11": "tasks have no display", "no-kill": _NODES, "get-user-env": "tasks have the daemon's environment",
    "propagate": "tasks have the daemon's limits",
}  # fmt: skip


def commands(text: str) -> dict[str, int]:
    """The commands of a cluster that a script calls, with the first line of each."""
    found: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        for match in _COMMAND.finditer(line) if not line.lstrip().startswith("#") else ():
            found.setdefault(match[1], number)
    return found
