"""Builds what is handed out, from a copy of the tree or of a revision of it."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import NamedTuple

from tests.release.cut import ROOT, VERSION


class Packages(NamedTuple):
    """What a build made."""

    sdist: Path
    wheel: Path


def run(*command: str | Path, **how: object) -> str:
    """What a command prints; AssertionError with all of it when the command fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **how)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return str(done.stdout)


def checkout(revision: str, folder: Path) -> Path:
    """The files of a revision, nothing else of it."""
    archive = folder.with_suffix(".tar")
    run("git", "archive", "--output", archive, revision, cwd=ROOT)
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="fully_trusted")  # it is ours, and its links lead out of their folders
    archive.unlink()
    return folder


def version(tree: Path) -> str:
    """The version that a tree has."""
    found = VERSION.search((tree / "gristmill" / "__init__.py").read_text())
    assert found is not None
    return found[1]


def renumber(tree: Path, number: str) -> None:
    """Gives a tree another version."""
    home = tree / "gristmill" / "__init__.py"
    home.write_text(VERSION.sub(f'__version__ = "{number}"', home.read_text()))


def build(tree: Path, out: Path, epoch: int | None = None) -> Packages:
    """The sdist of a tree, and the wheel of that sdist; `epoch` (SOURCE_DATE_EPOCH) dates their files."""
    env = {**os.environ} if epoch is None else {**os.environ, "SOURCE_DATE_EPOCH": str(epoch)}
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, tree, env=env)
    (sdist,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    return Packages(sdist, wheel)
