"""Places of keys, held against what tomllib reads."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from gristmill.supervisor.core import locate
from gristmill.supervisor.core.findings import Path

KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")


def paths(value: Any, above: Path = ()) -> list[Path]:
    """Every path of a document: keys, and elements of lists."""
    if isinstance(value, dict):
        return [path for key, each in value.items() for path in ((*above, key), *paths(each, (*above, key)))]
    if isinstance(value, list):
        return [
            path for number, each in enumerate(value) for path in ((*above, number), *paths(each, (*above, number)))
        ]
    return []


def check(text: str) -> None:
    """Every path of a valid text is found, and every key's place starts with that key."""
    document = tomllib.loads(text)
    found = locate.places(text)
    lines = text.split("\n")
    wanted = paths(document)
    assert sorted(map(repr, found)) == sorted(map(repr, wanted))
    for path in wanted:
        line, column = found[path]
        rest = lines[line - 1][column - 1 :]
        assert rest
        assert not rest[0].isspace()
        key = path[-1]
        if isinstance(key, str):
            match = KEY.match(rest)
            assert match
            assert tomllib.loads(f"{match.group()} = 1") == {key: 1}


@pytest.mark.parametrize(
    ("text", "path", "place"),
    [
        ("a = 1\nb = 2", ("b",), (2, 1)),
        ("a = 1\r\n  b = 2\r\n", ("b",), (2, 3)),
        ("# a = 1\n\n[t] # c\nb = 2", ("t", "b"), (4, 1)),
        ("[ t . 'u v' ]\nb = 2", ("t", "u v"), (1, 7)),
        ("t.u.v = 1", ("t", "u"), (1, 3)),
        ("t.u.v = 1\nt.u.w = 1", ("t",), (1, 1)),
        ('x = """\nb = 1\n"""\nb = 2', ("b",), (4, 1)),
        ("x = '''\nb = 1\n'''\nb = 2", ("b",), (4, 1)),
        ('x = """a""\\"""""\nb = 2', ("b",), (2, 1)),
        ("x = [ # [\n 'a=1', # ]\n {b = 2}]", ("x", 1, "b"), (3, 3)),
        ("x = [ # [\n 'a=1', # ]\n {b = 2}]", ("x", 0), (2, 2)),
        ("x = { y = { z = [1, 2] }, w = 'a}' }", ("x", "w"), (1, 27)),
        ("[[p]]\nn = 1\n[[p]]\nn = 2\n[p.q]\nr = 3", ("p", 1, "q", "r"), (6, 1)),
        ("[[p]]\nn = 1\n[[p]]\nn = 2", ("p", 1), (3, 3)),
        ('"a\\u0062" = 1', ("ab",), (1, 1)),
        ("d = 1979-05-27 07:32:00 # x\ne = 1", ("e",), (2, 1)),
        ("é = 1", ("é",), (0, 0)),
        ("x = 'ä'\ny = {ü = 1}", ("y",), (2, 1)),
    ],
)
def test_places(text: str, path: Path, place: tuple[int, int]) -> None:
    assert locate.places(text).get(path, (0, 0)) == place


BARE = st.from_regex(r"[A-Za-z0-9_-]{1,4}", fullmatch=True)
PLAIN = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\"'\\")
KEYS = st.one_of(
    BARE,
    st.text(PLAIN | st.sampled_from("=[]{}#. '"), max_size=5).map(lambda text: f'"{text}"'),
    st.text(PLAIN | st.sampled_from('=[]{}#. "\\'), max_size=5).map(lambda text: f"'{text}'"),
    st.sampled_from([r'"a\"b"', r'"\u00e9\n"', r'"\\"']),
)
SCALARS = st.one_of(
    st.integers().map(str),
    st.sampled_from(["true", "1.5e3", "inf", "1979-05-27 07:32:00", "1979-05-27T07:32:00Z", "07:32:00", "0xff"]),
    st.text(PLAIN | st.sampled_from("=[]{}#'"), max_size=8).map(lambda text: f'"{text}"'),
    st.text(PLAIN | st.sampled_from('=[]{}#"\\'), max_size=8).map(lambda text: f"'{text}'"),
    st.text(PLAIN | st.sampled_from("=[]#\n'{}"), max_size=8).map(lambda text: f'"""{text}"""'),
    st.text(PLAIN | st.sampled_from('=[]#\n"\\{}'), max_size=8)
    .filter(lambda text: '"""' not in text)
    .map(lambda text: f"'''{text}'''"),
    st.sampled_from(['""""a""b\\""" # x = 1"""', "'''a''b''''", '"""a"""""', '"\\" # \\\\"', '"""\\\n  x = 1 """']),
)
SPACE = st.sampled_from(["", " ", "\t "])
GAP = st.sampled_from(["", " ", "\n", " # x = [1]\n", "\r\n  "])


