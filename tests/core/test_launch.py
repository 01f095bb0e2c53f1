"""What is started for a task: argv, variables and input."""

from __future__ import annotations

import json
import shlex

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.supervisor.core import items, jobfile, launch
from gristmill.supervisor.core.spec import Spec


def parse(text: str, file: str = "pose.toml") -> Spec:
    return jobfile.parse(text, file, cwd="/work", home="/home/ann", read=lambda path: path)


def start(spec: Spec, number: int = 0) -> launch.Launch:
    return launch.launch(
        spec, job=7, number=number, span=items.span(spec.items, number), attempt=2,
        script="/spool/1.py" if spec.kind == "script" else None,
    )


def variables(spec: Spec, number: int = 0) -> dict[str, str]:
    return launch.shared(spec, 7) | start(spec, number).env


def test_a_shell_line_quotes_its_values() -> None:
    spec = parse('command = "echo {a} {{x}} $HOME"\n[grid]\na = ["p q; rm -rf ~", "it\'s", \'plain\', true, 0.1]')
    assert [start(spec, number).argv for number in range(5)] == [
        ("/bin/sh", "-c", "echo 'p q; rm -rf ~' {x} $HOME"),
        ("/bin/sh", "-c", "echo 'it'\"'\"'s' {x} $HOME"),
        ("/bin/sh", "-c", "echo plain {x} $HOME"),
        ("/bin/sh", "-c", "echo true {x} $HOME"),
        ("/bin/sh", "-c", "echo 0.1 {x} $HOME"),
    ]


def test_an_argv_takes_values_as_they_are() -> None:
    spec = parse('command = ["echo", "--a={a}", "{{}}"]\n[grid]\na = ["p q"]')
    assert start(spec).argv == ("echo", "--a=p q", "{}")


def test_a_range_of_items() -> None:
    spec = parse(
        'command = "x {start} {count} {task} {job}"\nstdin = "{start},{count}"\n[items]\ntotal = 10\nper_task = 4'
    )
    last = start(spec, 2)
    assert last.argv[-1] == "x 8 2 2 7"
    assert last.stdin == "8,2"
    assert (last.env["GRIST_START"], last.env["GRIST_COUNT"], last.env["GRIST_TASK"]) == ("8", "2", "2")
    assert "GRIST_PARAMS" not in last.env


def test_variables_of_a_task() -> None:
    spec = parse('command = "x"\nresources.cpus = 2.5\n[grid]\n"learning-rate" = [0.1]\nlayers = [1, 2]')
    env = variables(spec, 1)
    assert json.loads(env.pop("GRIST_PARAMS")) == {"learning-rate": 0.1, "layers": 2}
    assert env == {
        "GRIST_JOB": "7", "GRIST_JOB_NAME": "pose", "GRIST_TASK": "1", "GRIST_START": "1", "GRIST_COUNT": "1",
        "GRIST_ATTEMPT": "2", "GRIST_LEARNING_RATE": "0.1", "GRIST_LAYERS": "2", "SLURM_ARRAY_TASK_ID": "1",
        "SLURM_CPUS_PER_TASK": "3", "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "3", "MKL_NUM_THREADS": "3",
        "OPENBLAS_NUM_THREADS": "3", "NUMEXPR_NUM_THREADS": "3",
        "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_COUNT": "2", "SLURM_ARRAY_TASK_MIN": "0",
        "SLURM_ARRAY_TASK_MAX": "1", "SLURM_ARRAY_TASK_STEP": "1",
    }  # fmt: skip


def test_one_thread_without_a_claim_and_the_file_has_the_last_word() -> None:
    env = variables(parse('command = "x"\nenv = { MKL_NUM_THREADS = 4, OUT = "out/{task}", PYTHONUNBUFFERED = "" }'))
    assert (env["OMP_NUM_THREADS"], env["MKL_NUM_THREADS"], env["OUT"], env["PYTHONUNBUFFERED"]) == (
        "1",
        "4",
        "out/0",
        "",
    )


def test_what_is_the_same_for_all_tasks_is_not_told_again_for_each() -> None:
    spec = parse('command = "x"\nenv = { OMP_NUM_THREADS = 4 }\n[items]\ntotal = 2')
    own = start(spec, 1).env
    assert {name for name in launch.shared(spec, 7) if name in own} == {"OMP_NUM_THREADS"}


