"""Where conda environments are, by their names."""

from __future__ import annotations

import os
from collections.abc import Mapping

_HOMES = ("miniconda3", "miniforge3", "anaconda3", "mambaforge", "micromamba")


def prefix(name: str, environ: Mapping[str, str]) -> str | None:
    """The folder of an environment that is named by its name or full path; None where there is none."""
    if name.startswith("/"):
        return name if os.path.isdir(f"{name}/bin") else None
    return environments(environ).get(name)


def environments(environ: Mapping[str, str]) -> dict[str, str]:
    """The prefix of each environment by name; what stands first in the search wins."""
    home = environ.get("HOME") or os.path.expanduser("~")
    bases = [f"{home}/{folder}" for folder in _HOMES]
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
    for folder in _listed(f"{home}/.conda/environments.txt"):
        found.setdefault(os.path.basename(folder), folder)
    return {name: folder for name, folder in found.items() if os.path.isdir(f"{folder}/bin")}


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
