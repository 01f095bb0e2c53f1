"""The script and the list of commands: they need nothing unusual, and every line of them works."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "jobs" / "examples"
COMMANDS = [line for line in (EXAMPLES / "commands.txt").read_text().splitlines() if not line.startswith("#GRIST ")]


@pytest.mark.parametrize(("file", "name"), [("hello.sh", "hello"), ("commands.txt", "commands")])
def test_the_settings_at_the_top_are_toml(examples: Path, file: str, name: str) -> None:
    lines = (examples / file).read_text().splitlines()
    settings = tomllib.loads("\n".join(line.removeprefix("#GRIST ") for line in lines if line.startswith("#GRIST ")))
    assert settings == {"name": name, "timeout": "1m"}


@pytest.mark.parametrize("file", [path.name for path in EXAMPLES.glob("*.toml")])
def test_a_job_is_named_like_its_file(examples: Path, file: str) -> None:
    assert tomllib.loads((examples / file).read_text())["name"] == Path(file).stem


def test_hello_shows_the_machine_and_its_progress(run_shell: Callable[..., Any], examples: Path) -> None:
    ended = run_shell(f'"{examples / "hello.sh"}"')
    assert ended.code == 0, ended.log
    assert ended.log.startswith("Hello from job 7, worker 2, on ")
    facts = re.findall(r"^\[(\d)/4\] (\w+): +(\S.*)$", ended.log, re.MULTILINE)
    assert [step for step, _, _ in facts] == ["1", "2", "3", "4"]
    assert [fact for _, fact, _ in facts] == ["system", "cores", "memory", "disk"]
    assert int(facts[1][2]) >= 1


def test_the_list_has_six_to_ten_commands_and_nothing_else() -> None:
    assert 6 <= len(COMMANDS) <= 10
    assert not [line for line in COMMANDS if not line.strip() or line.startswith("#")]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_works_and_prints_something(run_shell: Callable[..., Any], command: str) -> None:
    ended = run_shell(command)
    assert ended.code == 0, ended.log
    assert ended.log.strip()


def test_the_readme_names_every_example_and_every_folder() -> None:
    readme = (EXAMPLES.parent / "README.md").read_text()
    files = [path.name for path in EXAMPLES.iterdir() if path.is_file()]
    assert len(files) == 11
    for name in [*files, "accepted/", "done/", "failed/", "rejected/", "NAME.error"]:
        assert f"`{name}`" in readme
