"""The app: holds what is known and which part of it is shown.

Owns the link and the stack of screens. What a screen shows, it is told by `show`; what it wants, it asks here; what is
to be changed goes by `orders`.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from textual import on
from textual._compositor import ChopsUpdate
from textual.app import App
from textual.binding import BindingType
from textual.events import CursorPosition, Event, Key
from textual.screen import Screen
from textual.widgets import Input

from gristmill.supervisor.core.errors import GristError, RequestError
from gristmill.supervisor.core.sanitise import safe
from gristmill.tui.emission import Changes
from gristmill.tui.errands import send
from gristmill.tui.facts import facts
from gristmill.tui.link import Link
from gristmill.tui.looks import DARK, NAMES, PALETTES, Palette
from gristmill.tui.marks import ASCII, UNICODE, Marks
from gristmill.tui.messages import Arrived, LinkLost
from gristmill.tui.orders import Orders
from gristmill.tui.pace import QUESTION, Pace
from gristmill.tui.palette import TableProvider
from gristmill.tui.present import GapError, Mill, fold, name_task
from gristmill.tui.screens.base import MillScreen
from gristmill.tui.screens.conditions import ConditionsScreen
from gristmill.tui.screens.help import HelpScreen
from gristmill.tui.screens.job import JobScreen
from gristmill.tui.screens.log import LogScreen
from gristmill.tui.screens.machine import MachineScreen
from gristmill.tui.screens.mixed import MixedScreen, sources
from gristmill.tui.screens.overview import Overview
from gristmill.tui.screens.question import Question
from gristmill.tui.screens.why import WhyScreen
from gristmill.tui.widgets.bars import Header, Pulse
from gristmill.tui.widgets.lobby import Lobby


class MillApp(App[int]):
    """`socket_path` is the daemon's socket; `jobs_dir` is only shown."""

    TITLE = "gristmill"
    COMMANDS = {TableProvider}  # noqa: RUF012 - Textual's own shape
    COMMAND_PALETTE_BINDING = "colon"
    BINDINGS: ClassVar[list[BindingType]] = []
    ENABLE_COMMAND_PALETTE = True
    MODES = {"mill": Overview}  # noqa: RUF012 - Textual's own shape
    DEFAULT_MODE = "mill"

    def __init__(self, socket_path: str, jobs_dir: str, *, use_ascii: bool = False, theme: str | None = None,
                 read_only: bool = False, clock: Callable[[], float] = time.time) -> None:  # fmt: skip
        self.clock = clock
        no_color = bool(os.environ.get("NO_COLOR"))
        super().__init__(ansi_color=True if no_color else None)
        self.animation_level = "none"
        for palette in PALETTES.values():
            self.register_theme(palette.theme())
        self.theme = NAMES[theme or ("terminal-16" if no_color else "dark")].name
        self.jobs_dir = jobs_dir
        self.host = socket.gethostname().partition(".")[0]
        self.read_only = read_only
        self.use_ascii = use_ascii
        self.link = Link(socket_path, self.post_message)
        self.mill: Mill | None = None
        self._frozen: Mill | None = None
        self._frozen_at = 0.0
        self._heard_at = time.monotonic()
        self._lost = ""
        self.orders = Orders(self)
        self.pace = Pace()
        self.aimed: set[int] = set()
        """Keys on their way that were meant for something else than a line to type in."""
        self._owed = False

    @property
    def palette(self) -> Palette:
        """The colours of the moment."""
        return PALETTES.get(self.theme, DARK)

    @property
    def marks(self) -> Marks:
        """The characters to draw with."""
        return ASCII if self.use_ascii else UNICODE

    @property
    def shown(self) -> Mill | None:
        """What the screens show: the newest, or what was frozen."""
        return self._frozen or self.mill

    @property
    def is_frozen(self) -> bool:
        """Whether the display stands still."""
        return self._frozen is not None

    def on_mount(self) -> None:
        """Begin to listen."""
        self.pace.able = not self.is_headless
        send(self, self.link.run, "link", "the line to the daemon")
        self.set_interval(1.0, self._tick)

    @on(Arrived)
    def _arrived(self, message: Arrived) -> None:
        try:
            self.mill = fold(self.mill, message.update)
        except GapError:
            return  # the link has seen the gap, too, and a snapshot is on its way
        self._heard_at, self._lost = time.monotonic(), ""
        if self._frozen is not None:
            self._tick()
        elif self.may_paint():
            self.present()
        else:
            self._owed = True  # the line is busy with the last frame

    @on(LinkLost)
    def _link_lost(self, message: LinkLost) -> None:
        self._lost = message.reason
        self._tick()

    def present(self) -> None:
        """Show what is known on the screen that is on top."""
        screen = self._top()
        if screen is None or not screen.is_mounted:
            return
        self.pace.made()
        self._owed = False
        if self.shown is not None and (screen.is_current or isinstance(self.screen, Question)):
            screen.show(self.shown)
        if isinstance(self.screen, Question):
            self.screen.show_facts((*facts(self.mill, self.screen.ids), *self.screen.notes))
        self._tick()

    def may_paint(self) -> bool:
        """Whether what comes by itself may be drawn now; if so, it is: what a key does, is drawn in any case."""
        free = self.pace.free(time.monotonic())
        if free:
            self.pace.made()
        return free

    async def on_event(self, event: Event) -> None:
        """A key comes back when nobody wanted it; where a line to type in was opened meanwhile, it is for that."""
        if isinstance(event, Key) and id(event) in self.aimed:
            self.aimed.discard(id(event))
            if isinstance(self.focused, Input):
                event._stop_propagation = False  # it has come all the way to us once, and may do so again
                self.focused._forward_event(event)
                return
        await super().on_event(event)

    def _display(self, screen: Screen[Any], renderable: Any) -> None:
        """Textual's own way to the terminal, with fewer bytes."""
        if type(renderable) is ChopsUpdate:
            renderable = Changes(renderable.chops, renderable.spans, renderable.chop_ends)
        super()._display(screen, renderable)

    def post_display_hook(self) -> None:
        """A frame was written: ask the terminal when it has it."""
        if self._driver is not None and self.pace.ask(time.monotonic()):
            self._driver.write(QUESTION)

    def on_cursor_position(self, event: CursorPosition) -> None:
        """The terminal has the last frame."""
        event.stop()
        self.pace.answered(time.monotonic())
        if self._owed:
            self.present()

    def _top(self) -> MillScreen | None:
        """The highest screen that shows the mill; dialogs lie above it. None while all are taken down at the end."""
        if not self.is_running:
            return None
        return next((screen for screen in reversed(self.screen_stack) if isinstance(screen, MillScreen)), None)

    def _tick(self) -> None:
        """Show how fresh the screen is."""
        screen = self._top()
        if screen is None or not screen.is_mounted:
            return
        now = time.monotonic()
        if not self.pace.free(now):
            return  # the clock can wait
        frozen = now - self._frozen_at if self._frozen is not None else None
        pulse = Pulse(now - self._heard_at, self._lost, frozen, self.clock(), self.pace.words)
        for header in screen.query(Header):
            header.show(self.shown, pulse)
        if self.mill is None and self._lost:
            for lobby in screen.query(Lobby):
                lobby.show(self._lost, self.link.path)

    async def ask(self, op: str, **fields: Any) -> Any:
        """Ask the daemon; raises a `GristError` where it refuses or is not there."""
        return await self.link.ask(op, **fields)

    async def task_of(self, target: str) -> str | None:
        """The task whose log says most about a job: one that runs, else one that failed, else the last."""
        if "/" in target:
            return target
        if self.mill is not None and (running := self.mill.task_of_job(int(target))):
            return running
        for state in ("failed", None):
            data = await self.ask("tasks", job=target, offset=0, limit=1, state=state)
            if data["tasks"]:
                last = max(0, int(data["total"]) - 1)
                if state is None and last:
                    data = await self.ask("tasks", job=target, offset=last, limit=1, state=None)
                return str(data["tasks"][0]["id"]) if data["tasks"] else None
        return None

    # Screens

    def open_job(self, job: int, task: str | None = None) -> None:
        """To a job, with the cursor on one of its tasks."""
        self.push_screen(JobScreen(job, task))

    def open_log(self, target: str | None, name: str) -> None:
        """To the log of a task, or of a task of a job."""
        if target is None:
            self.say("nothing here has a log", "warn")
        elif "/" in target:
            self.push_screen(LogScreen(target, name))
        else:
            send(self, partial(self._open_log_of, target, name), "open", f"open the log of {target}")

    def open_logs(self, ids: list[str]) -> None:
        """To the logs of several tasks, and of all that run of several jobs, mixed."""
        if found := sources(self.mill, ids):
            self.push_screen(MixedScreen(found))
        else:
            self.say("of the marked ones nothing runs", "warn")

    async def _open_log_of(self, job: str, name: str) -> None:
        try:
            task = await self.task_of(job)
        except GristError as error:
            self.say(str(error), "fail")
            return
        if task is None:
            self.say(f"{name}: no task has started yet", "warn")
        else:
            self.push_screen(LogScreen(task, name_task(task, name)))

    def open_help(self) -> None:
        """To the help."""
        self.push_screen(HelpScreen())

    def open_why(self) -> None:
        """To the reasons for the number of workers."""
        self.push_screen(WhyScreen())

    def open_machine(self) -> None:
        """To the machine in detail."""
        self.push_screen(MachineScreen())

    def open_conditions(self) -> None:
        """To all that is wrong."""
        self.push_screen(ConditionsScreen())

    def go_back(self) -> None:
        """One screen out."""
        if len(self.screen_stack) > 1:
            self.pop_screen()

    def go_home(self) -> None:
        """Back to the overview."""
        while len(self.screen_stack) > 1:
            self.pop_screen()

    def toggle_freeze(self) -> None:
        """Freeze the display, not the feed, or let it go on."""
        self._frozen = self.mill if self._frozen is None else None
        self._frozen_at = time.monotonic()
        self.present()

    def next_theme(self) -> str:
        """Change the colours; the name of the new ones."""
        names = list(NAMES)
        after = names[(names.index(next(name for name in names if NAMES[name] is self.palette)) + 1) % len(names)]
        self.theme = NAMES[after].name
        return after

    def copy(self, text: str) -> None:
        """To the clipboard of the terminal."""
        if text:
            self.copy_to_clipboard(safe(text))
            self.say(f"copied {text}")

    def say(self, text: str, tone: str = "strong") -> None:
        """One line for the user, on the screen that is on top."""
        screen = self._top()
        if screen is not None:
            screen.say(text, tone)


def run(socket_path: str, jobs_dir: str, *, ascii: bool = False, theme: str | None = None,  # noqa: A002
        read_only: bool = False, mouse: bool = True) -> int:  # fmt: skip
    """Show the daemon behind this socket until the user leaves; the exit code."""
    os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
    if theme is not None and theme not in NAMES:
        raise RequestError(f"{theme}: no such theme; there are {', '.join(NAMES)}")
    app = MillApp(socket_path, jobs_dir, use_ascii=ascii, theme=theme, read_only=read_only)
    result = app.run(mouse=mouse)
    return (app.return_code or 0) if result is None else result
