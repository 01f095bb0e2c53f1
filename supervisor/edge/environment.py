"""The machine that tasks will find: the environment of a job, and whether its folders and programs are there.

Reads folders and files, starts nothing and changes nothing. A venv or conda environment is entered as its `activate`
would, by PATH and its variables; scripts in a conda environment's `activate.d` are not run.
"""

from __future__ import annotations

import difflib
import getpass
import importlib.util
import os
import re
import shlex
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from gristmill.supervisor.core import freeze, template
from gristmill.supervisor.core.errors import GristError
from gristmill.supervisor.core.findings import Path, shown
from gristmill.supervisor.core.spec import Spec

_OURS = frozenset(
    (
        *("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID"),
        *("INVOCATION_ID", "JOURNAL_STREAM"),
    )
)
"""What the service manager means for the daemon alone; our own GRIST_… and TEXTUAL… come on top."""

_BARE = re.compile(r"\s*([A-Za-z0-9_][A-Za-z0-9_.+-]*)(?=\s|$)")
_BUILTIN = frozenset(
    (
        *("alias", "bg", "break", "case", "cd", "command", "continue", "declare", "echo", "eval", "exec", "exit"),
        *(
            "export",
            "false",
            "fg",
            "for",
            "function",
            "getopts",
            "hash",
            "if",
            "jobs",
            "kill",
            "let",
            "local",
            "printf",
        ),
        *("pwd", "read", "readonly", "return", "select", "set", "shift", "source", "test", "time", "times", "trap"),
        *("true", "type", "typeset", "ulimit", "umask", "unalias", "unset", "until", "wait", "while"),
    )
)
"""Words that a shell knows itself."""

_OF_LOGIN = ("HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ")
"""Variables that a login sets, whose values are the same for all of a user's processes."""
_PATH_OF_LOGIN = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
ENGINES = ("slurm", "ray")
"""Where tasks run that never run here."""
_HOMES_OF_CONDA = ("miniconda3", "miniforge3", "anaconda3", "mambaforge", "micromamba")


@dataclass(frozen=True, slots=True)
class Complaint:
    """Something that a job names and the machine lacks, by the key that names it."""

    path: Path
    what: str
    mend: str


