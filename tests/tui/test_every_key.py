"""Every key of the table, on every screen where it holds, at both sizes: it gets to its action, and to no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gristmill.tui.commands import commands_in
from gristmill.tui.screens.base import MillScreen

from .scene import fill
from .stage import Daemon, Opened

SCREENS: tuple[tuple[str, tuple[str, ...], str, tuple[str, ...]], ...] = (
    ("overview", (), "Workers", ("list", "moving")),
    ("job", ("tab", "enter"), "Tasks  40", ("list", "moving")),
    ("log", ("l",), "follow", ("moving", "pager")),
    ("why", ("2",), "binds", ("moving",)),
    ("machine", ("3",), "Pressure", ("moving",)),
    ("help", ("question_mark",), "Everywhere", ("moving",)),
    ("conditions", ("exclamation_mark",), "Conditions", ("moving",)),
)
"""The name, the keys that lead there from the overview, what is on it, and the rooms of the focused widget."""


@pytest.mark.parametrize(("name", "way", "shown", "rooms"), SCREENS, ids=[name for name, *_ in SCREENS])
async def test_each_key_gets_to_its_action(
    daemon: Daemon, mill: Opened, tmp_path: Path, size: tuple[int, int], name: str, way: tuple[str, ...], shown: str,
    rooms: tuple[str, ...], monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill(daemon, tmp_path)
    async with mill(*size) as eye:
        await eye.sees("live", "sweep/17")
        await eye.press(*way)
        await eye.sees(shown)
        screen, widget = eye.app.screen, eye.app.focused
        assert isinstance(screen, MillScreen) and widget is not None
        done: list[str] = []
        of_widget = commands_in(*rooms)
        of_screen = [one for one in commands_in(*screen.ROOMS, "all")
                     if not {*one.keys} & _keys(of_widget) and one.action != "palette"]  # fmt: skip
        for holder, commands in ((widget, of_widget), (screen, of_screen)):
            for command in commands:
                recorder: Any = lambda action=command.action: done.append(action)  # noqa: E731 - one for each action
                monkeypatch.setattr(holder, f"action_{command.action}", recorder, raising=True)
        for command in (*of_widget, *of_screen):
            for key in command.keys:
                done.clear()
                await eye.press(key)
                assert done == [command.action], f"{key} on {name}"
        await eye.press("colon", "=limit 3")
        await eye.sees("At most 3 busy workers")


def _keys(commands: Any) -> set[str]:
    return {key for command in commands for key in command.keys}
