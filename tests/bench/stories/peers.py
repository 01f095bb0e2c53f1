"""What the stories are compared with: a virtual environment of its own, Go, and a C compiler.

    python -m tests.bench.stories.peers        # installs what is missing

All of it lies in one folder, `GRIST_PEERS` (default: `gristmill-bench` in the user's cache). Nothing else asks a
network for anything: whatever is not there is named in the tables.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tomllib
import venv
from pathlib import Path

PACKAGES = ["numpy", "scikit-learn", "joblib", "loky", "cloudpickle", "pyarrow"]
PROGRAMS = Path(__file__).with_name("programs")
REPOSITORY = Path(__file__).parents[3]
DIGITS = REPOSITORY / "jobs" / "examples" / "data" / "digits.csv.gz"


def folder() -> Path:
    """Where the peers are."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("GRIST_PEERS") or Path(cache, "gristmill-bench"))


def python() -> str:
    """The interpreter of the peers' environment."""
    found = folder() / "venv" / "bin" / "python"
    if not found.exists():
        raise SystemExit("the peers' environment is not there – make it: python -m tests.bench.stories.peers")
    return str(found)


def told(story: str, *argv: str, text: str = "", **variables: str) -> str:
    """What a Python program of a story prints; raises SystemExit with its words when it fails."""
    done = subprocess.run([python(), *argv], cwd=PROGRAMS / story, env={**environment(), **variables}, input=text,
                          capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(argv)}: {done.stderr}")
    return done.stdout


def environment() -> dict[str, str]:
    """What a user's shell has, with one thread a process as Gristmill sets it; nothing that ours was started with.

    Gristmill is imported from here, so that what is measured is what lies beside these programs.
    """
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    kept |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return kept | {"DIGITS": str(DIGITS), "PYTHONPATH": str(REPOSITORY), "PYTHONWARNINGS": "ignore"}


def have(package: str) -> bool:
    """Whether the peers' environment has it."""
    return subprocess.run([python(), "-c", f"import {package}"], capture_output=True, check=False).returncode == 0


def compiled(source: str, *argv: str) -> Path | None:
    """The program made of `source` by this compiler, which is told `-o TARGET SOURCE` last; None without a compiler."""
    if shutil.which(argv[0]) is None:
        return None
    made = folder() / "built" / Path(source).stem
    origin = PROGRAMS / source
    if not made.exists() or made.stat().st_mtime < origin.stat().st_mtime:
        made.parent.mkdir(parents=True, exist_ok=True)
        env = {**os.environ, "GO111MODULE": "off", "GOFLAGS": "", "GOCACHE": str(folder() / "go")}
        subprocess.run([*argv, "-o", str(made), str(origin)], check=True, env=env)
    return made


def go(source: str) -> Path | None:
    """A Go program, None without Go."""
    return compiled(source, "go", "build")


def c(source: str) -> Path | None:
    """A C program, None without a compiler."""
    return compiled(source, "gcc", "-O2", "-pthread")


def main() -> None:
    """Installs what is missing, and says what could not be."""
    folder().mkdir(parents=True, exist_ok=True)
    if not (folder() / "venv" / "bin" / "python").exists():
        venv.create(folder() / "venv", with_pip=True)
    own = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["dependencies"]
    subprocess.run([folder() / "venv" / "bin" / "pip", "install", "-q", *PACKAGES, *own], check=True)
    wanted = {"go": "golang-go", "gcc": "gcc"}
    packages = [package for program, package in wanted.items() if shutil.which(program) is None]
    if packages and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "-q", "-y", "--no-install-recommends", *packages], check=False)
    missing = [program for program in wanted if shutil.which(program) is None]
    print(f"peers in {folder()}" + (f"; missing: {', '.join(missing)}" if missing else ", nothing is missing"))


if __name__ == "__main__":
    main()
