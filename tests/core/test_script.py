"""Scripts and lists of commands: what kind of file, which interpreter, and the #GRIST lines at their top."""

from __future__ import annotations

import pytest

from gristmill.supervisor.core import items, jobfile
from gristmill.supervisor.core.errors import JobFileError
from gristmill.supervisor.core.spec import Axis, Spec


def read(path: str) -> str:
    raise FileNotFoundError(2, "No such file or directory", path)


def parse(text: str, file: str, executable: bool = False) -> Spec:
    return jobfile.parse(text, file, cwd="/work", home="/home/ann", executable=executable, read=read)


def complaints(text: str, file: str, executable: bool = False) -> list[str]:
    with pytest.raises(JobFileError) as caught:
        parse(text, file, executable)
    return str(caught.value).split("\n")


@pytest.mark.parametrize(
    ("file", "first", "argv"),
    [
        ("a.py", "import os", ("python3", "{script}")),
        ("a.py", "#!/usr/bin/python2", ("python3", "{script}")),
        ("a.PY", "import os", ("python3", "{script}")),
        ("a.sh", "echo hi", ("/bin/sh", "{script}")),
        ("a.sh", "#!/bin/bash", ("/bin/bash", "{script}")),
        ("a.sh", "#! /bin/bash -e", ("/bin/bash", "-e", "{script}")),
        ("a.sh", "#!/usr/bin/env bash", ("/usr/bin/env", "bash", "{script}")),
        ("a.sh", "#!/usr/bin/env -S awk -f", ("/usr/bin/env", "-S awk -f", "{script}")),
        ("a.sh", "#!/opt/{x}/sh", ("/opt/{{x}}/sh", "{script}")),
    ],
)
def test_interpreters(file: str, first: str, argv: tuple[str, ...]) -> None:
    spec = parse(f"{first}\n", file)
    assert spec.kind == "script"
    assert spec.command == argv


def test_an_executable_with_a_first_line_is_a_script() -> None:
    assert parse("#!/usr/bin/perl\nprint 1;\n", "analyse", executable=True).command == ("/usr/bin/perl", "{script}")


@pytest.mark.parametrize(
    ("text", "file", "executable", "expected"),
    [
        ("x", "notes.md", False, 'notes.md: no job file: ".md" says nothing – name it .toml, .sh, .py, .slurm, .txt'),
        ("x", "notes", False, "a name without a suffix"),
        ("#!/bin/sh\n", "run", False, "a script that is not executable – chmod +x it, or name it .sh or .py"),
        ("x", "notes", True, 'executable, but no script – write its interpreter in the first line, such as'),
        ("", "a.sh", False, "a.sh: the script is empty"),
        ("\n \n", "a.py", False, "a.py: the script is empty"),
        ("#!\n", "a.sh", False, 'a.sh:1:1: a #! line without an interpreter – write "#!/usr/bin/env bash"'),
        ("#!bash\n", "a.sh", False, 'a.sh:1:1: "bash" is no full path – write "#!/usr/bin/env bash"'),
        ("#!/bin/sh\r\necho\r\n", "a.sh", False, "a.sh:1:10: lines end as on Windows"),
        ("\ufeff#!/bin/sh\n", "a.sh", False, "a.sh:1:1: an invisible byte-order mark"),
        ("echo a\0b", "a.sh", False, "a.sh:1:7: a NUL character"),
        ("", "a.txt", False, "a.txt: no command in the list"),
        ("# nothing\n\n", "a.cmds", False, "a.cmds: no command in the list"),
        ("#GRIST items.total = 5\ntrue\n", "a.txt", False, "a.txt:1:14: items.total in a list: its lines are the"),
        ("#GRIST grid.a = [1]\ntrue\n", "a.txt", False, "a.txt:1:8: grid in a list"),
        ("#GRIST items.per_task = 2\ntrue\n", "a.txt", False, "a.txt:1:14: a task of 2 items has no single {line}"),
        ("true\n" + "x" * 70_000, "a.txt", False, "a.txt:2:1: an item of more than 60,000 bytes – put it into"),
        ("#GRIST command = 'x'\n", "a.sh", False, "a.sh:1:8: command in a script: a script is its own command"),
        ("#GRIST call = 'x'\ntrue\n", "a.txt", False, "a.txt:1:8: call in a list: each line of a list is a command"),
        ("#GRIST tmeout = '2h'\n", "a.sh", False, "a.sh:1:8: unknown key tmeout – did you mean timeout?"),
        ("#!/bin/sh\n\n#GRIST  timeout = 2h\n", "a.sh", False, "a.sh:3:20: more than one value"),
        ("#GRIST name\n", "a.sh", False, 'a.sh:1:12: no "=" after the key'),
        ("# GRIST name = 'x'\n", "a.sh", False, "a.sh:1:1: \"# GRIST name = 'x'\" is not read – write #GRIST"),
        ("#grist name = 'x'\n", "a.sh", False, "is not read"),
        (" #GRIST name = 'x'\n", "a.sh", False, "is not read"),
        ("#GRIST: name = 'x'\n", "a.sh", False, "is not read"),
        ("import os\n#GRIST name = 'x'\n", "a.py", False, "a.py:2:1: a #GRIST line below the first line"),
        ("#GRIST grid.a = [1]\n#GRIST items.per_task = 2\necho $GRIST_A\n", "a.sh", False, "has no single {a}"),
    ],
)  # fmt: skip
def test_each_slip_has_its_mend(text: str, file: str, executable: bool, expected: str) -> None:
    assert any(expected in line for line in complaints(text, file, executable)), complaints(text, file, executable)


def test_lines_at_the_top_are_keys() -> None:
    spec = parse(
        "#!/bin/sh\n# A comment\n\n#GRIST name = 'fit'\n#GRIST limits.workers = 4\n#GRIST retry = {attempts = 3}\n"
        "#GRIST [grid]\n#GRIST lr = [\n#GRIST   0.1,  # fast\n#GRIST   0.2]\n\necho $GRIST_LR\n",
        "a.sh",
    )
    assert spec.name == "fit"
    assert spec.limits.workers == 4
    assert spec.retry.attempts == 3
    assert spec.items.axes == (Axis(name="lr", values=(0.1, 0.2)),)
    assert spec.items.total == 2


def test_prose_about_grist_is_no_key() -> None:
    assert parse("#!/bin/sh\n# GRIST runs this\n#GRISTMILL\necho '#GRIST x'\n", "a.sh").name == "a"


def test_python_scripts_may_have_windows_lines() -> None:
    assert parse("#GRIST priority = 3\r\nprint(1)\r\n", "a.py").priority == 3


def test_a_list_is_one_command_a_line_as_written() -> None:
    text = "\ufeff#GRIST name = 'sweep'\n\n# comment\necho {a} '$x'\r\n  indented # kept\n\t# not\necho last"
    spec = parse(text, "a.txt")
    assert spec.name == "sweep"
    assert spec.kind == "list"
    assert [items.params(spec.items, index)["line"] for index in range(spec.items.total)] == [
        "echo {a} '$x'", "  indented # kept", "echo last",
    ]  # fmt: skip
