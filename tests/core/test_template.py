"""Placeholders, literal braces, and where in a shell line quotes are open."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.supervisor.core import shell, template
from gristmill.supervisor.core.findings import Fault


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{a}", "1"), ("x{a}y{b c}z", "x1y2z"), ("{{a}}", "{a}"), ("{{{a}}}", "{1}"), ("${{x}}", "${x}"), ("", ""),
        ("{{}}", "{}"), ("a\n{a}\n", "a\n1\n"),
    ],
)  # fmt: skip
def test_rendering(text: str, expected: str) -> None:
    assert template.render(text, {"a": "1", "b c": "2"}) == expected


@pytest.mark.parametrize("text", ["{", "}", "a } b", "{a", "{a{b}", "{{a}"])
def test_a_lone_brace_is_refused(text: str) -> None:
    with pytest.raises(Fault, match="literal brace"):
        template.holes(text)


@given(st.text())
def test_a_literal_stands_for_itself(text: str) -> None:
    assert template.render(template.literal(text), {}) == text


@pytest.mark.parametrize(
    ("line", "inside"),
    [
        ("x {a}", False), ("x '{a}'", True), ('x "{a}"', True), ("x 'y' {a} 'z'", False), ('x "y" {a}', False),
        ("x \"it's\" {a}", False), ("x 'a\"b' {a}", False), ('x "\\"" {a}', False), ('x \\" {a}', False),
        ('x "$(y {a})"', False), ('x "$(y "{a}")"', True), ("x $(y '{a}')", True), ("x `y {a}`", True),
        ("x # don't\ny {a}", False), ("x # {a}", True), ("x y#'{a}'", True), ("cat <<E\n{a}\nE", True),
        ("x \\{a}", True), ("(cd y; x {a})", False), ('x "(" {a}', False), ("x 'unclosed {a}", True),
        ("x $((1 + {a}))", True),
    ],
)  # fmt: skip
def test_where_quotes_are_open(line: str, inside: bool) -> None:
    offset = line.index("{a}")
    assert (offset in shell.quoted(line, [offset])) is inside
