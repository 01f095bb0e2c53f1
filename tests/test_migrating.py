"""What docs/migrating.md has people type is what the command line and the job files take."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from gristmill.supervisor.cli import parser_for
from gristmill.supervisor.core import jobfile

PAGE = (Path(__file__).parents[1] / "docs" / "migrating.md").read_text()
TYPED = sorted({line.replace("\\|", "|") for line in re.findall(r"`(grist [^`]+)`", PAGE)})


def test_there_is_much_to_type() -> None:
    assert len(TYPED) > 40


@pytest.mark.parametrize("line", TYPED)
def test_each_command_is_one(line: str) -> None:
    _, verb, *words = shlex.split(line)
    assert parser_for(verb).parse_args([verb, *words]).verb == verb


@pytest.mark.parametrize("text", re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL))
def test_each_job_is_one(text: str) -> None:
    jobfile.parse(text, "a.toml", cwd="/work", home="/home/ann", read=lambda path: "")


def test_each_key_that_is_named_is_one() -> None:
    lines = re.findall(r"`(\[\w+\]) (\w+ = [^`]+)`", PAGE)
    assert len(lines) > 5
    for table, line in lines:
        jobfile.parse(f"command = 'x'\n{table}\n{line}\n", "a.toml", cwd="/work", home="/", read=lambda path: "a\n1\n")
