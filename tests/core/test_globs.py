"""Patterns of files: what they mean, and where one has to look for it."""

from __future__ import annotations

import pytest

from gristmill.supervisor.core import globs
from gristmill.supervisor.core.findings import Fault

FILES = ("a.py", "b.txt", ".hidden.py", "conf/x.yaml", "conf/deep/y.yaml", "conf/.secret/z", "src/m.py", "src/in/n.py")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.py", ["a.py"]),
        ("?.py", ["a.py"]),
        (".*.py", [".hidden.py"]),
        ("conf/*", ["conf/x.yaml"]),
        ("conf/**", ["conf/x.yaml", "conf/deep/y.yaml"]),
        ("conf/", ["conf/x.yaml", "conf/deep/y.yaml"]),
        ("**/*.py", ["a.py", "src/m.py", "src/in/n.py"]),
        ("src/**/*.py", ["src/m.py", "src/in/n.py"]),
        ("./a.py", ["a.py"]),
        ("[ab].*", ["a.py", "b.txt"]),
        ("[!a].*", ["b.txt"]),
        ("conf/.secret/*", ["conf/.secret/z"]),
        ("**", ["a.py", "b.txt", "conf/x.yaml", "conf/deep/y.yaml", "src/m.py", "src/in/n.py"]),
    ],
)
def test_what_a_pattern_means(pattern: str, expected: list[str]) -> None:
    meant = globs.compiled(globs.checked(pattern))
    assert [file for file in FILES if meant.fullmatch(file)] == expected


@pytest.mark.parametrize(
    ("pattern", "base", "deep"),
    [("*.py", "", False), ("**/*.py", "", True), ("conf/**", "conf", True), ("a/b/c.py", "a/b", False),
     ("a/*/c.py", "a", True), ("a/b/*.py", "a/b", False)],
)  # fmt: skip
def test_where_it_lies(pattern: str, base: str, deep: bool) -> None:
    assert (globs.base(pattern), globs.deep(pattern)) == (base, deep)


@pytest.mark.parametrize("pattern", ["", " ", "/etc/passwd", "~/x", "../x", "a/../../b"])
def test_nothing_outside_of_the_folder(pattern: str) -> None:
    with pytest.raises(Fault):
        globs.checked(pattern)
