"""The tutorials work as printed: files are saved, lines are typed, and what they print is what stands there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mill import DEADLINE, Mill

FOLDER = Path(__file__).parents[2] / "docs" / "tutorials"
MOST_LINES = 80


def blocks(text: str) -> list[tuple[str, str, str]]:
    """(the file that the words before it name, what sort, what is in it) of each block."""
    found = []
    for sort, inside, at in ((one[1], one[2], one.start()) for one in re.finditer(r"```(\w+)\n(.*?)\n```", text, re.S)):
        named = re.findall(r"`([\w-]+\.(?:py|toml))`", text[:at].rstrip().rpartition("\n\n")[2])
        found.append((named[-1] if named and sort in {"python", "toml"} else "", sort, inside))
    return found


@pytest.mark.parametrize("page", sorted(FOLDER.glob("*.md")), ids=lambda page: page.stem)
def test_a_tutorial_works_as_it_is_printed(page: Path, mill: Mill) -> None:
    text = page.read_text()
    assert len(text.splitlines()) <= MOST_LINES
    program = mill.base / "bin" / "grist"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, "-m", "gristmill.supervisor.cli"])} "$@"\n')
    program.chmod(0o755)
    env = {**mill.env, "PATH": f"{program.parent}:{mill.env['PATH']}", "GRIST_JOBS": str(mill.jobs),
           "GRIST_STATE": str(mill.state)}  # fmt: skip
    mill.start("--limit", "2")
    said = ""
    for name, sort, inside in blocks(text):
        if name:
            (mill.base / name).write_text(inside + "\n")
        for line in inside.splitlines() if sort == "sh" else ():
            done = subprocess.run(["bash", "-c", line], cwd=mill.base, env=env, capture_output=True, text=True,
                                  timeout=DEADLINE, check=False)  # fmt: skip
            assert (done.returncode, done.stderr) == (0, ""), f"{line}\n{done.stdout}{done.stderr}"
            said += done.stdout
        if sort == "text":
            assert inside in said
    assert said
