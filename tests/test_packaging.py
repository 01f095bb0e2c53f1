"""The wheel, made from the sdist as a packager would, installed beside PyPI's supervisor."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.release.packages import build, run

ROOT = Path(__file__).parents[1]
IMPORTED_AS = {"nvidia-ml-py": "pynvml"}
"""Packages whose name is not that of their module."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from the unpacked sdist: what is not in the sdist is not in it."""
    base = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", str(base), str(ROOT))
    (sdist,) = base.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # Debian 12's 3.11.2 has none
        archive.extractall(base / "source", **safely)  # type: ignore[arg-type]  # mypy takes the dict for positions
    (source,) = (base / "source").iterdir()
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(base), str(source))
    (made,) = base.glob("*.whl")
    return made


def test_the_wheel_holds_nothing_outside_its_own_name(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"gristmill", f"gristmill-{wheel.name.split('-')[1]}.dist-info"}
    for wanted in ("py.typed", "supervisor/worker/cold.py", "supervisor/core/job.schema.json", "tui/app.py",
                   "tui/screens/overview.tcss", "examples/too_long_method.toml", "examples/data/digits.csv.gz",
                   "examples/data/LICENSE.md"):
        assert f"gristmill/{wanted}" in names


def test_it_works_beside_supervisord_which_goes_on_working(wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv"))
    python = str(tmp_path / "venv" / "bin" / "python")
    run(sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", str(wheel), "supervisor",
        "setuptools<81")
    shared = next(path for path in sys.path if path.endswith("site-packages"))
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    Path(site, "shared.pth").write_text(shared + "\n")  # the dependencies, which are not what is tested here
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    where = run(python, "-c", "import gristmill.supervisor as s; print(s.__file__)", cwd=tmp_path, env=env)
    assert where.startswith(str(tmp_path))
    assert run(str(tmp_path / "venv/bin/grist"), "--version", cwd=tmp_path, env=env).startswith("gristmill ")
    version = run(str(tmp_path / "venv/bin/supervisord"), "--version", cwd=tmp_path, env=env)
    assert version.strip()[0].isdigit()
    jobs = tmp_path / "jobs"
    jobs.mkdir(mode=0o755)
    (jobs / "hello.txt").write_text("echo hello\n")
    said = run(
        str(tmp_path / "venv/bin/grist"), "up", "--until-done", "--jobs", str(jobs), "--state", str(tmp_path / "state"),
        cwd=tmp_path, env=env, stdin=subprocess.DEVNULL, timeout=60,
    )
    assert "1 of 1 jobs, 1 of 1 items" in said


def test_built_again_elsewhere_and_later_by_somebody_else_it_is_the_same_bytes(tmp_path: Path) -> None:
    made: list[list[bytes]] = []
    trash = shutil.ignore_patterns("__pycache__", "out")
    for name in ("here", "a longer name"):
        tree = tmp_path / name
        for part in ("gristmill", "supervisor", "tui", "jobs/examples", "docs"):
            shutil.copytree(ROOT / part, tree / part, symlinks=True, ignore=trash)
        for part in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md"):
            shutil.copy(ROOT / part, tree)
        if made:
            for path in tree.rglob("*"):
                if not path.is_symlink():
                    path.chmod(path.stat().st_mode & 0o700)
                    os.utime(path, (1, 1))
        made.append([package.read_bytes() for package in build(tree, tmp_path / f"from {name}", 1_800_000_000)])
    assert made[0] == made[1], "the bytes differ"
    (sdist,) = tmp_path.glob("from here/*.tar.gz")
    with tarfile.open(sdist) as archive:
        assert {member.mtime for member in archive} == {1_800_000_000}


def test_each_dependency_is_used_and_its_reason_told() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [one for extra, needs in project["optional-dependencies"].items() if extra != "test" for one in needs]
    needed = {re.split(r"[^a-z-]", need)[0] for need in [*project["dependencies"], *extras]}
    page = (ROOT / "docs" / "dependencies.md").read_text()
    assert set(re.findall(r"^\|(?: `\w+` \|)? ([a-z-]+) \|", page, re.MULTILINE)) - {"package", "extra"} == needed
    imported = {name for path in sources() for name in imports(path)}
    assert {IMPORTED_AS.get(name, name.replace("-", "_")) for name in needed} <= imported


def sources() -> list[Path]:
    """All that runs at a user's."""
    return [path for folder in ("supervisor", "tui", "jobs/examples") for path in (ROOT / folder).rglob("*.py")]


def imports(path: Path) -> set[str]:
    """The packages that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").partition(".")[0])
    return found
