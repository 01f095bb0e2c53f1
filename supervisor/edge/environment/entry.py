"""How the environment of a job is entered: variables, PATH, interpreter.

A venv or conda environment is entered as its `activate` would, by PATH and its variables; scripts in a conda
environment's `activate.d` are not run.
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import sys
from collections.abc import Mapping
from typing import NamedTuple

from gristmill.supervisor.core import freeze
from gristmill.supervisor.core.errors import GristError
from gristmill.supervisor.core.findings import shown
from gristmill.supervisor.core.spec import Spec
from gristmill.supervisor.edge.environment import conda

_OURS = frozenset({
    "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID", "INVOCATION_ID",
    "JOURNAL_STREAM",
})
"""What the service manager means for the daemon alone; our own GRIST_… and TEXTUAL… come on top."""

_OF_LOGIN = ("HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ")
"""Variables that a login sets, whose values are the same for all of a user's processes."""
_PATH_OF_LOGIN = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"


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
        prefix = conda.prefix(spec.conda, environ)
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
        found = given if "/" in given else shutil.which(given, path=search_path(spec, env))
        if found is None:
            raise GristError(f"python: {shown(given)} is not found on PATH any more – write its full path")
        return found
    prefix = env.get("CONDA_PREFIX") if spec.conda is not None else spec.venv
    return f"{prefix}/bin/python" if prefix is not None else env["GRIST_PYTHON"]


def search_path(spec: Spec, env: Mapping[str, str]) -> str:
    """Where programs of a job are looked for, `env` being its `base`; the job's own PATH may have placeholders."""
    return spec.env.get("PATH") or env.get("PATH") or os.defpath


def _is_ours(name: str) -> bool:
    return name in _OURS or name.startswith(("GRIST_", "TEXTUAL"))
