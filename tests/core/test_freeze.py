"""Code frozen at submission: what a job file says of it, and commands that would run something else."""

from __future__ import annotations

import msgspec
import pytest

from gristmill.supervisor.core import freeze, jobfile, launch
from gristmill.supervisor.core.errors import JobFileError
from gristmill.supervisor.core.spec import Snapshot, Spec

FROZEN = ("train.py", "pkg/run.py", "pkg/tool/__main__.py")


def parse(text: str, file: str = "fit.toml") -> Spec:
    return jobfile.parse(text, file, cwd="/lab", home="/home/ann", read=str)


def copied(spec: Spec) -> Spec:
    assert spec.snapshot is not None
    return msgspec.structs.replace(spec, snapshot=msgspec.structs.replace(spec.snapshot, folder="/s", tree="/s/tree"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('snapshot = ["*.py", "./conf/"]', Snapshot(files=("*.py", "conf/**"))),
        ('snapshot = "git"', Snapshot(git=True)),
        ('snapshot = { files = "git", cwd = true }', Snapshot(git=True, cwd=True)),
        ('[snapshot]\nfiles = ["*.py"]', Snapshot(files=("*.py",))),
    ],
)
def test_what_is_frozen(text: str, expected: Snapshot) -> None:
    assert parse(f'command = "x"\n{text}').snapshot == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("snapshot = true", "snapshot is true – write a list of patterns"),
        ('snapshot = "svn"', 'write a list of patterns such as ["*.py", "conf/**"], or "git"'),
        ("snapshot = []", "snapshot names no file"),
        ("snapshot = { cwd = true }", "snapshot without files"),
        ('snapshot = ["/etc/*"]', 'snapshot (value 1): "/etc/*" leads out of the working folder'),
        ('snapshot = { file = ["*.py"] }', "unknown key snapshot.file"),
    ],
)
def test_slips(text: str, expected: str) -> None:
    with pytest.raises(JobFileError) as caught:
        parse(f'command = "x"\n{text}')
    assert expected in str(caught.value)


def test_the_copy_is_a_placeholder_a_variable_and_first_in_line() -> None:
    spec = copied(parse('command = ["python3", "{snapshot}/train.py"]\nsnapshot = "git"\n'
                        'env = { PYTHONPATH = "/lib" }\n[finally]\ncommand = "sh {snapshot}/end.sh"'))  # fmt: skip
    start = launch.launch(spec, job=1, number=0, span=(0, 1), attempt=1, script=None)
    assert (start.argv[1], start.cwd, start.env["PYTHONPATH"]) == ("/s/tree/train.py", "/lab", "/s/tree:/lib")
    assert launch.shared(spec, 1)["GRIST_SNAPSHOT"] == "/s/tree"
    end = launch.finish(spec, job=1, number=1, attempt=1, results="/r", done=1, failed=0)
    assert end.argv[-1] == "sh /s/tree/end.sh"


def test_tasks_run_in_the_copy_where_that_is_wanted() -> None:
    spec = copied(parse('command = "python3 train.py"\nsnapshot = { files = ["*.py"], cwd = true }'))
    assert launch.launch(spec, job=1, number=0, span=(0, 1), attempt=1, script=None).cwd == "/s/tree"
    assert launch.kind(spec) == launch.kind(parse('command = "python3 train.py"'))  # it is the same work, next time too


def test_without_a_copy_there_is_no_such_placeholder() -> None:
    with pytest.raises(JobFileError, match=r"unknown placeholder \{snapshot\}"):
        parse('command = "python3 {snapshot}/train.py"')


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("a.toml", 'command = "python3 train.py --lr 1"', "write {snapshot}/train.py"),
        ("a.toml", 'command = "cd x; python3 ./train.py"', "train.py"),
        ("a.toml", 'command = ["python3", "pkg/run.py"]', "write {snapshot}/pkg/run.py"),
        ("a.toml", 'command = "python3 -m pkg.run"', "-m pkg.run would find the working folder first"),
        ("a.toml", 'command = "python3 -m pkg.tool"', "cwd = true"),
        ("a.sh", "#!/bin/sh\n#GRIST snapshot = 'git'\npython3 train.py\n", "write $GRIST_SNAPSHOT/train.py"),
        ("a.txt", "#GRIST snapshot = 'git'\npython3 train.py\n", "train.py"),
        ("a.toml", 'command = "python3 {snapshot}/train.py"', None),
        ("a.toml", 'command = "python3 other.py --out train.pyc"', None),
        ("a.sh", "#!/bin/sh\n#GRIST snapshot = 'git'\n# train.py\npython3 $GRIST_SNAPSHOT/train.py\n", None),
        ("a.py", "#GRIST snapshot = 'git'\nimport train\nprint('train.py')\n", None),
    ],
)
def test_a_command_that_would_not_run_what_is_frozen(file: str, text: str, expected: str | None) -> None:
    text = text + "\nsnapshot = 'git'" if file.endswith(".toml") else text
    fault = freeze.stray(parse(text, file), text, FROZEN)
    assert (fault is None) is (expected is None)
    if fault is not None and expected is not None:
        assert expected in str(fault)
        if file.endswith(".toml"):
            inside = text.replace("'git'", "{ files = 'git', cwd = true }")
            assert freeze.stray(parse(inside, file), inside, FROZEN) is None
