"""Malformed and hostile job files: a job or its problems, soon, whatever they hold; the daemon answers meanwhile."""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import hypothesis
import msgspec
import pytest
from hypothesis import strategies as st

from gristmill.supervisor import reading
from gristmill.supervisor.core import gate, items, jobfile, keys, launch
from gristmill.supervisor.core.errors import GristError, JobFileError
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.portrait import portray
from gristmill.supervisor.core.spec import Spec
from gristmill.supervisor.edge.folder import Claimed
from gristmill.supervisor.reading import Reader
from tests.faults.witness import usual
from tests.mill import Mill
from tests.reference import pages
from tests.waiting import DEADLINE, until

MIB = 1 << 20
LONGEST_S = 2.0
"""CPU seconds that a file of 1 MiB may cost."""
TRUE = 'command = "true"\n'


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """Understands files as the daemon does, against this machine."""
    base = tmp_path_factory.mktemp("reader")
    return Reader(str(base), base / "scripts", {"PATH": "/usr/bin:/bin", "HOME": str(base)})


def understood(reader: Reader, name: str, data: bytes, executable: bool = False) -> Spec | JobFileError:
    """What comes of a file; fails on anything but a job that can be started, or problems with place and mend."""
    try:
        spec = reader.understand(Claimed("1-1-1/x", name.encode(), data, executable))
    except JobFileError as error:
        assert error.problems
        for problem in error.problems:
            assert problem.what
            assert problem.mend
            line = problem.located(name)
            assert line.isprintable(), line
            assert 0 <= problem.line <= data.count(b"\n") + 1
            assert (problem.line > 0) == (problem.column > 0)
        return error
    assert msgspec.json.decode(msgspec.json.encode(spec), type=Spec) == spec
    whole = (0, spec.items.total)  # as a range that the daemon chose may be
    spans = [whole] if spec.items.per_task is None else [
        items.span(spec.items, number) for number in {0, items.tasks(spec.items) - 1}
    ]
    for number, span in enumerate(spans):
        script = "/s" if spec.kind == "script" else None
        start = launch.launch(spec, job=1, number=number, span=span, attempt=1, script=script)
        for text in (*start.argv, *start.env, *start.env.values(), start.cwd, start.stdin or ""):
            text.encode()
        assert not any("\0" in text for text in (*start.argv, *start.env.values(), start.cwd))
    assert launch.summary(spec).isprintable()
    run_by_daemon(spec)
    return spec


def run_by_daemon(spec: Spec) -> None:
    """What the daemon works out of an accepted job again and again: nothing of it may raise, or no daemon lives."""
    assert portray(Job(id=1, spec=spec, file="x", submitted_at=1e9)).name == spec.name
    if spec.gate.start:
        assert gate.first(spec.gate.start, datetime.fromtimestamp(1e9)).timestamp() > 0
    assert gate.judge(spec.gate, False, 0.0, 0.0, datetime(2026, 11, 16, 9, 30), lambda _: None).state
    assert launch.shared(spec, 1)
    if spec.finish is not None:
        assert launch.finish(spec, job=1, number=1, attempt=1, results="/r", done=1, failed=0).cwd


