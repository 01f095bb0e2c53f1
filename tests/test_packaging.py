"""The wheel, made from the sdist as a packager would, installed beside PyPI's supervisor."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(*command: str, **how: object) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **how)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


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
    for wanted in ("py.typed", "supervisor/edge/worker.py", "supervisor/core/job.schema.json", "tui/app.py",
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
