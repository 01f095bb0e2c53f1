"""Jobs that call a function: what a file may say of it, and what each call is given."""

from __future__ import annotations

import pytest

from gristmill.supervisor.core import items, jobfile, journal, launch
from gristmill.supervisor.core.errors import JobFileError
from gristmill.supervisor.core.spec import Call, Recycle, Retry, Spec
from gristmill.supervisor.core.task import TaskState, settle
from gristmill.supervisor.core.tools import Function, functions, tools

GRID = "[grid]\nlayers = [1, 2]\nname = ['a', 'b c']\n"


def parse(text: str) -> Spec:
    return jobfile.parse(text, "cubes.toml", cwd="/lab", home="/home/ann", read=lambda path: path)


def complaint(text: str) -> str:
    """The one line that a user is shown."""
    with pytest.raises(JobFileError) as caught:
        parse(text)
    return str(caught.value)


def given(text: str, number: int) -> tuple[tuple[int | str, ...], dict[str, object]]:
    """What call `number` of a job gets, by place and by name."""
    spec = parse(text)
    span = (number, 1) if spec.items.per_task is None else items.span(spec.items, number)
    start = launch.launch(spec, job=1, number=number, span=span, attempt=1, script=None)
    return start.args, dict(start.kwargs)


# ── what a file says ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_call_is_a_job() -> None:
    assert parse('call = "cubes:make"') == Spec(
        name="cubes", kind="call", command=(), call=Call(target="cubes:make"), cwd="/lab"
    )


def test_a_call_in_full() -> None:
    spec = parse(
        """
call = "lab.cubes:Maker.make"
preload = "lab.data:load"
python = "~/envs/torch/bin/python"
isolation = "reuse"
recycle = { tasks = 1000, memory = "200 MiB" }
"""
    )
    assert spec.call == Call(
        target="lab.cubes:Maker.make", preload="lab.data:load", python="/home/ann/envs/torch/bin/python",
        recycle=Recycle(tasks=1000, memory_bytes=200 << 20),
    )


@pytest.mark.parametrize(
    ("more", "recycle"),
    [
        ("", None),
        ('isolation = "fork"', None),
        ('isolation = "reuse"', Recycle(tasks=None, memory_bytes=256 << 20)),
        ('isolation = "reuse"\nrecycle = 50', Recycle(tasks=50, memory_bytes=256 << 20)),
        ('isolation = "reuse"\nrecycle = { memory = "1 GiB" }', Recycle(tasks=None, memory_bytes=1 << 30)),
    ],
)
def test_a_process_makes_one_call_or_many(more: str, recycle: Recycle | None) -> None:
    call = parse(f'call = "cubes:make"\n{more}').call
    assert call is not None
    assert call.recycle == recycle


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('call = "cubes:make"\ncommand = "true"',
         "cubes.toml:1:1: both command and call – keep the one that a task runs"),
        ('call = "cubes"', ('cubes.toml:1:1: call: "cubes" names no function of a module – '
                           'write "module:function", such as "cubes:make"')),
        ('call = "cubes.py:make"', ('cubes.toml:1:1: call: "cubes.py:make" names no function of a module – '
                                   'write the module, not its file: "cubes:make"')),
        ('call = "lab.cubes.make"', ('cubes.toml:1:1: call: "lab.cubes.make" names no function of a module – '
                                    'write a colon before the function: "lab.cubes:make"')),
        ('call = "cubes:make"\npreload = "data"', ('cubes.toml:2:1: preload: "data" names no function of a module – '
                                                  'write "module:function", such as "cubes:make"')),
        ('command = "true"\nisolation = "reuse"', ("cubes.toml:2:1: isolation without call changes nothing – "
                                                  'add call = "module:function", or remove isolation')),
        ('command = "true"\npython = "python3"',
         ("cubes.toml:2:1: python without call changes nothing – add call = \"module:function\", or write the "
         "interpreter into the command")),
        ('call = "cubes:make"\nrecycle = 5',
         ("cubes.toml:2:1: recycle changes nothing where each call has a process of its own – "
         'add isolation = "reuse", or remove recycle')),
        ('call = "cubes:make"\nvenv = "v"\npython = "python3"',
         "cubes.toml:3:1: both python and venv – keep the one that has the interpreter"),
        ('call = "cubes:make"\nisolation = "thread"',
         'cubes.toml:2:1: isolation is the text "thread" – write "fork" or "reuse"'),
        ('call = "cubes:make"\nisolation = "reuse"\nrecycle = "often"',
         ('cubes.toml:3:1: recycle is the text "often" – write a number of calls, or a table: '
         'recycle = { tasks = 1000, memory = "200 MiB" }')),
        ('call = "cubes:make"\n[finally]\ncall = "merge"',
         ('cubes.toml:3:1: finally.call: "merge" names no function of a module – '
          'write "module:function", such as "cubes:make"')),
        ('call = "cubes:make"\n[finally]\ncall = "cubes:merge"\ncommand = "true"',
         "cubes.toml:3:1: both finally.command and finally.call – keep the one that runs"),
        ('command = "true"\n[finally]\ncall = "cubes:merge"',
         ("cubes.toml:3:1: finally.call in a job without a call has no interpreter to be made in – "
          'write finally.command, such as "python merge.py {results}"')),
        ('func = "cubes:make"', ("cubes.toml: command is missing – say what a task runs, such as "
                                'command = "python3 train.py" or call = "module:function"\n'
                                "cubes.toml:1:1: unknown key func – did you mean call?")),
    ],
)
def test_what_is_wrong_is_said_with_its_place_and_its_mend(text: str, line: str) -> None:
    assert complaint(text) == line


