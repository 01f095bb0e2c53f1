"""The log of one task, live: its output, its standard error, or both mixed as they come."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType

from gristmill.supervisor.core import figures
from gristmill.supervisor.core.errors import GristError
from gristmill.tui.commands import bindings
from gristmill.tui.errands import is_out, send
from gristmill.tui.marks import Marks
from gristmill.tui.mixer import Mixer
from gristmill.tui.present import Mill
from gristmill.tui.screens.base import MillScreen
from gristmill.tui.sieve import Sieve, next_error
from gristmill.tui.widgets.logtitle import LogTitle
from gristmill.tui.widgets.logview import LogView

STREAMS = ("out", "err", "both")
PUMP_S = 0.3
"""Seconds between two looks at logs that are mixed."""


@dataclass(frozen=True, slots=True)
class Source:
    """One of several logs: its task, and what stands before its lines."""

    task: str
    name: str


class LogScreen(MillScreen):
    """A log and its title."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("log")
    ROOMS = ("log",)
    CSS_PATH: ClassVar[list[str]] = ["base.tcss", "log.tcss"]  # type: ignore[assignment]

    def __init__(self, task: str, name: str) -> None:
        super().__init__()
        self.task_id = task
        self.task_name = name
        self.state = ""
        self.live = False
        self.attempt = self.attempts = 0
        self.chosen: int | None = None
        """The attempt that is shown, None for the last."""
        self.stream = "out"
        self.asked = "search"
        """What the line to type in is for."""
        self.mixer: Mixer | None = None
        self.sources: tuple[Source, ...] = ()

    def compose_body(self) -> ComposeResult:
        """Title and log."""
        yield LogTitle(id="title")
        yield LogView(id="view")

    def on_mount(self) -> None:
        """The log has the keys."""
        super().on_mount()
        self.home().focus()
        self.set_interval(PUMP_S, self._pump)
        self._title()

    def on_unmount(self) -> None:
        """What was mixed goes with the screen."""
        self._mix(())

    def home(self) -> LogView:
        """The log."""
        return self.query_one(LogView)

    def show(self, mill: Mill) -> None:
        """Ask again where the log is, as long as that may change."""
        if not self.state or self.live or self.home().log_file is None:
            self._ask()

    def _ask(self, *, anew: bool = False) -> None:
        """Ask where the log is; `anew`: another is wanted than was asked for, whose answer may be on its way still."""
        if anew or not is_out(self, "log"):
            send(self, self._look_up, "log", f"log of {self.task_id}", only=True)

    async def _look_up(self) -> None:
        try:
            which: dict[str, Any] = {"task": self.task_id} | ({"attempt": self.chosen} if self.chosen else {})
            data = await self.ask("log", **which, **({"err": True} if self.stream == "err" else {}))
            other = await self.ask("log", **which, err=True) if self.stream == "both" else {}
        except GristError as error:
            self.home().open(self.home().path, str(error))
            return
        self.live, self.state, self.attempt = bool(data["live"]), str(data["state"]), int(data.get("attempt") or 0)
        self.attempts = int(data.get("attempts") or self.attempt)
        if self.stream == "both":
            self._point(data["path"], other["path"])
        else:
            note = "nothing written yet" if self.live else f"nothing was written; the task is {self.state}"
            if self.stream == "err":
                note = "standard error has no file of its own, or nothing was written to it (o)"
            self.home().open(data["path"], note)
        self._title()

    # Several logs in one

    def _mix(self, sources: tuple[Source, ...]) -> None:
        if self.mixer is not None:
            self.mixer.close()
        self.sources = sources
        self.mixer = Mixer([source.name for source in sources]) if sources else None

    def _point(self, *paths: str | None) -> None:
        if self.mixer is not None:
            for number, path in enumerate(paths):
                self.mixer.point(number, path)
            self._pump()

    def _pump(self) -> None:
        mixer = self.mixer
        if mixer is not None and mixer.pump():
            self.home().open(mixer.path, "nothing written yet")

    # The title

    @on(LogView.Changed)
    def _changed(self, event: LogView.Changed) -> None:
        event.stop()
        self._title()

    def _title(self) -> None:
        view, marks = self.home(), self.mill_app.marks
        stream = "" if self.stream == "out" else f" {'out+err' if self.stream == 'both' else 'err'}"
        left: list[tuple[str, str]] = [(f"Log  {self.task_name}{stream}", "title")]
        if self.state:
            left += [("  ", "text"), *marks.state(self.state)]
        if self.attempts > 1:
            of = f" of {self.attempts} (a)" if self.attempt != self.attempts else ""
            left.append((f"  attempt {self.attempt}{of}", "warn"))
        if view.end:
            partly = "" if view.counted_to >= view.end else "+"
            left.append((f"  {figures.count(view.lines)}{partly} lines  {figures.size(view.end)}", "muted"))
        self.query_one(LogTitle).show(tuple(left), tuple(self._right(view, marks)))

    def _right(self, view: LogView, marks: Marks) -> list[tuple[str, str]]:
        right: list[tuple[str, str]] = []
        if view.sieve is not None:
            more = "+" if view.sieve.read_to < view.end else ""
            passed = f"{view.sieve.shown} {figures.count(view.sieve.passed)}{more}  "
            right.append((passed, "accent" if view.sieve.passed else "warn"))
        if view.matches is not None:
            total = len(view.matches.starts)
            at = f"{view.match + 1}/" if view.match is not None else ""
            ends = "+" if view.matches.full or (view.matches.read_to < view.end and view.matches.starts) else ""
            right.append((f"/{view.matches.text} {at}{figures.count(total)}{ends}  ", "accent" if total else "warn"))
        if view.wrap:
            right.append(("wrap  ", "muted"))
        elif view.pan:
            right.append((f"+{view.pan} cells  ", "muted"))
        if view.following:
            right.append((f"{marks.live} follow", "ok") if self.live else ("end", "muted"))
        else:
            new = f" +{figures.count(view.new_lines)} new (f)" if view.new_lines else " (f)"
            right.append((f"PAUSED{new}  {view.place / max(1, view.end):.0%}", "warn"))
        return right

    # Commands

    def action_follow(self) -> None:
        """To the end, and stay there."""
        self.home().follow()

    def action_wrap(self) -> None:
        """Wrap, or pan."""
        self.home().toggle_wrap()

    def action_search(self) -> None:
        """Type what to look for."""
        matches = self.home().matches
        self.asked = "search"
        self.open_prompt("search; lower case finds both", matches.text if matches else "")

    def action_sift(self) -> None:
        """Type what shown lines must have."""
        sieve = self.home().sieve
        self.asked = "sift"
        self.open_prompt("show only lines with this text; !text: those without it", sieve.text if sieve else "")

    def action_save(self) -> None:
        """Type where to."""
        self.asked = "save"
        name = "".join(char if char.isalnum() or char in "-_." else "-" for char in self.task_name)
        self.open_prompt("save the lines that are shown to this file", f"{name}.log")

    def entered(self, text: str) -> None:
        """Do what it was typed for."""
        match self.asked:
            case "search":
                self.home().search(text)
            case "sift":
                self.home().sift(text)
                self._title()
            case _ if text.strip():
                send(self, partial(self._save, text.strip()), "save", f"save {text}")

    async def _save(self, path: str) -> None:
        view = self.home()
        if view.log_file is None:
            self.say("nothing written yet", "warn")
            return
        try:
            size = await asyncio.to_thread(save, view.log_file.path, path, view.sieve.text if view.sieve else "")
        except OSError as error:
            self.say(f"not saved: {error.strerror or error}: {path}", "fail")
        else:
            self.say(f"saved {figures.size(size)} as {path}")

    def action_next_match(self) -> None:
        """Further down."""
        self.home().step_match(forward=True)

    def action_last_match(self) -> None:
        """Further up."""
        self.home().step_match(forward=False)

    def action_next_error(self) -> None:
        """To the next line that tells of an error."""
        send(self, self._seek_error, "error", "look for an error", only=True)

    async def _seek_error(self) -> None:
        view = self.home()
        log = view.log_file
        if log is None or not view.end:
            return
        start = view.place if view.lit is None else log.line_end(view.lit, view.end)
        found = await asyncio.to_thread(next_error, log, start, view.end)
        if found is None:
            self.say("no line here tells of an error", "warn")
        elif log is view.log_file:
            view.go_to_line(log.line_at(found))

    def action_set_mark(self) -> None:
        """A line across."""
        self.home().set_mark()

    def action_times(self) -> None:
        """When lines came."""
        self.home().toggle_times()
        self.say("times of lines that come from now on" if self.home().times else "no times")

    def action_stream(self) -> None:
        """Output, standard error, both."""
        self.stream = STREAMS[(STREAMS.index(self.stream) + 1) % len(STREAMS)]
        self._mix((Source(self.task_id, "out"), Source(self.task_id, "err")) if self.stream == "both" else ())
        self._ask(anew=True)
        self._title()

    def action_earlier(self) -> None:
        """The attempt before; before the first comes the last."""
        if self.attempts < 2:
            self.say("there was one attempt only", "warn")
            return
        before = (self.chosen or self.attempts) - 1
        self.chosen = before if before else None
        self._ask(anew=True)

    def action_copy(self) -> None:
        """The path of the log."""
        self.mill_app.copy(self.home().path or "")

    def action_back(self) -> None:
        """End the search, the filter, then one screen out."""
        view = self.home()
        if view.matches is not None:
            view.search("")
        elif view.sieve is not None:
            view.sift("")
        else:
            super().action_back()


def save(source: str, path: str, wanted: str) -> int:
    """Copy the lines of a log that pass into a new file; how many bytes. Raises OSError where there is one already."""
    sieve = Sieve(wanted) if wanted else None
    total = 0
    with open(source, "rb") as log, open(os.path.expanduser(path), "xb") as out:
        for line in log:
            if sieve is None or sieve.admits(line):
                total += out.write(line)
    return total
