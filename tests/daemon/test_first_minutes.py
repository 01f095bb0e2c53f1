"""What a newcomer meets first: a folder with a sample in it, a job from an editor, faults that an editor finds."""

from __future__ import annotations

import functools
import os
import re
import shlex
import stat
import subprocess
from pathlib import Path

import pytest

from gristmill.supervisor.cli import draft
from gristmill.supervisor.core import jobfile
from tests.mill import DEADLINE, Mill


def editor(mill: Mill, *lines: str) -> None:
    """An editor that does these lines of shell to the file, "$1", and saves it."""
    program = mill.base / "my editor"
    program.write_text("\n".join(["#!/bin/sh", *lines]) + "\n")
    program.chmod(stat.S_IRWXU)
    mill.env |= {"EDITOR": shlex.quote(str(program)), "TMPDIR": str(mill.base)}
    mill.env.pop("VISUAL", None)


def test_a_fresh_folder_holds_a_sample_that_does_not_run_until_it_is_copied_as_the_line_says(mill: Mill) -> None:
    mill.jobs.rmdir()
    said = mill.grist("up", "--until-done")
    assert "0 of 0 jobs" in said
    found = re.search(r"^next: (cp (\S+) (\S+)) runs an example", said, re.MULTILINE)
    assert found and (mill.base / found[2]).read_text() == draft.SAMPLE
    (mill.base / found[3]).write_text(draft.SAMPLE)
    assert "1 of 1 jobs, 6 of 6 items" in mill.grist("up", "--until-done")
    assert (mill.base / found[2]).exists(), "the sample stays"


def test_each_key_of_the_sample_may_be_uncommented() -> None:
    text = re.sub(r"^# (?=[a-z_]+ = |\[)", "", draft.SAMPLE, flags=re.MULTILINE)
    assert text.count("#") < draft.SAMPLE.count("#") - 10
    jobfile.parse(text, "first.toml", cwd="/work", home="/home/ann", read=lambda path: "")


def test_what_was_saved_in_the_editor_runs_where_it_was_typed(turning: Mill) -> None:
    editor(turning, """sed -i 's/^command = .*/command = "pwd; echo {layers}.{batch}"/' "$1" """)
    assert re.search(r"^job 1 ours$", turning.grist("add", "--edit", "--name", "ours", "--timeout", "1m"), re.MULTILINE)
    assert turning.ended("ours")["items_done"] == 6
    assert turning.grist("log", "ours/3").split() == [str(turning.base), "2.32"]
    assert turning.ask("job", job="ours")["job"]["state"] == "done"


def test_a_command_may_be_edited_and_may_stay_as_it_is(turning: Mill) -> None:
    editor(turning, "true")
    turning.grist("add", "--edit", "--", "echo", "as it is")
    turning.ended("echo")
    assert turning.grist("log", "echo") == "as it is\n"


@pytest.mark.parametrize("done", ["true", ': > "$1"'], ids=["unchanged", "emptied"])
def test_an_editor_that_is_left_without_a_word_adds_nothing(done: str, mill: Mill) -> None:
    editor(mill, done)
    assert "nothing was written: no job is added" in mill.grist("add", "--edit", code=2)
    assert not list(mill.jobs.glob("*.toml")) and not list(mill.base.glob("grist-*"))


def test_what_is_wrong_is_told_with_its_place_and_the_text_is_kept(mill: Mill) -> None:
    editor(mill, """printf 'command = "true"\\n\\n  timout = 1\\n' > "$1" """)
    said = mill.grist("add", "--edit", code=2)
    found = re.search(r"(\S+):3:3: unknown key timout", said)
    assert found and "timout" in Path(found[1]).read_text()
    assert "your text is kept" in said
    editor(mill, "exit 3")
    assert "left with 3, and no job is added" in mill.grist("add", "--edit", code=2)


def test_ctrl_d_instead_of_another_try_leaves_the_text_where_it_is(mill: Mill) -> None:
    editor(mill, """echo 'timout = 1' > "$1" """)
    keys, terminal = os.openpty()
    try:
        os.write(keys, b"\x04")
        done = subprocess.run(mill.command("add", "--edit"), env=mill.env, cwd=mill.base, stdin=terminal,
                              capture_output=True, text=True, timeout=DEADLINE, check=False)  # fmt: skip
    finally:
        os.close(keys)
        os.close(terminal)
    found = re.search(r"^grist: no job is added – your text is in (\S+)$", done.stderr, re.MULTILINE)
    assert found and done.returncode == 2, done.stderr
    assert Path(found[1]).read_text() == "timout = 1\n"


def test_check_tells_faults_as_compilers_do(mill: Mill) -> None:
    (mill.base / "my lab").mkdir()
    bad, empty = mill.base / "my lab" / "sweep.toml", mill.base / "my lab" / "empty.sh"
    bad.write_text('command = "true"\n  timout = 1\n[retry]\nattempts = "x"\n')
    empty.write_text("")
    lines = mill.grist("check", str(bad), str(empty), code=2).splitlines()
    found = [re.fullmatch(r"(.+?):(\d+):(\d+): (.+) – (.+)", line) for line in lines]  # %f:%l:%c: %m
    assert [(one[1], int(one[2]), int(one[3])) for one in found if one] == [
        (str(bad), 2, 3), (str(bad), 4, 1), (str(empty), 1, 1),
    ]


@pytest.mark.parametrize("words", [("sweep",), ()])
def test_a_file_that_was_copied_in_a_moment_ago_is_waited_for(words: tuple[str, ...], turning: Mill) -> None:
    for command, code, said in (("false", 1, "job 1 sweep failed"), ("true", 0, "job 2 sweep done")):
        with (turning.jobs / "sweep.toml").open("w") as file:  # nothing takes it while it is written
            file.write(f'command = "{command}"\n')
            file.flush()
            waits = turning.spawn("wait", *words, stdout=subprocess.PIPE)
            turning.until(functools.partial(connected, waits.pid), "nobody waits")
        assert waits.stdout is not None
        with waits.stdout:
            assert said in waits.stdout.read(), "not the one of before"
        assert waits.wait(60) == code


def connected(pid: int) -> bool:
    """Whether a process has a socket open."""
    try:
        return any(os.readlink(fd).startswith("socket:") for fd in Path("/proc", str(pid), "fd").iterdir())
    except OSError:
        return False  # one was closed while it was looked at


def test_a_file_that_is_rejected_is_not_waited_for_long(turning: Mill) -> None:
    (turning.jobs / "sweep.toml").write_text("comand = 1\n")
    assert "no job 'sweep'" in turning.grist("wait", "sweep", code=2)
    assert (turning.jobs / "rejected" / "sweep.toml.error").exists()
