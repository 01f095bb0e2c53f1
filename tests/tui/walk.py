"""A walk through all screens of the scene, the same every time: for the goldens and for the pictures."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from gristmill.supervisor.core.protocol import ConditionView, DecisionView
from gristmill.tui.app import MillApp

from .scene import NOW, fill
from .stage import Daemon, Eye, reasons

STEPS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("overview", (), "sweep/17"),
    ("question", ("tab", "j", "X"), "Kill job"),
    ("job", ("n", "k", "enter", *"jjjjjjjjj"), "9 ✗FAIL"),
    ("task", ("tab",), "memory"),
    ("failures", ("tab",), "fold 9 has no samples"),
    ("sweep", ("tab",), "RESULT"),
    ("timeline", ("tab",), "Ended well"),
    ("log", ("escape", "l"), "Traceback"),
    ("log-filtered", ("ampersand", "=loss", "enter"), "&loss"),
    ("why", ("1", "2"), "binds"),
    ("machine", ("3",), "Pressure"),
    ("conditions", ("1", "!"), "Conditions"),
    ("help", ("1", "?"), "Everywhere"),
)
"""The name of each screen, the keys that lead there from the one before, and what is on it when it is there."""
WIDE = {"task": ((), "Task 4/9"), "failures": ((), "fold 9 has no samples"), "log": (("l",), "Traceback")}
"""On a wide screen these are there already."""
KEYS = {"!": "exclamation_mark", "?": "question_mark"}


@contextlib.asynccontextmanager
async def walking(
    folder: Path, width: int, height: int, *, wrong: bool = True, scene: Callable[[Daemon], None] | None = None,
    **options: Any,
) -> AsyncIterator[tuple[Eye, Daemon]]:
    """The app on the scene, or another, with a clock that stands still; `wrong`: with a condition that is told."""
    daemon = Daemon(folder / "s")
    if scene is None:
        fill(daemon, folder)
    else:
        scene(daemon)
    decisions = [
        DecisionView(time=NOW - 420, before=8, after=7, reason="memory: 88 % taken, 2.9 GB of reserve 3.2 GB left"),
        DecisionView(time=NOW - 233, before=7, after=6, reason="memory: 86 % taken, one task has grown by 0.4 GB"),
    ]
    daemon.why = reasons(decisions=decisions)
    daemon.decisions = decisions
    if wrong:
        words = "it was moved ~1h00m back; timeouts go by a steady clock"
        daemon.conditions = [ConditionView(kind="clock", holds=False, since=NOW - 40, reason=words)]
    await daemon.start()
    app = MillApp(str(daemon.path), "/home/me/jobs", clock=lambda: NOW, **options)
    app.host = "lab3"
    try:
        async with app.run_test(size=(width, height)) as pilot:
            eye = Eye(app, pilot)
            await eye.sees("live")
            yield eye, daemon
    finally:
        await daemon.stop()


async def walk(eye: Eye, daemon: Daemon, look: Callable[[str], None]) -> None:
    """Go to each screen in turn, and have a look when it is there."""
    wide = eye.app.size.width >= 120
    for name, keys, shown in STEPS:
        if wide and name in WIDE:
            keys, shown = WIDE[name]  # noqa: PLW2901 - what it is on this screen
        await eye.press(*(KEYS.get(key, key) for key in keys))
        await settled(eye, daemon, shown if not eye.app.use_ascii else shown.removeprefix("9 ✗"))
        look(name)


async def settled(eye: Eye, daemon: Daemon, shown: str) -> None:
    """Waits until something is on the screen, and all of the newest update."""
    await eye.sees(shown)
    daemon.push()
    await eye.until(lambda: eye.app.mill is not None and eye.app.mill.seq == daemon.seq, "the newest update")
    await eye.until(lambda: not [one for one in eye.app.workers if one.group != "link"], "all answers are there")
    await eye.pilot.pause()
