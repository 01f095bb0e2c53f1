"""Items from csv, tsv, jsonl and txt files as people and spreadsheets write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.supervisor.core import cases
from gristmill.supervisor.core.findings import Fault


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("a,b\n1,x y\n", "/c.csv", [{"a": "1", "b": "x y"}]),
        ("\ufeffa;b\r\n1;2\r\n\r\n", "/c.csv", [{"a": "1", "b": "2"}]),
        ("a\tb\n1,5\t2\n", "/c.TSV", [{"a": "1,5", "b": "2"}]),
        ('a,b\n"x, ""y""","two\nlines"\n', "/c.csv", [{"a": 'x, "y"', "b": "two\nlines"}]),
        ("a , b\n1,2\n", "/c.csv", [{"a": "1", "b": "2"}]),
        ("a\n1\x0c2\u2028\n", "/c.csv", [{"a": "1\x0c2\u2028"}]),
        ('{"a": 1, "b": "x"}\n\n{"b": "y", "a": 2.5}\n', "/c.jsonl", [{"a": 1, "b": "x"}, {"b": "y", "a": 2.5}]),
        ("one\n\n two \r\n", "/c.txt", [{"item": "one"}, {"item": " two "}]),
    ],
)
def test_files(text: str, path: str, expected: list[dict[str, object]]) -> None:
    assert list(cases.from_text(text, path)) == expected


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("", "/c.csv", '"c.csv" holds no item'),
        ("a,b\n", "/c.csv", "give it at least one row below the names of the columns"),
        ("a,b\n1\n", "/c.csv", "c.csv:2: 1 cells under 2 columns"),
        ("a,b\n1,2,3\n", "/c.csv", "c.csv:2: 3 cells under 2 columns"),
        ("a,\n1,2\n", "/c.csv", "c.csv:1: column 2 has no name"),
        ("a,a\n1,2\n", "/c.csv", 'c.csv:1: two columns are called "a"'),
        ("index\n1\n", "/c.csv", "{index} has a meaning of its own"),
        ('a\n"x\n', "/c.csv", "mend the quotes of that row"),
        ("a\n" + "x" * 70_000, "/c.csv", "c.csv:2, a: longer than 60,000 bytes"),
        ("a,b\n" + "x" * 40_000 + "," + "y" * 40_000, "/c.csv", "c.csv:2: an item of more than 60,000 bytes"),
        ("a\n" + "x" * 200_000, "/c.csv", "c.csv:2: field larger than field limit"),
        ("a\nx\0y", "/c.csv", "c.csv:2, a: the value holds a NUL character"),
        ('{"a": 1}\n{"a": 1', "/c.jsonl", "c.jsonl:2: not JSON"),
        ("[" * 100_000, "/c.jsonl", "c.jsonl:1: not JSON"),
        ("[1]\n", "/c.jsonl", 'c.jsonl:1: no object – write one object a line, such as {"lr": 0.1}'),
        ('{"a": 1}\n{"b": 1}', "/c.jsonl", "c.jsonl:2 lacks a – give every item the same parameters"),
        ('{"a": 1}\n{"a": 1, "b": 2}', "/c.jsonl", "c.jsonl:2 has b, which the first has not"),
        ('{"a": null}', "/c.jsonl", "c.jsonl:1, a: no text, number or true/false"),
        ('{"a": 99999999999999999999}', "/c.jsonl", "a number too large"),
        ("{}", "/c.jsonl", "items without a parameter"),
        ("x", "/c.xlsx", '"c.xlsx" is not csv, tsv, jsonl or txt – convert it'),
        ("a\n" * 250_002, "/c.csv", "more than 250,000 items – give [items] total"),
    ],
)  # fmt: skip
def test_each_slip_has_its_mend(text: str, path: str, expected: str) -> None:
    with pytest.raises(Fault) as caught:
        cases.from_text(text, path)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], "the list is empty"),
        ([1, {"a": 1}], "tables and values in one list"),
        ([{"a": 1}, {"b": 1}], "table 2 lacks a"),
        ([[1]], "value 1, item: no text, number or true/false"),
        ([{"a": {}}], "table 1, a: no text, number or true/false"),
    ],
)
def test_lists_refused(values: list[object], expected: str) -> None:
    with pytest.raises(Fault) as caught:
        cases.listed(values)
    assert expected in str(caught.value)


@given(st.text() | st.text(alphabet='a,;"\n\r\t{}:1[]'), st.sampled_from(["/c.csv", "/c.tsv", "/c.jsonl", "/c.txt"]))
def test_any_text_is_items_or_explained(text: str, path: str) -> None:
    try:
        found = cases.from_text(text, path)
    except Fault as fault:
        assert fault.what.isprintable()
        assert fault.mend
    else:
        assert len({tuple(sorted(case)) for case in found}) == 1
