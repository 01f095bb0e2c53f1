"""A shell that makes way for the program of its line does what it would have done by staying: asked of real shells."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gristmill.supervisor.core.shell import in_place
from tests.waiting import DEADLINE

SHELLS = [found for name in ("dash", "bash", "busybox") if (found := shutil.which(name))]
ARGUMENTS = st.sampled_from([
    " ", "\t", "a", "b-1", "./c", "x=1", "'", '"', "'d e'", '"f $HOME g"', "\\", "$", "$HOME", "${HOME}", "${no-",
    "$(show h)", "`show i`", "$((1+2))", "(", ")", "{", "}", "{1,2}", "[a-z]", "*", "?", "~", "!", "#", ";", "&", "|",
    "&&", "||", "\n", "<", ">", ">>", "<<", "2>&1", ">&2", "2>&-", "1>", "<out", ">out", ">|out", "&>out", "EOF", "%",
    "-n", "3", "ü", ",", ":", "@", "^", "+",
])
STARTS = st.sampled_from([
    "show", "show ", " show ", "./show ", "no-such ", "A=1 show ", "echo ", "cd ", "test ", "exec show ", "time show ",
    "! show ", "{ show ", "(show ", "'show' ", "sh\\ow ", "$HOME ", "if ", "2>out show ", ">out show ",
])


def outcome(shell: str, line: str, folder: Path) -> tuple[int, str, str, str]:
    """Exit code, what it printed, whether there was an error, and what lies in its file."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "show").write_text('#!/bin/sh\nprintf "<%s>" "$@"\ncat\nprintf E >&2\nexit 3\n')
    (folder / "show").chmod(0o755)
    done = subprocess.run(
        [shell, *(["sh"] if shell.endswith("busybox") else []), "-c", line], cwd=folder, capture_output=True, text=True,
        input="in", check=False, timeout=DEADLINE, env={"PATH": f"{folder}:/usr/bin:/bin", "HOME": "/home"},
    )
    out = folder / "out"
    told, written = done.stdout, out.read_text() if out.is_file() else ""
    if done.returncode == 127:  # of a program that is not there each says it in words of its own
        told, written = str(bool(told)), str(bool(written))
    return done.returncode, told, str(bool(done.stderr)), written


@pytest.mark.parametrize("shell", SHELLS)
@settings(max_examples=200)
@given(STARTS, st.lists(ARGUMENTS, max_size=7).map("".join))
@example("show ", "a >out 2>&1")
@example("show ", "'a\nb' \"c;d\" e\\;f <out")
@example("show ", "a; show b")
@example("show ", "a & show b")
@example("show ", '"a" #; b')
def test_what_a_line_does_stays_the_same(tmp_path_factory: pytest.TempPathFactory, shell: str, start: str, rest: str
                                         ) -> None:
    line = start + rest
    shorter = in_place(line)
    if shorter != line:
        folder = tmp_path_factory.getbasetemp() / "place"
        assert outcome(shell, shorter, folder) == outcome(shell, line, folder)


@pytest.mark.parametrize("line", [
    "python train.py --lr 0.1 --seed '3 4'", "python score.py > \"$GRIST_RESULT\"", "./simulate 7 >>out 2>&1",
    "  Rscript fit.R < data.csv", "nice -n 5 python3 x.py \"it's\" {a,b} $HOME/${X}.csv",
])  # fmt: skip
def test_one_program_takes_the_place_of_its_shell(line: str) -> None:
    assert in_place(line) == f"exec {line.strip()}"


@pytest.mark.parametrize("line", [
    "a && b", "a; b", "a | b", "a &", "a\nb", "A=1 a", "cd x", "echo hello", ". ./env.sh", "time a", "true", "exec a",
    "a $(b)", "a `b`", "(a)", "{ a; }", "$TOOL a", "'my tool' a", "a <<END\nx\nEND", "", "if a; then b; fi",
])
def test_in_doubt_the_shell_stays(line: str) -> None:
    assert in_place(line) == line


def test_a_function_of_bash_is_no_program() -> None:
    assert in_place("fit 3", {"fit"}) == "fit 3"
    assert in_place("fit 3", {"other"}) == "exec fit 3"