def test_a_python_script_finds_modules_in_its_folder() -> None:
    assert start(parse("import x\n", "a.py")).argv == ("python3", "/spool/1.py")
    given = start(parse("#GRIST env.PYTHONPATH = '/lib/mine'\nimport x\n", "a.py"))
    assert given.env["PYTHONPATH"] == "/work:/lib/mine"


def test_a_line_of_a_list_runs_as_written() -> None:
    spec = parse("echo {a} '$x'\necho \"{{\"\n", "a.txt")
    assert start(spec, 0).argv == ("/bin/sh", "-c", "echo {a} '$x'")
    assert start(spec, 1).argv == ("/bin/sh", "-c", 'echo "{{"')


def test_no_stdin_unless_asked_for() -> None:
    assert start(parse('command = "x"')).stdin is None


def test_no_task_beyond_the_last() -> None:
    with pytest.raises(IndexError):
        start(parse('command = "x"'), 1)


@pytest.mark.parametrize(
    ("text", "file", "expected"),
    [
        ('command = "python  train.py \\n --lr {lr}"\n[grid]\nlr = [1]', "a.toml", "python train.py --lr {lr}"),
        ('command = ["python", "-m", "x"]', "a.toml", "python -m x"),
        ('command = "a\\u001bb"', "a.toml", "a\N{REPLACEMENT CHARACTER}b"),
        ("import x", "fit.py", "python3 fit"),
        ("#!/bin/bash\n", "fit.sh", "/bin/bash fit"),
        ("echo one\necho two", "a.txt", "2 commands: echo one"),
        ("echo one", "a.txt", "echo one"),
        (f'command = "{"x" * 100}"', "a.toml", "x" * 79 + "…"),
    ],
)
def test_summary(text: str, file: str, expected: str) -> None:
    assert launch.summary(parse(text, file)) == expected


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


@given(st.lists(TEXTS, min_size=1, max_size=4, unique=True))
def test_any_value_stays_one_word(values: list[str]) -> None:
    spec = parse('command = "x {a} y"\nitems.list = [{a = 1}]')
    cases = tuple({"a": value} for value in values)
    spec = msgspec.structs.replace(spec, items=msgspec.structs.replace(spec.items, total=len(values), cases=cases))
    for number, value in enumerate(values):
        assert shlex.split(start(spec, number).argv[-1]) == ["x", value, "y"]


def test_a_spec_survives_the_store() -> None:
    spec = parse('command = "x"\n[grid]\na = [1, 2.0, "3", true]\nb = {range = [0, 5]}\nexclude = [{a = 1}]')
    assert msgspec.json.decode(msgspec.json.encode(spec), type=Spec) == spec


SHORT = 'items.list = ["a/b c/x.tar.gz", "plain", "dir.d/none"]'


@pytest.mark.parametrize(
    ("hole", "expected"),
    [  # as GNU parallel fills them in
        ("{}", ["a/b c/x.tar.gz", "plain", "dir.d/none"]),
        ("{.}", ["a/b c/x.tar", "plain", "dir.d/none"]),
        ("{/}", ["x.tar.gz", "plain", "none"]),
        ("{//}", ["a/b c", ".", "dir.d"]),
        ("{/.}", ["x.tar", "plain", "none"]),
        ("{#}", ["1", "2", "3"]),
        ("{%}", ["4", "4", "4"]),
    ],
)
def test_short_placeholders(hole: str, expected: list[str]) -> None:
    spec = parse(f'command = ["echo", "{hole}"]\nstdin = "{hole}"\n{SHORT}')
    for number, value in enumerate(expected):
        found = launch.launch(spec, job=7, number=number, span=(number, 1), attempt=1, script=None, worker=4)
        assert (found.argv[1], found.stdin) == (value, value)


def test_short_placeholders_are_quoted_for_the_shell() -> None:
    assert start(parse(f'command = "gzip {{}}"\n{SHORT}')).argv[-1] == "gzip 'a/b c/x.tar.gz'"
    assert start(parse(f'command = "cd {{//}}; echo {{{{}}}}"\n{SHORT}')).argv[-1] == "cd 'a/b c'; echo {}"


def test_a_column_of_such_a_name_comes_first() -> None:
    for name in ("#", "%"):
        spec = parse(f'command = ["echo", "{{{name}}}"]\nitems.list = [{{"{name}" = "mine"}}]')
        assert start(spec).argv[1] == "mine"
