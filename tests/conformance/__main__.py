"""Other projects' own tests with our backend: joblib's for backends, scikit-learn's for searches.

    python -m tests.conformance [--venv DIR] [joblib] [sklearn] [-- PYTEST OPTIONS]

Makes a virtual environment with both projects and this one (kept in DIR, default ~/.cache/gristmill-conformance), runs
joblib's `test_parallel.py` with `gristmill` beside `loky` in its list of process backends (those of its tests that have
it as a parameter), and scikit-learn's `test_search.py` with every fit through the daemon, and once more with
every fit through loky. Prints what failed, and why.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIST = 'PROCESS_BACKENDS = ["multiprocessing", "loky"]'
NAMED = "import gristmill\ngristmill.register_joblib()\n"
"""Has every process of that environment know our backend by its name: some tests name one in programs and workers of
their own."""
WITH_OURS = 'PROCESS_BACKENDS = ["multiprocessing", "loky", "gristmill"]'


def prepare(place: Path) -> Path:
    """An environment with all that is needed; its interpreter."""
    python = place / "bin" / "python"
    if not python.exists():
        venv.create(place, with_pip=True)
    packages = ["-e", str(ROOT), "joblib", "scikit-learn", "pytest", "pytest-timeout", "cloudpickle", "threadpoolctl"]
    subprocess.run([str(python), "-m", "pip", "install", "-q", *packages], check=True)
    Path(said(python, "import sysconfig; print(sysconfig.get_path('purelib'))"), "sitecustomize.py").write_text(NAMED)
    return python


def run(python: Path, what: list[str], default: str = "") -> int:
    """One run of pytest, with `default` the backend of all tests."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "GRIST_DEFAULT": default}
    command = [str(python), "-m", "pytest", "-p", "tests.conformance.plugin", "-q", "-rfE", "--timeout", "600", *what]
    return subprocess.run(command, env=env, check=False, cwd=python.parents[1]).returncode


def joblib_tests(python: Path) -> Path:
    """joblib's tests of `Parallel`, ours among the backends; raises where they no longer have that list."""
    text = (Path(said(python, "import joblib.test as t; print(t.__path__[0])")) / "test_parallel.py").read_text()
    if LIST not in text:
        raise SystemExit(f"joblib's test_parallel.py has no {LIST!r} any more: look how it names its backends")
    copy = python.parents[1] / "test_parallel_with_ours.py"
    copy.write_text(text.replace(LIST, WITH_OURS))
    return copy


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--venv", type=Path, default=Path.home() / ".cache" / "gristmill-conformance")
    parser.add_argument("suites", nargs="*", metavar="SUITE", help="joblib, sklearn (default: both)")
    words = sys.argv[1:]
    cut = words.index("--") if "--" in words else len(words)
    options = parser.parse_args(words[:cut])
    more, suites = words[cut + 1 :], options.suites or ["joblib", "sklearn"]
    python = prepare(options.venv)
    worst = 0
    if "joblib" in suites:
        print(f"joblib, its own tests of backends, version {version(python, 'joblib')}", flush=True)
        worst |= run(python, [str(joblib_tests(python)), "-k", "gristmill", *more])
    if "sklearn" in suites:
        what = ["--pyargs", "sklearn.model_selection.tests.test_search"]
        for backend in ("gristmill", "loky"):  # what fails with both is about processes, not about us
            print(f"scikit-learn {version(python, 'sklearn')}, its own tests of searches, with {backend}", flush=True)
            worst |= run(python, [*what, *more], default=backend)
    return worst


def version(python: Path, module: str) -> str:
    return said(python, f"import {module}; print({module}.__version__)")


def said(python: Path, program: str) -> str:
    """What a line of Python prints there."""
    done = subprocess.run([str(python), "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
