"""What a job names and the machine lacks: folders, environments, programs."""

from __future__ import annotations

import difflib
import importlib.util
import os
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gristmill.supervisor.core import template
from gristmill.supervisor.core.findings import Path, shown
from gristmill.supervisor.core.job import HERE
from gristmill.supervisor.core.spec import Spec
from gristmill.supervisor.edge.environment import conda
from gristmill.supervisor.edge.environment.entry import base, search_path

_BARE = re.compile(r"\s*([A-Za-z0-9_][A-Za-z0-9_.+-]*)(?=\s|$)")
_BUILTIN = frozenset({
    "alias", "bg", "break", "case", "cd", "command", "continue", "declare", "echo", "eval", "exec", "exit", "export",
    "false", "fg", "for", "function", "getopts", "hash", "if", "jobs", "kill", "let", "local", "printf", "pwd", "read",
    "readonly", "return", "select", "set", "shift", "source", "test", "time", "times", "trap", "true", "type",
    "typeset", "ulimit", "umask", "unalias", "unset", "until", "wait", "while",
})
"""Words that a shell knows itself."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """Something that a job names and the machine lacks, by the key that names it."""

    path: Path
    what: str
    mend: str


def examine(spec: Spec, environ: Mapping[str, str]) -> list[Complaint]:
    """What the job names and the machine lacks: folders, environments, programs; empty if all is there."""
    complaints = [*_folder(spec.cwd), *_venv(spec), *_conda(spec, environ)]
    if not complaints and (spec.where or "local") in HERE:  # nodes elsewhere may have what is not here
        complaints += [*_program(spec, environ), *_finish(spec, environ)]
    return complaints


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
    if spec.conda is None or conda.prefix(spec.conda, environ) is not None:
        return
    known = sorted(conda.environments(environ))
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


def _program(spec: Spec, environ: Mapping[str, str]) -> Iterator[Complaint]:
    """Whether what is started first can be run: of an argv its head, of a shell line its first word if it is plain."""
    path = search_path(spec, base(spec, environ))
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
    path = search_path(spec, base(spec, environ))
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