@st.composite
def arrays(draw: st.DrawFn, inner: st.SearchStrategy[str]) -> str:
    parts = [draw(GAP) + part + draw(GAP) for part in draw(st.lists(inner, max_size=3))]
    return "[" + ",".join(parts) + draw(st.sampled_from(["", "\n", ",\n"] if parts else ["", "\n"])) + "]"


@st.composite
def inline_tables(draw: st.DrawFn, inner: st.SearchStrategy[str]) -> str:
    pairs = draw(st.lists(st.tuples(dotted(), inner), max_size=3))
    return "{" + ",".join(f"{draw(SPACE)}{key}{draw(SPACE)}={draw(SPACE)}{value} " for key, value in pairs) + "}"


@st.composite
def dotted(draw: st.DrawFn) -> str:
    return (draw(SPACE) + "." + draw(SPACE)).join(draw(st.lists(KEYS, min_size=1, max_size=3)))


VALUES = st.recursive(SCALARS, lambda inner: arrays(inner) | inline_tables(inner), max_leaves=6)


@st.composite
def documents(draw: st.DrawFn) -> str:
    """A TOML text; now and then one that names a key twice and is none."""
    lines = []
    for _ in range(draw(st.integers(1, 7))):
        kind = draw(st.sampled_from(["pair", "pair", "pair", "table", "array", "array of p", "below p", "blank"]))
        tail = draw(st.sampled_from(["", "  ", " # [x] y = 'z'"])) + draw(st.sampled_from(["\n", "\r\n"]))
        if kind == "pair":
            lines.append(f"{draw(SPACE)}{draw(dotted())}{draw(SPACE)}={draw(SPACE)}{draw(VALUES)}{tail}")
        elif kind == "table":
            lines.append(f"{draw(SPACE)}[{draw(SPACE)}{draw(dotted())}{draw(SPACE)}]{tail}")
        elif kind == "array":
            lines.append(f"[[{draw(SPACE)}{draw(dotted())}{draw(SPACE)}]]{tail}")
        elif kind == "array of p":
            lines.append(f"[[p]]{tail}" if draw(st.booleans()) else f"[[p.'q']]{tail}")
        elif kind == "below p":
            lines.append(f"[p.{draw(KEYS)}]{tail}")
        else:
            lines.append(tail)
    return "".join(lines)


@settings(max_examples=400, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(documents())
def test_every_key_of_a_document_is_found(text: str) -> None:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        assume(False)
    check(text)


@settings(max_examples=300)
@given(st.text() | st.text(alphabet="ab1.=[]{},\"'\\#\n\r ", max_size=60))
def test_any_text_does_no_harm(text: str) -> None:
    for line, column in locate.places(text).values():
        assert line >= 1
        assert column >= 1


@pytest.mark.parametrize(
    "text",
    [
        "a." * 500_000 + "a = 1",
        "a = " + "[" * 500_000,
        "a = " + "{a=" * 300_000,
        "[" + "'a'." * 250_000,
        "a=[{b=" * 50_000,
    ],
)
def test_endless_nesting_is_stopped(text: str) -> None:
    with pytest.raises(locate.TooDeepError) as caught:
        locate.places(text)
    assert caught.value.line == 1


def test_a_long_list_has_places_for_its_first_elements() -> None:
    found = locate.places("a = [" + "1," * 5000 + "]\nb = 2")
    assert ("a", locate.ELEMENTS - 1) in found
    assert ("a", locate.ELEMENTS) not in found
    assert found["b",] == (2, 1)