async def test_a_file_that_we_stumble_over_is_rejected_and_those_beside_it_are_read(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parse(text: str, *given: Any, **more: Any) -> Spec:
        if "odd" in text:
            raise ZeroDivisionError("as nobody thought of")
        return jobfile.parse(text, *given, **more)

    monkeypatch.setattr(reading, "jobfile", SimpleNamespace(parse=parse, locate=jobfile.locate))
    first, last = await reader.read([
        Claimed("1-1-1/x", b"x.toml", b'command = "odd"', False), Claimed("1-1-1/y", b"y.toml", TRUE.encode(), False),
    ])
    assert isinstance(first, JobFileError) and isinstance(last, Spec)
    assert str(first).startswith("x.toml: can't be read, by a fault of Gristmill's own (ZeroDivisionError) – please")


# ── bombs ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def lines(what: str, size: int) -> str:
    """`what` again and again, its {n} counted up."""
    made, length, number = [], 0, 0
    while length < size - len(what) - 8:
        made.append(what.replace("{n}", str(number)))
        length += len(made[-1]) + 1
        number += 1
    return "\n".join(made)


def listed(what: str, size: int) -> str:
    return lines(what, size).replace("\n", ",")


PARAMETERS = "".join(f"p{number} = [1, 2]\n" for number in range(1000))
Bomb = Callable[[int], str]
BOMBS: dict[str, Bomb] = {
    # nesting
    "lists.toml": lambda n: TRUE + "x = " + "[" * (n // 2) + "]" * (n // 2),
    "tables.toml": lambda n: TRUE + "x = " + "{a=" * (n // 3),
    "dots.toml": lambda n: TRUE + "a" + ".a" * (n // 2) + " = 1",
    "dotted-lines.toml": lambda n: TRUE + lines("a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.x{n} = 1", n),
    "headers.toml": lambda n: TRUE + lines("[a{n}]", n),
    "arrays-of-tables.toml": lambda n: TRUE + "[[a]]\n" * (n // 6),
    "jsonl-like.toml": lambda n: TRUE + "[items]\nlist = [" + "[" * 15 + "1," * (n // 2) + "]" * 16,
    # grids
    "exclude-pairs.toml": lambda n: (
        TRUE + f"[grid]\nzip = true\na = [{'1,' * (n // 6)}]\nb = [{'2,' * (n // 6)}]\n"
        f"exclude = [{listed('{a=1,b={n}}', n // 3)}]"
    ),
    "exclude-same.toml": lambda n: (
        TRUE + f"[grid]\na = {{range = [0, 99_000]}}\nb = [0, 1]\nexclude = [{'{b=0},' * (n // 6)}]"
    ),
    "exclude-wide.toml": lambda n: (
        TRUE
        + "[grid]\n"
        + PARAMETERS.replace(", 2", "")
        + "exclude = ["
        + ",".join(f"{{p{i % 1000}=1,p{i // 1000}=1}}" for i in range(n // 15))
        + "]"
    ),
    "include.toml": lambda n: TRUE + f"[grid]\na = {{range = [0, 90_000]}}\ninclude = [{listed('{a=1{n}}', n)}]",
    "ranges.toml": lambda n: TRUE + "[grid]\n" + lines("p{n} = {range = [0.0, 99999.0, 1.0]}", n),
    "thousand-ranges.toml": lambda n: TRUE + "[grid]\n" + lines("p{n} = {range = [0.0, 99999.0, 1.0]}", 35_000),
    "parameters.toml": lambda n: TRUE + "[grid]\n" + lines("p{n} = [1]", n),
    "values.toml": lambda n: TRUE + f"[grid]\na = [{listed('{n}', n)}]",
    # many of one thing, and most of them wrong
    "keys.toml": lambda n: TRUE + lines("key{n} = 1", n),
    "ten-thousand-keys.toml": lambda n: TRUE + "\n".join(f"key{number} = 1" for number in range(10_000)),
    "escaped-keys.toml": lambda n: TRUE + lines('"k\\u0041{n}" = 1', n),
    "env.toml": lambda n: TRUE + "[env]\n" + lines("K{n} = [1]", n),
    "argv.toml": lambda n: "command = [" + "1," * (n // 2) + '"x"]',
    "list.toml": lambda n: TRUE + "[items]\nlist = [" + "[]," * (n // 3) + "]",
    "fates.toml": lambda n: TRUE + "[retry]\nattempts = 2\non = [" + '"xit:9",' * (n // 8) + "]",
    "unknown-holes.toml": lambda n: (
        'command = "' + "".join(f"{{q{i}}}" for i in range(7000)) + '"\n[grid]\n' + PARAMETERS
    ),
    "stdin-holes.toml": lambda n: TRUE + 'stdin = "' + "{x}" * (n // 3) + '"',
    "braces.toml": lambda n: TRUE + 'stdin = "' + "{" * n + '"',
    "quoted-holes.toml": lambda n: "command = '''" + '"{a}"' * 11_000 + "'''\n[grid]\na = ['x y']",
    "substitutions.toml": lambda n: "command = '''" + "$(" * 29_000 + "{a}'''\n[grid]\na = ['x y']",
    # what patterns are slow at
    "blanks.toml": lambda n: TRUE + "name" + " " * (n // 2) + "=" + " " * (n // 2) + "x",
    "quotes.toml": lambda n: TRUE + 'x = """' + '""x' * (n // 3),
    "backslashes.toml": lambda n: TRUE + 'x = "' + "\\" * n,
    "open-lines.toml": lambda n: TRUE + 'x = """' + "x\n" * (n // 2),
    "duration.toml": lambda n: TRUE + 'timeout = "' + "1h " * (n // 3) + '"',
    "clock.toml": lambda n: TRUE + 'timeout = "' + "1.1 " * (n // 4) + '"',
    "size.toml": lambda n: TRUE + '[resources]\nmemory = "' + "1" * n + 'G"',
    "selection.toml": lambda n: TRUE + 'name = "' + "1-1," * (n // 4) + '"',
    "path.toml": lambda n: TRUE + 'cwd = "' + "a/./" * (n // 4) + '"',
    "digits.toml": lambda n: TRUE + "priority = " + "9" * n,
    "ten-thousand-digits.toml": lambda n: TRUE + "priority = " + "9" * 10_000,
    "hex.toml": lambda n: TRUE + "timeout = 0x" + "f" * n,
    "hex-range.toml": lambda n: TRUE + "[grid]\na = {range = [0, 0x" + "f" * n + "]}",
    "fraction.toml": lambda n: TRUE + "timeout = 1." + "1" * n,
    "exponent.toml": lambda n: TRUE + "timeout = 1e999999999",
    # scripts and lists
    "marks.sh": lambda n: "#!/bin/sh\n" + lines("#GRIST key{n} = 1", n),
    "blank-mark.sh": lambda n: "#!/bin/sh\n# GRIST" + " " * n,
    "blank-marks.sh": lambda n: "#!/bin/sh\n" + ("# GRIST" + " " * 1000 + "\n") * (n // 1010),
    "word-mark.sh": lambda n: "#!/bin/sh\n# GRIST " + "a" * n,
    "mentions.sh": lambda n: (
        "#!/bin/sh\n" + "".join(f"#GRIST grid.p{number} = [1]\n" for number in range(1000)) + lines("XGRIST_P{n}X", n)
    ),
    "interpreter.sh": lambda n: "#!" + "x " * (n // 2),
    "commands.txt": lambda n: "a\n" * (n // 2),
    "brace-commands.cmds": lambda n: "{}\n" * (n // 3),
    "blank-commands.txt": lambda n: (" " * 1000 + "\n") * (n // 1001),
}


@pytest.mark.parametrize("name", BOMBS)
def test_no_file_takes_long_to_understand(reader: Reader, name: str, full: bool) -> None:
    size = MIB if full else MIB // 4
    data = BOMBS[name](size - 2000).encode()[:MIB]
    began = time.process_time()
    understood(reader, name, data)
    taken = time.process_time() - began
    print(f"{name}: {taken:.2f} s for {len(data):,} bytes")
    assert taken < LONGEST_S


SAID = [
    (
        "[grid]\na = {range = [0, 1_000_000]}\nb = {range = [0, 1_000_000]}",
        "x.toml:2:2: grid: 1,000,000,000,000 items are",
    ),
    ("x = " + "[" * 5000, "x.toml:2:21: nested more than 16 deep"),
    ("priority = " + "9" * 10_000, "a number too large – write a smaller one"),
    ("timeout = nan", "nan"),
    ("timeout = inf", "is inf, no number"),
    ("priority = 2020-01-01", "x.toml:2:1: priority is a date or time"),
    ("\0", "x.toml:2:1: a NUL character"),
    ("prіority = 1", "x.toml:2:3: "),  # a Cyrillic letter
    ('"priority.x" = 1', 'unknown key "priority.x"'),
    ("priority.x = 1", "priority is a table"),
    ("name = 'a'\r\nprioritty = 1\r\n", "x.toml:3:1: unknown key prioritty – did you mean priority?"),
    ("[limits]\nworkers = 0", "limits.workers is 0 – write a whole number from 1"),
]


@pytest.mark.parametrize(("text", "words"), SAID, ids=range(len(SAID)))
def test_what_is_wrong_is_said_at_its_place(reader: Reader, text: str, words: str) -> None:
    outcome = understood(reader, "x.toml", (TRUE + text).encode())
    assert words in str(outcome)


@pytest.mark.parametrize(
    "text", ["\ufeff" + TRUE, TRUE.replace("\n", "\r\n"), TRUE + 'name = "мельница"\n', TRUE + "\n\r\n"]
)
def test_what_editors_do_to_a_file_is_no_fault(reader: Reader, text: str) -> None:
    assert isinstance(understood(reader, "x.toml", text.encode()), Spec)


# ── chance ────────────────────────────────────────────────────────────────────────────────────────────────────────

TABLES = {name: layout for name, layout in pages.TABLES.items() if name}
WORDS = st.sampled_from(
    [
        "true",
        "echo {a}",
        "{index}",
        "{start} {count}",
        "{b",
        "}}",
        "{{}}",
        "$(x)",
        "'{a}'",
        "2h",
        "1h30m",
        "0s",
        "-5m",
        "4 GiB",
        "1",
        "oom",
        "exit:75",
        "exit:0",
        "signal:9",
        "auto",
        "hold",
        "~",
        "~x/y",
        "/",
        "../x",
        "a.csv",
        "",
        " ",
        "\n",
        "\\",
        "水",
        "e\u0301",
        "\u202e",
        "a\tb",
        "#",
        "#GRIST",
        "=",
        "[",
        '"',
        "'",
        "last",
        "1-3",
        "22:00",
        "²:00",
        "0001-01-01",
        "9999-12-31T23:59",
        "0 22 * * fri",
        "nights",
        "mon-fri 20:00-08:00",
    ]
)
NAMES = st.one_of(
    st.sampled_from(["a", "b", "index", "start", "PATH", "", "a.b", "a b", "ä", "job", "p" * 101, "zip", "range"]),
    WORDS,
)
SCALARS = st.one_of(
    WORDS,
    st.text(max_size=20),
    st.integers(),
    st.integers(-3, 3),
    st.floats(),
    st.booleans(),
    st.dates(),
    st.datetimes(),
    st.times(),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=8,
)


def texted(value: Any) -> str:
    """A value as TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + "".join(escape(char) for char in value) + '"'
    if isinstance(value, list):
        return "[" + ", ".join(map(texted, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{texted(key)} = {texted(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, int | float):
        return repr(value)
    return str(value.isoformat())


def escape(char: str) -> str:
    return char if char.isprintable() and char not in '"\\' else f"\\U{ord(char):08X}"


def tables(layout: type[keys.Table]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.one_of(st.sampled_from(keys.names(layout)), NAMES), VALUES, max_size=4)


@st.composite
def documents(draw: st.DrawFn) -> str:
    """A TOML document of our own keys, with any values."""
    top = draw(tables(keys.JobFile)) | {"command": draw(st.one_of(WORDS, st.lists(WORDS, min_size=1), VALUES))}
    if draw(st.integers(0, 9)) == 0:
        del top["command"]
    text = "".join(f"{texted(key)} = {texted(value)}\n" for key, value in top.items() if key not in TABLES)
    for name in draw(st.lists(st.sampled_from([*TABLES, "env"]), unique=True)):
        table = draw(tables(TABLES[name]) if name in TABLES else st.dictionaries(NAMES, SCALARS))
        text += f"[{name}]\n" + "".join(f"{texted(key)} = {texted(value)}\n" for key, value in table.items())
    return text


GOOD = b"""name = "pose-cv"
command = "python train.py --layers {layers} --fold {fold}"
env = { OUT = "out/{layers}", N = 1 }
stdin = '''
{index}'''
priority = -5
timeout = "2h"
[grid]
layers = [1, 2, 3]
fold = { range = [0, 10] }
exclude = [{ layers = 3, fold = 2 }]
include = [{ layers = 4, fold = 0 }]
[retry]
attempts = 3
on = ["oom", "exit:75"]
"""
GOOD_SCRIPT = b"#!/bin/sh\n#GRIST timeout = '2h'\n#GRIST [items]\n#GRIST total = 5\necho $GRIST_INDEX\n"


@st.composite
def mutations(draw: st.DrawFn, good: bytes) -> bytes:
    """A good file with some of its bytes changed, doubled, moved or lost."""
    data = bytearray(good)
    for _ in range(draw(st.integers(1, 6))):
        at, length = draw(st.integers(0, len(data))), draw(st.integers(0, 12))
        piece = data[at : at + length]
        match draw(st.integers(0, 3)):
            case 0:
                data[at : at + length] = draw(st.binary(max_size=4))
            case 1:
                data[at : at + length] = piece * draw(st.integers(2, 50))
            case 2:
                to = draw(st.integers(0, len(data)))
                data[to:to] = piece
            case _:
                insert = draw(
                    st.sampled_from([b'"', b"'", b"[", b"]", b"{", b"}", b"=", b"\n", b"\\", b"#", b"\xff", b"\0"])
                )
                data[at:at] = insert
    return bytes(data)


MARKED = documents().map(
    lambda text: "#!/bin/sh\n" + "".join(f"#GRIST {line}\n" for line in text.splitlines()) + "true\n"
)
COMMANDS = st.lists(st.one_of(WORDS, st.text(max_size=30)), max_size=5).map("\n".join)
KINDS: dict[str, tuple[str, st.SearchStrategy[bytes]]] = {
    "documents": ("x.toml", documents().map(lambda text: text.encode("utf-8", "surrogatepass"))),
    "mutations": ("x.toml", mutations(GOOD)),
    "bytes": ("x.toml", st.binary(max_size=200)),
    "text": ("x.toml", st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass"))),
    "marked": ("x.sh", MARKED.map(lambda text: text.encode("utf-8", "surrogatepass"))),
    "mutated script": ("x.sh", mutations(GOOD_SCRIPT)),
    "script bytes": ("x", st.binary(max_size=200).map(lambda data: b"#!" + data)),
    "python": ("x.py", MARKED.map(lambda text: text.encode("utf-8", "surrogatepass"))),
    "commands": ("x.txt", COMMANDS.map(lambda text: text.encode("utf-8", "surrogatepass"))),
    "marked commands": (
        "x.cmds",
        st.tuples(MARKED, COMMANDS).map(lambda two: "\n".join(two).encode("utf-8", "replace")),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_any_file_is_a_job_or_has_its_problems(reader: Reader, kind: str, seed: int, full: bool) -> None:
    name, strategy = KINDS[kind]
    counted = {Spec: 0, JobFileError: 0}

    def one(data: bytes) -> None:
        began = time.process_time()
        counted[type(understood(reader, name, data, executable="." not in name))] += 1
        assert time.process_time() - began < LONGEST_S

    checks = [hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.data_too_large]
    settings = hypothesis.settings(
        max_examples=10_000 if full else 150, database=None, suppress_health_check=checks
    )
    settings(hypothesis.seed(seed)(hypothesis.given(strategy)(one)))()
    print({kind.__name__: count for kind, count in counted.items()})
    assert counted[JobFileError]


# ── a whole daemon ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.alone
def test_a_daemon_that_is_fed_hostile_files_answers_and_goes_on(
    turning: Mill, chance: random.Random, full: bool
) -> None:
    size = MIB if full else MIB // 8
    files = {name: BOMBS[name](size - 2000)[:MIB] for name in BOMBS if "commands" not in name}
    for number in range(200 if full else 20):
        noise = GOOD.decode() if number % 2 else GOOD_SCRIPT.decode()
        at = chance.randrange(len(noise))
        files[f"noise{number}.{'toml' if number % 2 else 'sh'}"] = (
            noise[:at] + chance.choice(["\0", '"""', "[[", "{", "\x1b[2J", "\u202e", "= =", "'"]) + noise[at + 3 :]
        )
    for name in chance.sample(sorted(files), len(files)):
        turning.drop(name, files[name])
    turning.drop("good.toml", 'command = "echo good"\n')
    waits: list[float] = []

    def answered() -> bool:
        began = time.monotonic()
        jobs = turning.ask("status")["jobs"]
        waits.append(time.monotonic() - began)
        return any(job["name"] == "good" for job in jobs)

    until(answered, "the good file behind them is not reached", 300 if full else 3 * DEADLINE)
    print(f"status at most {max(waits):.2f} s while {len(files)} hostile files were read")
    assert usual(waits) < 2.0
    for job in turning.ask("status")["jobs"]:
        if job["name"] != "good" and job["ended_at"] is None:
            try:
                turning.ask("cancel", ids=[job["id"]])
            except GristError as error:
                assert "has ended already" in str(error)
    assert turning.ended("good")["state"] == "done"
    turning.until(functools.partial(settled, turning, files), "some file is neither a job nor rejected")
    for path in (turning.jobs / "rejected").glob("*.error"):
        text = path.read_text()
        assert "Traceback" not in text
        assert all(line.isprintable() and " – " in line for line in text.splitlines())
    assert "Traceback" not in (turning.state / "daemon.log").read_text()


def settled(mill: Mill, files: dict[str, str]) -> bool:
    taken = {job["file"] for job in mill.ask("status")["jobs"]}
    return all(name in taken or Path(mill.jobs, "rejected", f"{name}.error").exists() for name in files)
