"""What a user writes, and what comes of it: the job, or each problem at its place with its mend."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.supervisor.core import items, jobfile, keys
from gristmill.supervisor.core.errors import JobFileError
from gristmill.supervisor.core.findings import MOST
from gristmill.supervisor.core.spec import Axis, Items, Limits, Resources, Retry, Spec
from tests.reference.pages import TABLES

FILES = {"/lab/cases.csv": "lr,name\n0.1,first\n0.2,second one\n"}


def read(path: str) -> str:
    try:
        return FILES[path]
    except KeyError:
        raise FileNotFoundError(2, "No such file or directory", path) from None


def parse(text: str, file: str = "pose.toml", executable: bool = False) -> Spec:
    return jobfile.parse(text, file, cwd="/lab", home="/home/ann", executable=executable, read=read)


def complaints(text: str, file: str = "pose.toml", executable: bool = False) -> list[str]:
    """The lines that a user is shown."""
    with pytest.raises(JobFileError) as caught:
        parse(text, file, executable)
    return str(caught.value).split("\n")


def test_one_command_is_a_job() -> None:
    assert parse('command = "make all"') == Spec(name="pose", kind="command", command="make all", cwd="/lab")


def test_a_job_in_full() -> None:
    spec = parse(
        """
name = "pose-cv"
command = "python train.py --layers {layers} --batch {batch} --fold {fold}"
cwd = "~/pose"
venv = "envs/torch"
env = { OMP_NUM_THREADS = 1, OUT = "out/{layers}" }
stdin = "{start},{count}"
priority = -5
nice = 10
timeout = "2h"
grace = 0
on_reboot = "hold"
[grid]
layers = [1, 2, 3]
batch = [16, 32]
fold = { range = [0, 10] }
exclude = [{ layers = 3, batch = 32 }]
include = [{ layers = 4, batch = 8, fold = 0 }]
[resources]
cpus = 2
memory = "2 GiB"
[retry]
attempts = 3
backoff = "1m"
on = ["oom", "timeout", "exit:75", "signal:9"]
[limits]
workers = 8
"""
    )
    assert spec == Spec(
        name="pose-cv",
        kind="command",
        command="python train.py --layers {layers} --batch {batch} --fold {fold}",
        cwd="/home/ann/pose",
        venv="/lab/envs/torch",
        env={"OMP_NUM_THREADS": "1", "OUT": "out/{layers}"},
        stdin="{start},{count}",
        priority=-5,
        nice=10,
        timeout_s=7200.0,
        grace_s=0.0,
        on_reboot="hold",
        items=Items(
            total=51,
            axes=(
                Axis(name="layers", values=(1, 2, 3)),
                Axis(name="batch", values=(16, 32)),
                Axis(name="fold", range=(0, 10, 1)),
            ),
            excluded=tuple(range(50, 60)),
            cases=({"layers": 4, "batch": 8, "fold": 0},),
        ),
        resources=Resources(cpus=2.0, memory_bytes=2 << 30),
        retry=Retry(attempts=3, backoff_s=60.0, on=("oom", "timeout", "exit:75", "signal:9")),
        limits=Limits(workers=8),
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # what stands where it means nothing
        ('command = "x"\nprority = 1', "pose.toml:2:1: unknown key prority – did you mean priority?"),
        ('cmd = "x"', "pose.toml:1:1: unknown key cmd – did you mean command?"),
        ('command = "x"\nmemory = "1 GiB"', "pose.toml:2:1: unknown key memory – did you mean resources.memory?"),
        ('command = "x"\nretries = 3', "pose.toml:2:1: unknown key retries – did you mean retry.attempts?"),
        ('command = "x"\n[limits]\nworkrs = 3', "pose.toml:3:1: unknown key limits.workrs – did you mean workers?"),
        ('command = "x"\n[limits]\npriority = 3', "move it above the first [table], out of [limits]"),
        ('command = "x"\n[grid]\na = [1]\ntimeout = "2h"', "move timeout above the first [table]"),
        ('command = "x"\n[env]\nA = "1"\ntimeout = "2h"', "pose.toml:4:1: timeout stands below [env]"),
        ('command = "x"\nxyzzy = 1', "the keys here are name, command, call"),
        ('command = "x"\n[resources]\nstrict = true', "pose.toml:3:1: strict without memory refuses nothing"),
        ('call = "a:b"\nresources = { memory = "1 GiB", strict = true }', "strict is for commands"),
        ('call = "a:b"\nisolation = "reuse"\nresources = { gpus = 1 }', "keeps the card of its first call"),
        ('command = "x"\n[finally]\non = "done"', "pose.toml:2:2: finally without a command – say what runs, such as"),
        ('command = "x"\n[finally]\ncommand = "m {index}"', "unknown placeholder {index} – use {results}, {job}"),
        ('command = "x"\n[finally]\ncommand = "m \'{results}\'"', ":3:1: a placeholder stands inside quotes – take"),
        ('command = "x"\n[finally]\ncommand = "m {"', "pose.toml:3:1: finally.command: a lone {"),
        ('command = "x"\n[finally]\ncommand = ""', "pose.toml:3:1: finally.command is empty – say what runs, such as"),
        ('command = "x"\n[finally]\ncommand = "m"\non = "success"', 'is the text "success" – write "ended" or "done"'),
        ('command = "x"\nfinally = "m"', "write a table: [finally] and below it command ="),
        ('command = "x"\n[results]\nexport = "excel"', 'is the text "excel" – write "csv", "json" or "parquet"'),
        ("command = \"x\"\n[limits]\nlog = \"1 KiB\"", "limits.log"),
        # values of the wrong kind
        ('command = "x"\npriority = "high"', 'pose.toml:2:1: priority is the text "high" – write a whole number'),
        ('command = "x"\nretry = 3', "retry is 3 – write a table: retry = {attempts = 3}"),
        ('command = "x"\nitems = 100', "[items] and below it total = 100"),
        ('command = ["sleep", 1]', "pose.toml:1:21: command (value 2) is 1 – write text in quotes"),
        ('command = "x"\nenv = { A = true }', 'pose.toml:2:9: env.A is true – write text in quotes, such as "1"'),
        ('command = "x"\nlimits.workers = 0', "pose.toml:2:8: limits.workers is 0 – write a whole number from 1"),
        ('command = "x"\nlimits.workers = true', "limits.workers is true"),
        ('command = "x"\nnice = -5', "nice is -5 – write a whole number from 0 (as usual) to 19"),
        ('command = "x"\nresources.cpus = nan', "resources.cpus is nan, no number"),
        ('command = "x"\nresources.cpus = 0', "resources.cpus is 0 – write a number of cores above 0"),
        ('command = "x"\npriority = 99999999999999999999', "priority is a number too large"),
        ('command = "x"\non_reboot = "no"', 'on_reboot is the text "no" – write "rerun" or "hold"'),
        ('command = "x"\ntimeout = 1979-05-27', "timeout is a date or time – write a duration"),
        ('command = "a\\u0000b"', "command holds a NUL character"),
        # values that say nothing or too much
        ("", "pose.toml: the file is empty – say what a task runs"),
        ('name = "x"', "pose.toml: command is missing – say what a task runs"),
        ('command = "  "', "pose.toml:1:1: command is empty"),
        ("command = []", "command is empty"),
        ('command = "x"\ntimeout = "2 hours"', 'timeout: "2 hours" is not a duration – write a duration such as "2h"'),
        ('command = "x"\nresources.memory = "4 GBB"', 'no unit is called "GBB"'),
        ('command = "x"\nresources.memory = 4', 'resources.memory: 4 would be 4 bytes – give the unit, in quotes'),
        ('command = "x"\nretry.on = ["oom"]', "retry without attempts changes nothing – add attempts = 3"),
        ('command = "x"\nretry = {attempts = 2, on = ["exit:0"]}', "pose.toml:2:30: retry.on: \"exit:0\" is no fate"),
        ('command = "x"\nretry = {attempts = 2, on = ["SIGKILL"]}', "signal:9 for SIGKILL"),
        ('command = "x"\nretry = {attempts = 2, on = ["memory"]}', 'write "oom"'),
        ('command = "x"\nname = "a/b"', 'name: "a/b" has a / or a control character'),
        ('command = "x"\nname = "a\\u001b[2Jb"', 'name: "a\\u001B[2Jb" has a / or a control character'),
        ('command = "x"\nname = "1,3-5"', "would be read as a job's number or as a selection"),
        ('command = "x"\nname = "all"', "would be read as a job's number or as a selection"),
        (f'command = "x"\nname = "{"n" * 101}"', "101 characters are too many"),
        ('command = "x"\ncwd = "$HOME/x"', "write ~ for your home"),
        ('command = "x"\ncwd = "~bob/x"', "homes of others are not filled in"),
        ('command = "x"\nvenv = "a"\nconda = "b"', "pose.toml:3:1: both venv and conda"),
        ('command = "x"\nenv = {PATH = "/x:$PATH"}', "variables such as $PATH are not filled in here"),
        ('command = "x"\nenv = {"A=B" = "1"}', "can't be a variable's name"),
        # items
        ('command = "x"\n[items]\nper_task = 5', "pose.toml:2:2: items does not say how many there are"),
        ('command = "x"\n[items]\ntotal = 5\n[grid]\na = [1]', "pose.toml:3:1: grid and items.total both say what"),
        ('command = "x"\n[items]\ntotal = 2_000_000_000', "items.total is 2000000000 – write a whole number from 1 to"),
        ('command = "x"\n[items]\nfile = "none.csv"', '"/lab/none.csv" can\'t be read: no such file or directory'),
        ('command = "x {index}"\n[items]\ntotal = 9\nper_task = 3', "pose.toml:4:1: a task of 3 items has no single"),
        ('command = "x {a}"\n[grid]\na = [1]\n[items]\nper_task = 3', "no single {a} – write per_task = 1, or use"),
        ('command = "x"\n[items]\ntotal = 9\nper_task = 0', 'items.per_task is 0 – write a whole number of 1 or'),
        # placeholders
        ('command = "x {layer}"\n[grid]\nlayers = [1]', "unknown placeholder {layer} – did you mean {layers}?"),
        ('command = "x ${HOME}"', "unknown placeholder {HOME} – for the shell's variable write ${{HOME}}"),
        ('command = "awk \'{print $1}\'"', "write {{ and }} for literal braces"),
        ('command = "x {/}"\nitems.list = ["a", "b"]\nitems.per_task = 2', "a task of 2 items has no single {item}"),
        ('command = "x {#}"\nitems.total = 4\nitems.per_task = 2', "a task of 2 items has no single {index}"),
        ('command = "x \'{/}\'"\nitems.list = ["a/b c"]', 'item stands inside quotes, and its value "b c" needs'),
        ('command = "x {.}"\n[grid]\na = [1]', "unknown placeholder {.}"),
        ('command = "find -exec {} +"', "{} names no placeholder – write {{}} for literal braces"),
        ('command = "x {index:03d}"', "write {index}: values are filled in as they are, without a format"),
        ('command = "x { index }"', "write {index}, without blanks"),
        ('command = "x }"', "command: a lone } in \"x }\" – write }} for a literal brace"),
        ('command = ["x", "{b}"]', "pose.toml:1:17: unknown placeholder {b}"),
        ('command = "x"\nstdin = "{b}"', "pose.toml:2:1: unknown placeholder {b}"),
        ('command = "x"\nenv.A = "{b}"', "pose.toml:2:5: unknown placeholder {b}"),
        ("command = \"x '{a}'\"\n[grid]\na = ['p q']", "take {a} out of the quotes: values are quoted for you"),
        # no TOML
        ("command = x", "pose.toml:1:11: not a value – text stands in quotes"),
        ('command = "x', "pose.toml:1:13: the text has no end – close the quote"),
        ('command = "x\nname = "y"', "pose.toml:1:13: the text does not end on its line – close the quote"),
        ('command "x"', 'pose.toml:1:9: no "=" after the key – write key = value'),
        ('command = "a"\ncommand = "b"', "pose.toml:2:14: this key is given twice – keep one of them"),
        ('command = "C:\\dir"', "a lone backslash in a text – write \\\\, or put the text in single quotes"),
        ("command = [1, 2", "the list has no end"),
        ("[limits\nworkers = 1", "pose.toml:1:8: the [heading] has no end – close it with ]"),
        ("a" + ".a" * 100_000 + " = 1", "pose.toml:1:33: nested more than 16 deep"),
        ("a = " + "[" * 100_000, "nested more than 16 deep"),
        (f"priority = {'9' * 5000}", "a number too large"),
        ("command = 'a\0b'", "pose.toml:1:13: a NUL character – save the file as plain UTF-8 text"),
        ("command = 'x'\n# \udcff", "pose.toml:2:3: not UTF-8"),
    ],
)  # fmt: skip
def test_each_slip_has_its_mend(text: str, expected: str) -> None:
    assert any(expected in line for line in complaints(text)), complaints(text)


def test_all_problems_come_at_once_in_order() -> None:
    said = complaints('priorty = 1\ntimeout = "soon"\n\n[limits]\nworkers = -1\nlog = "x"\n[grid]\na = 3\n')
    assert [line.split(" ")[0] for line in said] == [
        "pose.toml:", "pose.toml:1:1:", "pose.toml:2:1:", "pose.toml:5:1:", "pose.toml:6:1:", "pose.toml:8:1:",
    ]  # fmt: skip


def test_what_follows_from_a_slip_is_not_told() -> None:
    assert complaints('comand = "x {a}"\n[grid]\na = 3') == [
        ('pose.toml: command is missing – say what a task runs, such as command = "python3 train.py" '
        'or call = "module:function"'),
        "pose.toml:1:1: unknown key comand – did you mean command?",
        "pose.toml:3:1: grid.a: 3, where a parameter takes a list – write a = [3]",
    ]
    assert len(complaints('command = "x {a} {b}"\n[items]\nfile = "none.csv"')) == 1


def test_a_flood_of_problems_ends() -> None:
    said = complaints("".join(f"key{number} = 1\n" for number in range(10_000)))
    assert len(said) == MOST + 1
    assert said[-1] == "pose.toml: 9,901 more problems – mend the first ones, then check again"


def test_a_message_is_one_line_and_moves_no_cursor() -> None:
    (said,) = complaints('command = "x"\n"a\\u001b]52;c;x\\u0007\\nb" = 1')
    assert said.startswith('pose.toml:2:1: unknown key "a\\u001B]52;c;x\\u0007\\nb"')
    assert said.isprintable()


@pytest.mark.parametrize(
    ("lines", "per_task"),
    [
        ('command = "x {start} {count}"', None), ('command = "x {index}"', 1), ('command = "x"', 1),
        ('command = "x"\nitems.per_task = "auto"', None), ('command = "x {index}"\nitems.per_task = "auto"', 1),
        ('command = "x"\nitems.per_task = 16', 16), ('command = "x"\nstdin = "{start},{count}"', None),
    ],
)  # fmt: skip
def test_items_a_task(lines: str, per_task: int | None) -> None:
    assert parse(f"{lines}\nitems.total = 10_000").items == Items(total=10_000, per_task=per_task)


def test_items_from_a_file_and_a_list() -> None:
    rows = parse('command = "x {lr} {name}"\nitems.file = "cases.csv"').items
    assert items.params(rows, 1) == {"lr": "0.2", "name": "second one"}
    listed = parse('command = "x {item}"\nitems.list = ["a b", "c"]').items
    assert [items.params(listed, index) for index in range(listed.total)] == [{"item": "a b"}, {"item": "c"}]
    tables = parse('command = "x {a}"\nitems.list = [{a = 1}, {a = true}]').items
    assert [items.params(tables, index) for index in range(tables.total)] == [{"a": 1}, {"a": True}]


def test_literal_braces() -> None:
    assert parse("command = \"awk '{{print $1}}' ${{HOME}}\"").command == "awk '{{print $1}}' ${{HOME}}"


def test_quotes_around_a_value_that_needs_none() -> None:
    assert parse("command = \"x '{a}' {b}\"\n[grid]\na = [1, 2]\nb = ['p q']").items.total == 2


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("pose.toml", "pose"), ("a b.toml", "a b"), ("12.toml", "job-12"), ("1-3,5.toml", "job-1-3,5"),
        ("all.toml", "job-all"), ("-x.toml", "-x"), ("a\nb\x1b.toml", "a_b_"), ("n" * 250 + ".toml", "n" * 100),
        ("2024-01-05.toml", "2024-01-05"), ("\udcff.toml", "_"), ("x.y.toml", "x.y"), (" .toml", "job"),
    ],
)  # fmt: skip
def test_the_file_gives_the_name(file: str, name: str) -> None:
    assert parse('command = "x"', file).name == name


def test_a_byte_order_mark_and_windows_lines_do_no_harm() -> None:
    assert parse('\ufeffcommand = "x"\r\npriority = 1\r\n').priority == 1


def test_locate_finds_keys_for_later_complaints() -> None:
    text = 'command = ["x",\n  "y"]\ncwd = "z"\n'
    assert jobfile.locate(text, "a.toml", ("cwd",)) == (3, 1)
    assert jobfile.locate(text, "a.toml", ("command", 1)) == (2, 3)
    assert jobfile.locate(text, "a.toml", ("venv",)) == (0, 0)
    script = "#!/bin/nope\n# x\n#GRIST venv = 'v'\necho\n"
    assert jobfile.locate(script, "a.sh", ("venv",)) == (3, 8)
    assert jobfile.locate(script, "a.sh", ("command",)) == (1, 1)


FILE_NAMES = st.sampled_from(["a.toml", "a.sh", "a.py", "a.txt", "a.cmds", "a", "a.foo", "A.TOML"])
WORDS = st.sampled_from(
    [
        *keys.names(keys.JobFile), *keys.names(keys.ItemsTable), *keys.names(keys.RetryTable),
        *("after", "call", "range", "a", "{a}", "{", "}", "[", "]", "[[", "]]", "=", ",", ".", '"', "'"),
        *('"""', "\n", "\r\n", "#GRIST ", "#!", "#!/bin/sh", "/bin/", "1", "0", "-1", "1e400", "nan", "true"),
        *('"2h"', '"x"', "[1,2]", "{a=1}", "\0", "1979-05-27", "99999999999999999999", "\ufeff", "\u2028"),
        *("\x1b", "\udcff", "\\u0000", "cases.csv", "{start}"),
    ]
)  # fmt: skip
VALUES = st.recursive(
    st.sampled_from(
        ['"x {a}"', '"2h"', '"auto"', "1", "0", "-3", "2.5", "nan", "true", '""', "1979-05-27", '"cases.csv"']
    ),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda found: f"[{', '.join(found)}]")
        | st.dictionaries(st.sampled_from(["a", "range", "total", "zip", "on"]), inner, max_size=3).map(
            lambda found: "{" + ", ".join(f"{key} = {value}" for key, value in found.items()) + "}"
        )
    ),
    max_leaves=5,
)
PATHS = [f"{table}.{key}".removeprefix(".") for table, layout in TABLES.items() for key in keys.names(layout)]
FILLED = st.dictionaries(st.sampled_from([*PATHS, "grid.a", "env.A", "nonsense", "after"]), VALUES, max_size=6).map(
    lambda found: "command = 'x'\n" + "".join(f"{key} = {value}\n" for key, value in found.items())
)


@settings(max_examples=600)
@given(st.text() | st.lists(WORDS, max_size=25).map("".join) | FILLED, FILE_NAMES, st.booleans())
def test_any_text_is_a_job_or_explained(text: str, file: str, executable: bool) -> None:
    try:
        spec = parse(text, file, executable)
    except JobFileError as error:
        assert error.problems
        for problem in error.problems:
            assert problem.what
            assert problem.mend
            assert problem.located(file).isprintable()
    else:
        assert spec.items.per_task is None or 1 <= items.tasks(spec.items) <= spec.items.total
        items.params(spec.items, spec.items.total - 1)