def base(spec: Spec, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment that all tasks of a job start from; raises `GristError` if its conda environment is gone."""
    env = {name: value for name, value in environ.items() if not _is_ours(name)}
    if spec.slurm is not None and spec.slurm.keeps is not None:
        env = {name: value for name, value in env.items() if name in (*spec.slurm.keeps, *_OF_LOGIN)}
        env.setdefault("PATH", _PATH_OF_LOGIN)
    env["GRIST_PYTHON"] = environ.get("GRIST_PYTHON") or sys.executable
    path = env.get("PATH") or os.defpath
    if spec.venv is not None:
        env |= {"VIRTUAL_ENV": spec.venv, "PATH": f"{spec.venv}/bin:{path}"}
        for name in ("PYTHONHOME", "VIRTUAL_ENV_PROMPT"):
            env.pop(name, None)
    elif spec.conda is not None:
        prefix = _conda_prefix(spec.conda, environ)
        if prefix is None:
            raise GristError(f"conda environment {shown(spec.conda)} is gone – create it, or change the job")
        env |= {"CONDA_PREFIX": prefix, "CONDA_DEFAULT_ENV": spec.conda, "PATH": f"{prefix}/bin:{path}"}
        for name in ("PYTHONHOME", "VIRTUAL_ENV", "VIRTUAL_ENV_PROMPT"):
            env.pop(name, None)
    if spec.slurm is not None:
        host = signs()["N"]
        env |= {"SLURMD_NODENAME": host, "SLURM_JOB_NODELIST": host, "SLURM_SUBMIT_HOST": host}
        if spec.slurm.stand_ins and spec.script is not None:
            env["PATH"] = f"{env.get('PATH') or path}:{os.path.dirname(os.path.dirname(spec.script))}/bin"
    if ahead := freeze.ahead(spec):  # the frozen script lies elsewhere than the modules it imports
        env["PYTHONPATH"] = ":".join(filter(None, (*ahead, env.get("PYTHONPATH"))))
    return env


class Entered(NamedTuple):
    """What a job adds to the environment of whatever machine its tasks run on: variables, folders that come before
    those in others, and variables that must not be there."""

    env: dict[str, str]
    ahead: dict[str, list[str]]
    unset: list[str]


def entering(spec: Spec, environ: Mapping[str, str]) -> Entered:
    """The same of `base`, for a machine whose own environment is not known here; raises as that does."""
    unset = ["VIRTUAL_ENV_PROMPT", "PYTHONHOME"] if spec.venv is not None or spec.conda is not None else []
    env, ahead = {}, {}
    if spec.venv is not None:
        env, ahead["PATH"] = {"VIRTUAL_ENV": spec.venv}, [f"{spec.venv}/bin"]
    elif spec.conda is not None:
        prefix = base(spec, environ)["CONDA_PREFIX"]
        env, ahead["PATH"] = {"CONDA_PREFIX": prefix, "CONDA_DEFAULT_ENV": spec.conda}, [f"{prefix}/bin"]
        unset.append("VIRTUAL_ENV")
    if folders := freeze.ahead(spec):
        ahead["PYTHONPATH"] = list(folders)
    return Entered(env, ahead, unset)


def signs() -> dict[str, str]:
    """What the signs of sbatch's names of files stand for that the machine knows: %N and %u."""
    return {"N": socket.gethostname().partition(".")[0], "u": getpass.getuser()}


def interpreter(spec: Spec, environ: Mapping[str, str]) -> str:
    """The Python that the job's calls are made in; raises `GristError` where it is not found any more."""
    given = spec.call.python if spec.call is not None else None
    env = base(spec, environ)
    if given is not None:
        found = given if "/" in given else shutil.which(given, path=_search_path(spec, env))
        if found is None:
            raise GristError(f"python: {shown(given)} is not found on PATH any more – write its full path")
        return found
    prefix = env.get("CONDA_PREFIX") if spec.conda is not None else spec.venv
    return f"{prefix}/bin/python" if prefix is not None else env["GRIST_PYTHON"]


def examine(spec: Spec, environ: Mapping[str, str]) -> list[Complaint]:
    """What the job names and the machine lacks: folders, environments, programs; empty if all is there."""
    complaints = [*_folder(spec.cwd), *_venv(spec), *_conda(spec, environ)]
    if not complaints and spec.where not in ENGINES:  # whose nodes may have what is not here
        complaints += [*_program(spec, environ), *_finish(spec, environ)]
    return complaints


def _is_ours(name: str) -> bool:
    return name in _OURS or name.startswith(("GRIST_", "TEXTUAL"))


def _folder(cwd: str) -> Iterator[Complaint]:
    if not os.path.lexists(cwd):
        yield Complaint(("cwd",), f"cwd: {shown(cwd, 200)} does not exist", f"create it: mkdir -p {_typed(cwd)}")
    elif not os.path.isdir(cwd):
        yield Complaint(("cwd",), f"cwd: {shown(cwd, 200)} is no folder", "name the folder that tasks run in")
    elif not os.access(cwd, os.X_OK):
        yield Complaint(("cwd",), f"cwd: {shown(cwd, 200)} can't be entered", f"allow it: chmod u+x {_typed(cwd)}")


def _venv(spec: Spec) -> Iterator[Complaint]:
    if spec.venv is None:
        return
    key: Path = ("venv",)
    if not os.path.isdir(spec.venv):
        wrong = "is no folder" if os.path.lexists(spec.venv) else "does not exist"
        mend = f"create it: python3 -m venv {_typed(spec.venv)}"
        yield Complaint(key, f"venv: {shown(spec.venv, 200)} {wrong}", mend)
    elif os.path.isdir(f"{spec.venv}/conda-meta"):
        yield Complaint(key, f"venv: {shown(spec.venv, 200)} is a conda environment", "write conda instead of venv")
    elif not os.access(f"{spec.venv}/bin/python", os.X_OK):
        what = f"venv: {shown(spec.venv, 200)} has no bin/python that runs"
        yield Complaint(
            key, what, f"name the environment's own folder, or create it: python3 -m venv {_typed(spec.venv)}"
        )


def _conda(spec: Spec, environ: Mapping[str, str]) -> Iterator[Complaint]:
    if spec.conda is None or _conda_prefix(spec.conda, environ) is not None:
        return
    known = sorted(_conda_environments(environ))
    near = difflib.get_close_matches(spec.conda, known, n=1)
    if spec.conda.startswith("/"):
        mend = "name the folder that holds the environment's bin and conda-meta"
    elif near:
        mend = f"did you mean {near[0]}?"
    elif known:
        mend = f"use one of those there are: {', '.join(known[:12])}"
    else:
        mend = "no conda was found: write the environment's full path"
    yield Complaint(("conda",), f"conda: no environment {shown(spec.conda, 200)}", mend)


def _conda_prefix(name: str, environ: Mapping[str, str]) -> str | None:
    if name.startswith("/"):
        return name if os.path.isdir(f"{name}/bin") else None
    return _conda_environments(environ).get(name)


def _conda_environments(environ: Mapping[str, str]) -> dict[str, str]:
    """The prefix of each environment by name; what stands first in the search wins."""
    home = environ.get("HOME") or os.path.expanduser("~")
    bases = [f"{home}/{folder}" for folder in _HOMES_OF_CONDA]
    active = environ.get("CONDA_PREFIX")
    if active:
        parent, inner = os.path.split(os.path.dirname(active.rstrip("/")))
        bases.insert(0, parent if inner == "envs" else active)
    found: dict[str, str] = {}
    for root in bases:
        if os.path.isdir(f"{root}/conda-meta"):
            found.setdefault("base", root)
        for name in _names_in(f"{root}/envs"):
            found.setdefault(name, f"{root}/envs/{name}")
    for prefix in _listed(f"{home}/.conda/environments.txt"):
        found.setdefault(os.path.basename(prefix), prefix)
    return {name: prefix for name, prefix in found.items() if os.path.isdir(f"{prefix}/bin")}


def _names_in(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:  # no such place to search
        return []


def _listed(file: str) -> list[str]:
    try:
        with open(file, encoding="utf-8", errors="replace") as lines:
            return [line.strip().rstrip("/") for line in lines if line.startswith("/")]
    except OSError:  # no such place to search
        return []


def _program(spec: Spec, environ: Mapping[str, str]) -> Iterator[Complaint]:
    """Whether what is started first can be run: of an argv its head, of a shell line its first word if it is plain."""
    path = _search_path(spec, base(spec, environ))
    if template.holes(path):  # differs from task to task
        return
    if spec.call is not None:
        fault = None if spec.call.python is None else _unfit(spec.call.python, spec.cwd, path)
        if fault is not None:
            yield Complaint(("python",), f"python: {fault[0]}", fault[1])
        return
    fault = _unfit_command(spec.command, spec.cwd, path)
    if fault is not None:
        plain = isinstance(spec.command, str) or spec.kind == "script"
        yield Complaint(("command",) if plain else ("command", 0), *fault)


def _finish(spec: Spec, environ: Mapping[str, str]) -> Iterator[Complaint]:
    """Whether the [finally] step can be run, and the results be written as the job wants them."""
    path = _search_path(spec, base(spec, environ))
    if spec.finish is not None and spec.finish.call is None and not template.holes(path):
        fault = _unfit_command(spec.finish.command, spec.cwd, path)
        if fault is not None:
            yield Complaint(("finally", "command"), *fault)
    if spec.export == "parquet" and importlib.util.find_spec("pyarrow") is None:
        what = "results.export: Parquet needs pyarrow, which Gristmill's own environment has not"
        yield Complaint(("results", "export"), what, 'install gristmill[parquet], or write "csv" or "json"')


def _unfit_command(command: str | tuple[str, ...], cwd: str, path: str) -> tuple[str, str] | None:
    """Why what a command starts first can't be run, and the mend; None if it can, or can't be told."""
    if isinstance(command, str):
        first = _BARE.match(command)
        return _unfit(first.group(1), cwd, path) if first and first.group(1) not in _BUILTIN else None
    words = [template.render(part, {}) for part in _settled(command)]
    if not words:
        return None
    fault = _unfit(words[0], cwd, path)
    if fault is None and os.path.basename(words[0]) == "env":
        inner = _behind_env(words[1:])
        fault = _unfit(inner, cwd, path) if inner else None
    return fault


def _search_path(spec: Spec, env: Mapping[str, str]) -> str:
    return spec.env.get("PATH") or env.get("PATH") or os.defpath


def _settled(command: tuple[str, ...]) -> Iterator[str]:
    """The first words of an argv, up to one that differs from task to task."""
    for part in command:
        if template.holes(part):
            return
        yield part


def _behind_env(words: list[str]) -> str | None:
    """The program that `env` starts, or None where it can't be told."""
    if words[:1] == ["-S"]:
        words = words[1:]
    words = [word for part in words for word in part.removeprefix("-S ").split()]
    while words and "=" in words[0]:
        words = words[1:]
    return words[0] if words and not words[0].startswith("-") else None


def _typed(path: str) -> str:
    """A path as one would type it in a shell."""
    return shlex.quote(path) if path.isprintable() else shown(path, 200)


def _unfit(program: str, cwd: str, path: str) -> tuple[str, str] | None:
    """Why a program can't be run, and the mend; None if it can."""
    if "/" not in program:
        if shutil.which(program, path=path) is not None:
            return None
        mend = "install it, write its full path, or name the venv or conda environment that has it"
        if " " in program:
            mend = "write each argument as a text of its own, or the whole command as one text"
        elif program == "python" and shutil.which("python3", path=path):
            mend = "write python3, or name the venv or conda environment that has it"
        return f"{shown(program)} is not found on PATH", mend
    if program.startswith("~"):
        return f"{shown(program, 200)} is not found: only a shell knows ~", "write the full path"
    full = os.path.join(cwd, program)
    if not os.path.exists(full):
        return f"{shown(full, 200)} does not exist", "mend the path, or install it"
    if os.path.isdir(full):
        return f"{shown(full, 200)} is a folder", "name the program in it"
    if not os.access(full, os.X_OK):
        return f"{shown(full, 200)} is not executable", f"allow it: chmod +x {_typed(full)}"
    return None
