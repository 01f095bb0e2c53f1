"""Grids as users write them: products, pairs, ranges, exclude and include."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.supervisor.core import items, jobfile
from gristmill.supervisor.core.errors import JobFileError
from gristmill.supervisor.core.spec import Axis, Items


def grid(text: str) -> Items:
    return jobfile.parse(f'command = "x"\n[grid]\n{text}', "g.toml", cwd="/", home="/", read=lambda path: path).items


def points(text: str) -> list[tuple[object, ...]]:
    made = grid(text)
    return [tuple(items.params(made, index).values()) for index in range(made.total)]


def test_zip_pairs_values_and_may_repeat_them() -> None:
    assert points("zip = true\na = [1, 1, 2]\nb = ['x', 'y', 'x']") == [(1, "x"), (1, "y"), (2, "x")]
    assert points("zip = true\na = [1, 1, 2]\nb = ['x', 'y', 'x']\nexclude = [{a = 1, b = 'y'}]") == [
        (1, "x"),
        (2, "x"),
    ]


def test_exclude_drops_what_agrees() -> None:
    assert points("a = [1, 2]\nb = ['x', 'y']\nexclude = [{a = 1, b = 'y'}]") == [(1, "x"), (2, "x"), (2, "y")]
    assert points("a = [1, 2]\nb = ['x', 'y']\nexclude = [{b = 'x'}, {a = 2}]") == [(1, "y")]
    assert points("a = {range = [0, 4]}\nexclude = [{a = 2.0}]") == [(0,), (1,), (3,)]


def test_include_adds_whole_points() -> None:
    assert points("a = [1, 2]\ninclude = [{a = 7}]") == [(1,), (2,), (7,)]
    assert points("a = [1, 2]\nexclude = [{a = 2}]\ninclude = [{a = 2}]") == [(1,), (2,)]
    assert grid("include = [{a = 1, b = 2}, {b = 1, a = 2}]").cases == ({"a": 1, "b": 2}, {"a": 2, "b": 1})
    assert grid("[[grid.include]]\na = 1\n[[grid.include]]\na = 2").cases == ({"a": 1}, {"a": 2})


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ("0, 3", [0, 1, 2]), ("3, 0, -1", [3, 2, 1]), ("0, 10, 4", [0, 4, 8]), ("-1, 1", [-1, 0]),
        ("0, 0.5, 0.1", [0.0, 0.1, 0.2, 0.3, 0.4]), ("0.1, 0.4, 0.1", [0.1, 0.2, 0.3]), ("1, 0, -0.5", [1.0, 0.5]),
        ("0, 1, 0.3", [0.0, 0.3, 0.6, 0.9]),
    ],
)  # fmt: skip
def test_ranges_leave_out_their_end(ends: str, expected: list[float]) -> None:
    assert [point[0] for point in points(f"a = {{range = [{ends}]}}")] == expected


def test_a_million_seeds_stay_three_numbers() -> None:
    assert grid("seed = {range = [0, 1_000_000]}") == Items(
        total=1_000_000, axes=(Axis(name="seed", range=(0, 1_000_000, 1)),)
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "g.toml:2:2: a grid without a parameter – add one"),
        ("a = []", "g.toml:3:1: grid.a: an empty list leaves no item"),
        ("a = 0.1", "write a = [0.1]"),
        ("a = true", "write a = [true]"),
        ("a = 'x'", "write a list of values, or {range = [first, end]}"),
        ("a = [1, [2]]", "grid.a: value 2: no text, number or true/false"),
        ("a = [1979-05-27]", "grid.a: value 1: no text"),
        ("a = [inf]", "grid.a: value 1: the value is inf, no number"),
        ("a = [1, 2, 1.0]", "grid.a: value 3, 1.0, is there already – remove it; to repeat, add a parameter"),
        ("a = {range = [10, 0]}", "the range from 10 to 0 by 1 is empty – swap the ends, or the step's sign"),
        ("a = {range = [3, 3]}", "is empty – write a later end"),
        ("a = {range = [0, 1, 0]}", "a range with a step of 0 never ends"),
        ("a = {range = [0]}", "neither a list nor a range – write {range = [first, end]}"),
        ("a = {from = 0, to = 3}", "neither a list nor a range"),
        ("a = {range = [0, '3']}", 'a range with the text "3" – write plain numbers'),
        ("a = {range = [0, 10_000_000_000]}", "10,000,000,000 values are more than the 1,000,000,000 of one parameter"),
        ("a = {range = [0, 1, 1e-9]}", "1,000,000,000 values are more than the 100,000 of one parameter"),
        ("a = {range = [0, 1_000_000]}\nb = {range = [0, 1_000_000]}",
         "g.toml:2:2: grid: 1,000,000,000,000 items are more than the 1,000,000,000 of one job"),
        ("zip = true\na = [1, 2]\nb = [1]", "zip needs lists of one length: a has 2, b has 1"),
        ("zip = 'yes'\na = [1]", "write true or false, without quotes"),
        ("a = [1]\nexclude = [{b = 1}]", "grid.exclude (value 1): b is no parameter of the grid – use a"),
        ("a = [1, 2]\nexclude = [{a = '1'}]", 'agrees with no point: a is never the text "1"'),
        ("a = [1, 2]\nexclude = [{a = true}]", "agrees with no point: a is never true"),
        ("a = [1, 2]\nexclude = [{}]", "an empty table agrees with every point"),
        ("a = [1, 2]\nexclude = {a = 1}", "g.toml:4:1: grid.exclude is a table – write a list of tables"),
        ("a = [1]\nexclude = [{a = 1}]", "exclude leaves no point"),
        ("a = {range = [0, 1000]}\nb = {range = [0, 1000]}\nc = [1]\nexclude = [{c = 1}]", "drops more than"),
        ("zip = true\na = [1, 2]\nb = [3, 4]\nexclude = [{a = 1, b = 4}]", "agrees with no point"),
        ("a = [1]\nb = [1]\ninclude = [{a = 2}]", "g.toml:5:12: grid.include (value 1): lacks b – give every"),
        ("a = [1]\ninclude = [{a = 2, c = 1}]", "c is no parameter of the grid – use a"),
        ("a = [1]\ninclude = [{a = 1}]", "no new point – remove it"),
        ("include = [{a = 1}, {a = 1}]", "grid.include (value 2): no new point"),
        ("include = [{}]", "an empty table is no point"),
        ("index = [1]", "g.toml:3:1: {index} has a meaning of its own – rename the parameter, to index_ or so"),
        ("state = [1]", "GRIST_STATE has a meaning of its own – rename the parameter, to my_state or so"),
        ("a-b = [1]\na_b = [1]", 'g.toml:4:1: "a_b" and "a-b" would both be GRIST_A_B – rename one of them'),
        ("'{a}' = [1]", '"{a}" can\'t be a parameter\'s name'),
        ("'' = [1]", "can't be a parameter's name"),
        (f"a = ['{'x' * 70_000}']", "longer than 60,000 bytes – put it into a file"),
        (f"a = ['{'x' * 40_000}']\nb = ['{'x' * 40_000}']", "an item of more than 60,000 bytes"),
    ],
)  # fmt: skip
def test_each_slip_has_its_mend(text: str, expected: str) -> None:
    with pytest.raises(JobFileError) as caught:
        grid(text)
    assert expected in str(caught.value)


SMALL = st.integers(0, 3)


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
    st.lists(st.dictionaries(st.sampled_from("abc"), SMALL, min_size=1), max_size=3),
)
def test_exclude_leaves_what_agrees_with_no_rule(lengths: list[int], rules: list[dict[str, int]]) -> None:
    names = "abc"[: len(lengths)]
    whole = [dict(zip(names, point, strict=True)) for point in itertools.product(*map(range, lengths))]
    drops = [[point for point in whole if rule.items() <= point.items()] for rule in rules]
    kept = [tuple(point.values()) for point in whole if not any(point in drop for drop in drops)]
    text = "".join(f"{name} = {list(range(length))}\n" for name, length in zip(names, lengths, strict=True))
    text += (
        "exclude = [" + ", ".join("{" + ", ".join(f"{k} = {v}" for k, v in rule.items()) + "}" for rule in rules) + "]"
    )
    if all(drops) and kept:
        assert points(text) == kept
    else:
        with pytest.raises(JobFileError):
            grid(text)