# ── what a call is given ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_job_without_items_calls_with_nothing() -> None:
    assert given('call = "cubes:make"', 0) == ((), {})


def test_an_item_is_given_by_its_parameters_or_else_by_its_index() -> None:
    assert given(f'call = "cubes:make"\n{GRID}', 3) == ((), {"layers": 2, "name": "b c"})
    assert given('call = "cubes:make"\n[items]\nlist = ["x", "y"]', 1) == ((), {"item": "y"})
    assert given('call = "cubes:make"\n[items]\ntotal = 10', 7) == ((7,), {})
    assert given('call = "cubes:make"\n[items]\ntotal = 1', 0) == ((0,), {})


def test_several_items_are_given_as_a_range_also_where_one_is_left() -> None:
    assert given('call = "cubes:make"\n[items]\ntotal = 9\nper_task = 4', 1) == ((4, 4), {})
    assert given('call = "cubes:make"\n[items]\ntotal = 9\nper_task = 4', 2) == ((8, 1), {})
    assert given('call = "cubes:make"\n[items]\ntotal = 3\nper_task = "auto"', 2) == ((2, 1), {})


def test_jobs_share_an_interpreter_where_they_need_the_same() -> None:
    def of(text: str) -> object:
        return tools(parse(text), "/usr/bin/python3", {"PATH": "/bin"})

    base = f'call = "cubes:make"\n{GRID}'
    assert of(base) == of(f'call = "cubes:make"\nname = "other"\ntimeout = 3\nisolation = "reuse"\n{GRID}')
    assert of(base) == of(f'call = "cubes:make"\nenv = {{ SEED = "{{layers}}" }}\n{GRID}')  # a task's own
    assert of(base) == of('call = "cubes:take"\n[items]\ntotal = 4\n')  # another function of that module
    for other in (
        f'call = "other:make"\n{GRID}', f'call = "cubes:make"\npreload = "cubes:load"\n{GRID}',
        f'call = "cubes:make"\ncwd = "/other"\n{GRID}', f'call = "cubes:make"\nenv = {{ MODE = "fast" }}\n{GRID}',
        f'call = "cubes:make"\n{GRID}[resources]\ncpus = 4\n',
    ):
        assert of(base) != of(other), other
    loaded = f'call = "cubes:make"\npreload = "cubes:load"\n{GRID}'
    assert of(loaded) == of(loaded.replace("cubes:make", "sums:take"))  # what was loaded is there for both
    assert of(loaded) != of(loaded.replace("cubes:load", "cubes:load_all"))


def test_what_a_job_calls_is_known_beforehand_its_last_step_as_well() -> None:
    assert functions(parse(f'call = "cubes:make"\n{GRID}')) == (Function("cubes:make", (), ("layers", "name")),)
    spec = parse('call = "cubes:make"\n[items]\ntotal = 4\nper_task = 2\n[finally]\ncall = "sums:merge"')
    assert functions(spec) == (Function("cubes:make", ("start", "count")), Function("sums:merge", ("results",)))
    last = launch.finish(spec, job=1, number=2, attempt=1, results="/all.jsonl", done=4, failed=0)
    assert (last.argv, last.args, last.env["GRIST_ITEMS_DONE"]) == ((), ("/all.jsonl",), "4")
    assert functions(parse('command = "true"')) == ()


def test_calls_and_commands_are_of_different_kinds_and_say_what_they_run() -> None:
    kinds = {launch.kind(parse(text)) for text in ('call = "a:b"', 'call = "a:c"', 'command = "a:b"')}
    assert len(kinds) == 3
    assert launch.summary(parse('call = "cubes:make"')) == "call cubes:make"


# ── what comes of it ──────────────────────────────────────────────────────────────────────────────────────────────


def exit_of(**more: object) -> journal.Exit:
    record = {"code": 0, "signal": None, "why": None, "t0": 0.0, "t": 1.0, "cpu": 0.1, "rss": 0, **more}
    return journal.read_exit(record)


def test_an_exception_is_the_reason_of_its_task() -> None:
    outcome = settle(exit_of(code=1, raised="ValueError: no such fold"), Retry(), 1, None, 0.5)
    assert (outcome.state, outcome.reason) == (TaskState.FAILED, "ValueError: no such fold")


def test_an_exception_is_tried_again_as_exit_1_is() -> None:
    end = exit_of(code=1, raised="ValueError: no such fold")
    assert settle(end, Retry(attempts=2, on=("exit:1",)), 1, None, 0.5).state is TaskState.QUEUED
    assert settle(end, Retry(attempts=2, on=("exit:2",)), 1, None, 0.5).state is TaskState.FAILED
