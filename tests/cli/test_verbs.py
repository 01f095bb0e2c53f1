"""Help, completion and man page say the same of every command, and every example is one that runs."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from gristmill.supervisor.cli import VERBS, parser_for, parser_of
from gristmill.supervisor.cli.examples import EXAMPLES
from gristmill.supervisor.cli.verbs import all_verbs
from gristmill.supervisor.core import completion, manpage
from gristmill.supervisor.core.commands import Verb
from tests.mill import Mill

SHELLS = [pytest.param(shell, marks=pytest.mark.skipif(shutil.which(shell) is None, reason="not installed"))
          for shell in completion.SHELLS]  # fmt: skip


@pytest.fixture(scope="module")
def verbs() -> list[Verb]:
    return all_verbs()


def lines_of(verb: str) -> list[str]:
    """The examples of a verb as a shell would see them: what is piped elsewhere or explained is left out."""
    return [re.split(r"  #| \| | && | > ~", line)[0] for line in EXAMPLES[verb]]


def test_every_command_has_examples_of_itself_that_its_parser_takes() -> None:
    assert tuple(EXAMPLES) == tuple(VERBS)
    for verb in VERBS:
        for line in lines_of(verb):
            if line.startswith("eval "):
                line = line.split("$(")[1].rstrip(')"')  # noqa: PLW2901 - what is evaluated
            program, *words = shlex.split(line)
            assert (program, words[0]) == ("grist", verb)
            assert parser_for(verb).parse_args(words).verb == verb


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_ends_with_them(verb: str) -> None:
    parser = parser_of(verb)
    assert parser.format_help().rstrip().endswith(EXAMPLES[verb][-1])
    assert parser.format_help() == parser.format_help()


def test_the_table_has_all_that_the_help_names(verbs: list[Verb]) -> None:
    assert [one.name for one in verbs] == list(VERBS)
    for verb in verbs:
        text = parser_of(verb.name).format_help()
        flags = {flag for option in verb.options for flag in option.flags}
        assert flags == set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", re.sub(r"Examples?:(.|\n)*", "", text))) & flags
        assert {"--help", "--jobs", "--state"} <= flags
        listed = re.findall(r"^  (-{1,2}[a-z][a-z-]*)(?:[ ,]|$)", text, re.MULTILINE)
        assert set(listed) <= flags and len(listed) == len(verb.options)


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_each_script_has_every_command_and_option(shell: str, verbs: list[Verb]) -> None:
    text = completion.SHELLS[shell](verbs)
    for verb in verbs:
        assert re.search(rf"(?<!\w){verb.name}(?!\w)", text)
        for option in verb.options:
            for flag in option.flags:
                spelled = f"-{'l' if flag.startswith('--') else 's'} {flag.lstrip('-')} " if shell == "fish" else flag
                assert spelled in text


@pytest.mark.parametrize("shell", SHELLS)
def test_each_script_is_one(shell: str, verbs: list[Verb], tmp_path: Path) -> None:
    path = tmp_path / "script"
    path.write_text(completion.SHELLS[shell](verbs))
    done = subprocess.run([shell, "-n", str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def bash(script: Path, words: list[str], env: dict[str, str] | None = None) -> set[str]:
    """What bash offers for the last of these words, asked beside the script."""
    code = f"""source {shlex.quote(str(script))}; COMP_WORDS=({shlex.join(words)}); COMP_CWORD={len(words) - 1}
        _grist; printf '%s\\n' "${{COMPREPLY[@]}}" """
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=False, env=env,
                          cwd=script.parent)  # fmt: skip
    assert done.stderr == ""
    return set(done.stdout.splitlines()) - {""}


@pytest.mark.skipif(shutil.which("bash") is None, reason="not installed")
def test_bash_offers_what_fits(verbs: list[Verb], tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(completion.bash(verbs))
    (tmp_path / "folder").mkdir()
    (tmp_path / "file.toml").touch()
    assert bash(script, ["grist", "st"]) == {"status", "start"}
    assert bash(script, ["grist", ""]) == {*VERBS, "--help", "--version"}
    assert bash(script, ["grist", "doctor", "--"]) == {"--help", "--jobs", "--state", "--json"}
    assert bash(script, ["grist", "service", ""]) == {"install", "uninstall", "status"}
    assert bash(script, ["grist", "completion", "z"]) == {"zsh"}
    assert bash(script, ["grist", "check", f"{tmp_path}/fi"]) == {f"{tmp_path}/file.toml"}
    assert bash(script, ["grist", "check", "--jobs", f"{tmp_path}/f"]) == {f"{tmp_path}/folder"}
    assert bash(script, ["grist", "wait", "--timeout", ""]) == set()


@pytest.mark.skipif(shutil.which("fish") is None, reason="not installed")
def test_fish_offers_what_fits(verbs: list[Verb], tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(completion.fish(verbs))

    def fish(line: str) -> set[str]:
        code = f"source {script}; complete -C {shlex.quote(line)}"
        done = subprocess.run(["fish", "-N", "-c", code], capture_output=True, text=True, check=False,
                              env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"})  # fmt: skip
        return {word.split("\t")[0] for word in done.stdout.splitlines()}

    assert fish("grist st") == {"status", "start"}
    assert fish("grist shutdown --d") == {"--drain"}
    assert fish("grist service u") == {"uninstall"}


@pytest.mark.skipif(shutil.which("zsh") is None, reason="not installed")
def test_zsh_hands_each_verb_its_own_options(verbs: list[Verb], tmp_path: Path) -> None:
    script = tmp_path / "_grist"
    script.write_text(completion.zsh(verbs))

    def zsh(words: str, current: int) -> str:
        code = (f"_describe() {{ print -rl -- ${{(P)4}} }}; _arguments() {{ print -rl -- $words[1] $@ }};"
                f"words=({words}); CURRENT={current}; source {script}")  # fmt: skip
        done = subprocess.run(["zsh", "-f", "-c", code], capture_output=True, text=True, check=False)
        assert done.stderr == ""
        return done.stdout

    told = zsh("grist service ''", 3).splitlines()
    assert told[0] == "service"
    assert "*--linger[install: keep it going when you have logged out]".replace(":", "\\:") in told
    assert told[-1].endswith(":(install status uninstall)")
    assert "status:show jobs, or the tasks of one job" in zsh("grist ''", 2).splitlines()


def test_jobs_are_offered_by_name_and_id_and_a_hostile_name_runs_nothing(verbs: list[Verb], tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(completion.bash(verbs))
    with Mill(tmp_path) as mill:
        assert mill.grist("completion", "jobs") == ""
        mill.start("--limit", "0")
        mill.drop("hostile.toml", 'name = "sw $(touch pwned)"\ncommand = "true"\n')
        mill.drop("sweep.toml", 'command = "true"\n')
        mill.until(lambda: len(mill.ask("status")["jobs"]) == 2, "not accepted")
        assert {"sweep", "1", "2", "last"} < set(mill.grist("completion", "jobs").splitlines())
        grist = tmp_path / "grist"
        grist.write_text(f"#!/bin/sh\nexec {shlex.join(mill.command('completion', 'jobs'))}\n")
        grist.chmod(0o755)
        found = bash(script, ["grist", "cancel", "sw"], {**mill.env, "PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert found == {"sweep", r"sw\ \$\(touch\ pwned\)"}
    assert not (tmp_path / "pwned").exists()


def test_the_man_page_has_every_command_option_and_example(verbs: list[Verb]) -> None:
    text = manpage.page(verbs, "1.0")
    plain = text.replace(r"\-", "-")
    for verb in verbs:
        part = plain.split(f'.SS "grist {verb.name}')[1].split(".SS ")[0]
        for option in verb.options:
            if option.flags[-1] not in manpage.COMMON:
                assert f"\\fB{', '.join(option.flags)}" in part
        assert part.count("grist ") >= len(verb.examples)
    assert not [line for line in text.splitlines() if line.startswith("'")]


@pytest.mark.skipif(shutil.which("groff") is None, reason="not installed")
def test_troff_finds_nothing_to_complain_about(verbs: list[Verb]) -> None:
    text = manpage.page(verbs, "1.0")
    done = subprocess.run(["groff", "-man", "-ww", "-Tutf8"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    shown = re.sub(r"\x1b\[[0-9;]*m|.\x08", "", done.stdout)
    assert "grist clean --older 30d --dry-run" in shown
    assert "grist status --json | jq '.jobs[].name'" in shown
