"""docs/troubleshooting.md has an entry for each message that the program can show, and none for another.

Messages are read from the source: what is raised for a user, and texts that begin as reasons do, `memory: …`. What
varies is `…`. A mend behind a dash belongs to the message only where there would be nothing but names without it.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import pytest

from gristmill.supervisor.core import errors, gate, reasons
from gristmill.supervisor.core.conditions import Kind

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()
RAISED = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
REASON = re.compile(r"[a-z_]+: \S")
NO_REASON = tuple(map(re.compile, (  # what begins like one: answers, the log, findings of `grist doctor`
    r"limit: found by the governor", r"limit: …, fixed", r"paused: nothing new is started; .*", r"notify: %s: %s",
    r"now: …", r"root: every job runs as root, .*", r"gristmill: …",
)))  # fmt: skip
WORDED = re.compile(r"[a-z]{2,} [a-z]{2,}")


@functools.cache
def quoted() -> set[str]:
    """All that the page quotes."""
    return {one or two for one, two in re.findall(r"``([^\n]+?)``|`([^`\n]+)`", PAGE)}


def text_of(node: ast.AST | None, names: dict[str, str]) -> str:
    """A text in the source, "" where it is none."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in parts)
        case ast.BinOp(left=left, right=right):
            return (text_of(left, names) or "…") + (text_of(right, names) or "…")
        case ast.Name(id=name):
            return names.get(name, "")
    return ""


def key(message: str) -> str:
    """By what a message is found on the page."""
    message = re.sub("…+", "…", " ".join(message.split()))
    what = message.partition(" – ")[0]
    return what if WORDED.search(what) else message


@functools.cache
def sources() -> dict[str, tuple[ast.Module, dict[str, str]]]:
    """Each module with its constants."""
    found = {}
    for path in sorted((ROOT / "supervisor").rglob("*.py")):
        tree = ast.parse(path.read_text())
        names = {target.id: text_of(line.value, {}) for line in tree.body if isinstance(line, ast.Assign)
                 for target in line.targets if isinstance(target, ast.Name)}  # fmt: skip
        found[path.relative_to(ROOT).as_posix()] = tree, names
    return found


def raised() -> Iterator[tuple[str, str]]:
    """(module, message) of all that is raised for a user."""
    for module, (tree, names) in sources().items():
        for node in ast.walk(tree):
            match node:
                case ast.Raise(exc=ast.Call(func=ast.Name(id=name), args=[first, *_])) if name in RAISED:
                    if re.search(r"[a-z]{3}", message := text_of(first, names)):
                        yield module, key(message)


def told() -> Iterator[tuple[str, str]]:
    """(module, message) of all that is shown as a reason, on the daemon's side."""
    for module, (tree, names) in sources().items():
        if module.startswith(("supervisor/cli/", "supervisor/python/")):
            continue
        skipped = {id(part) for node in ast.walk(tree) if isinstance(node, ast.Raise) for part in ast.walk(node)}
        skipped |= {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(tree):
            if id(node) not in skipped and isinstance(node, ast.Constant | ast.JoinedStr):
                message = key(text_of(node, names))
                if REASON.match(message) and not any(shape.fullmatch(message) for shape in NO_REASON):
                    yield module, message


def shape_of(text: str) -> re.Pattern[str]:
    """What matches all messages of this shape, whose … may be anything."""
    return re.compile(".*".join(map(re.escape, text.split("…"))))


@pytest.mark.parametrize("found", [raised, told])
def test_each_message_has_an_entry(found: Callable[[], Iterator[tuple[str, str]]]) -> None:
    messages = set(found())
    assert len(messages) > 20, "the source is not read as it is written now"
    assert sorted(pair for pair in messages if pair[1] not in quoted()) == []


def test_each_kind_of_condition_has_an_entry() -> None:
    rows = re.findall(r"^\| `([a-z ]+)` \| (?:yes|no|below)", PAGE, re.MULTILINE)
    assert sorted(rows) == sorted(map(str, Kind))


def test_each_word_for_a_limit_and_each_way_to_wait_has_an_entry() -> None:
    assert set(re.findall(r"^\| `([a-z]+):` \|", PAGE, re.MULTILINE)) == set(reasons.SENTENCES)
    assert {f"{words}: waits for …, …" for words in get_args(gate.Words)} <= quoted()


def test_no_entry_is_for_a_message_that_is_not_in_the_source() -> None:
    nodes = [(node, names) for tree, names in sources().values() for node in ast.walk(tree)]
    texts = {key(text) for node, names in nodes if (text := text_of(node, names))}
    varying = [shape_of(text) for text in texts if "…" in text and WORDED.search(text)]
    entries = re.findall(r"^- (`.*(?: ·\n  .*)*)$", PAGE.partition("## Why it waits")[2], re.MULTILINE)
    shapes = {shape for entry in entries for shape in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", entry)}
    assert len(shapes) > 100
    gone = {
        shape for shape in shapes - texts - {"exit …", "SIGKILL", "SIGSEGV"}
        if not any(text.fullmatch(shape) for text in varying) and not any(map(shape_of(shape).fullmatch, texts))
    }
    assert gone == set()
