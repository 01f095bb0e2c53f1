"""One table of keys, and nothing beside it."""

import ast
from collections import Counter
from pathlib import Path

import pytest
from textual.binding import Binding

import gristmill.tui.commands as table
from gristmill.tui.commands import COMMANDS, ROOMS, bindings, commands_in, footer
from gristmill.tui.marks import UNICODE
from gristmill.tui.screens.base import MillScreen, Prompt
from gristmill.tui.screens.help import HelpScreen, Keys, sections
from gristmill.tui.screens.job import JobScreen
from gristmill.tui.screens.log import LogScreen
from gristmill.tui.screens.machine import MachineScreen
from gristmill.tui.screens.overview import Overview
from gristmill.tui.screens.question import Question
from gristmill.tui.screens.why import WhyScreen
from gristmill.tui.widgets.logview import LogView
from gristmill.tui.widgets.table import Table

HOLDERS = {
    "all": (MillScreen,), "rows": (Overview, JobScreen), "overview": (Overview,), "log": (LogScreen,),
    "job": (JobScreen,), "list": (Table,), "pager": (LogView,), "moving": (Table, LogView, Keys), "prompt": (Prompt,),
    "question": (Question,), "machine": (MachineScreen,), "why": (WhyScreen,),
}  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: f"{command.shown}-{command.action}")
def test_each_command_is_carried_out_where_it_holds(command: table.Command) -> None:
    for room in command.rooms:
        for holder in HOLDERS[room]:
            assert callable(getattr(holder, f"action_{command.action}", None)), f"{holder.__name__}: {command.action}"
            own = [binding.action for binding in holder.BINDINGS if isinstance(binding, Binding)]
            assert command.action in own or not command.keys


@pytest.mark.parametrize("rooms", [("all", "rows", "overview", "moving", "list"),
                                   ("all", "rows", "job", "moving", "list"),
                                   ("all", "log", "moving", "pager"), ("all", "why", "moving")])  # fmt: skip
def test_no_key_means_two_things_at_once(rooms: tuple[str, ...]) -> None:
    keys = Counter(key for command in commands_in(*rooms) for key in command.keys)
    assert [key for key, times in keys.items() if times > 1] == []


def test_no_module_but_the_table_binds_a_key() -> None:
    root = Path(table.__file__).parent
    for path in root.rglob("*.py"):
        if path.name == "commands.py":
            continue
        called = [node.func.id for node in ast.walk(ast.parse(path.read_text()))
                  if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]  # fmt: skip
        assert "Binding" not in called, path
        assert "def key_" not in path.read_text(), path


def test_the_help_shows_every_key_of_the_table() -> None:
    lines = [line for block in sections(UNICODE, read_only=False) for line in block]
    shown = "\n".join("".join(text for text, _ in line) for line in lines)
    for command in COMMANDS:
        if command.shown:
            assert f"  {command.shown:<7}{command.help}" in shown
    assert set(ROOMS) == set(HOLDERS)


def test_the_footer_names_what_the_table_ranks() -> None:
    assert [command.shown for command in footer("rows", "overview")] == [
        "Enter", "l", "c", "r", "/", "s", "h", "Tab", "2", "3", "Esc", "?", "q"]  # fmt: skip
    assert "c" not in [command.shown for command in footer("rows", read_only=True)]
    assert HelpScreen.ROOMS == ()
    assert [command.shown for command in footer("why")] == ["{", "}", "a", "P", "d", "2", "3", "Esc", "?", "q"]
    assert [command.shown for command in footer("why", read_only=True)] == ["2", "3", "Esc", "?", "q"]


def test_bindings_carry_keys_and_actions() -> None:
    found = {binding.action: binding.key for binding in bindings("moving") if isinstance(binding, Binding)}
    assert found["down"] == "j,down"
    assert found["last"] == "G,shift+g,end"
