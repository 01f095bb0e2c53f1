"""README's commands are the ones that are run, and what it shows works."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from gristmill.supervisor.cli import VERBS
from tests.bench import readme

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
KEYS = (ROOT / "docs" / "job-files.md").read_text()


def block(mark: str) -> str:
    found = re.search(rf"<!-- {mark} -->\n```\n(.*?)\n```", README, re.DOTALL)
    assert found is not None
    return found[1]


def test_both_commands_are_one_line_and_installed_from_here() -> None:
    for mark in ("run", "test"):
        assert "\n" not in block(mark)
        assert block(mark).startswith("python3 -m venv .venv && .venv/bin/pip install -q -e ")
    assert "README.md" in (ROOT / ".ci" / "run").read_text(), "CI runs the command that README prints"


def test_every_verb_is_named_and_every_named_verb_exists() -> None:
    commands = README.split("## Commands")[1].split("##")[0]
    assert set(re.findall(r"(?:·|\n)\s*`(?:grist )?([a-z]+)", commands)) == set(VERBS)


def test_the_jobs_that_it_shows_are_good_ones(tmp_path: Path) -> None:
    (tmp_path / "jobs").mkdir()
    venv = tmp_path / "envs" / "torch" / "bin"
    venv.mkdir(parents=True)
    (venv / "python").symlink_to(sys.executable)
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "train.py").write_text("print()\n")
    compute = tmp_path / "project" / "compute"
    compute.write_text("#!/bin/sh\n")
    compute.chmod(0o755)
    shown = [re.search(r"sweep\.toml\n(.*?)\^D", README, re.DOTALL),
             re.search(r"A job that shows most.*?```toml\n(.*?)```", KEYS, re.DOTALL)]
    for number, found in enumerate(shown):
        assert found is not None
        tomllib.loads(found[1])
        file = tmp_path / f"{number}.toml"
        file.write_text(found[1])
        done = subprocess.run(
            [sys.executable, "-m", "gristmill.supervisor.cli", "check", "--jobs", str(tmp_path / "jobs"), str(file)],
            capture_output=True, text=True, env={**os.environ, "HOME": str(tmp_path)}, check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_its_figures_are_those_that_the_benchmarks_wrote() -> None:
    found = re.search(r"<!-- figures: measured -->\n(.*?)<!-- figures: end -->", README, re.DOTALL)
    assert found and found[1] == readme.text(), "python -m tests.bench.readme"


def test_every_link_leads_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    lost = [f"{page.name}: {link}" for page in pages
            for link in re.findall(r"\]\(([^)#\s]+)", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL))
            if not link.startswith(("http", "/")) and not (page.parent / link).exists()]
    assert lost == []
