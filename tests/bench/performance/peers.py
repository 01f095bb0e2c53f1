"""What dispatch is compared with: Debian's tools, queues from PyPI in an environment of their own, C and Go.

    python -m tests.bench.performance.peers        # installs what is missing

They lie where the stories' peers lie (`tests.bench.stories.peers`). What is not there is named in the tables, with why.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import venv
from pathlib import Path

from tests.bench.stories import peers

PROGRAMS = Path(__file__).with_name("programs")
QUEUES = {"loky": "loky", "dask": "dask[distributed]", "huey": "huey", "hq": "hyperqueue", "ray": "ray"}
"""By name in `programs/queues.py`: the package."""
MODULES = {"dask": "distributed", "hq": "hyperqueue"}
TOOLS = {"xargs": "findutils", "tsp": "task-spooler", "parallel": "parallel", "nq": "nq", "go": "golang-go",
         "gcc": "gcc"}
"""By program: Debian's package."""


def python() -> Path:
    """The interpreter of the queues' environment, which may not be there."""
    return peers.folder() / "queues" / "bin" / "python"


def missing(name: str) -> str:
    """Why a peer can't be measured, "" where it can."""
    if name in TOOLS:
        return "" if shutil.which(name) else f"{name} is not installed (Debian: {TOOLS[name]})"
    if not python().exists():
        return f"{name}: no environment – python -m tests.bench.performance.peers"
    module = MODULES.get(name, name)
    done = subprocess.run([python(), "-c", f"import {module}"], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"{name}: {(done.stderr.strip().splitlines() or ['?'])[-1]}"


def c(name: str) -> Path:
    """One of our C programs; raises SystemExit without a compiler."""
    made = peers.c(str(PROGRAMS / name))
    if made is None:
        raise SystemExit(missing("gcc"))
    return made


def go(name: str) -> Path | None:
    """One of our Go programs, None without Go."""
    return peers.go(str(PROGRAMS / name))


def main() -> None:
    """Installs what is missing, and says what could not be."""
    if not python().exists():
        venv.create(python().parents[1], with_pip=True)
    failed = []
    for name, package in QUEUES.items():  # one by one: where one has no wheel, the others come all the same
        if missing(name):
            subprocess.run([python(), "-m", "pip", "install", "-q", package], check=False)
        failed += [words] if (words := missing(name)) else []
    wanted = [package for program, package in TOOLS.items() if shutil.which(program) is None]
    if wanted and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "-q", "-y", "--no-install-recommends", *wanted], check=False)
    failed += [words for program in TOOLS if (words := missing(program))]
    print("\n".join([f"peers in {peers.folder()}", *(failed or ["nothing is missing"])]))


if __name__ == "__main__":
    main()
