"""What a user orders: each command is asked of the daemon by the ids that it was given for, after a question where it
can't be undone, and what the daemon says to it is shown.

Owns the questions and the cap that was asked for and is not seen yet. Refuses everything where the screens are
read-only. Which ids they are, the screens say.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from gristmill.supervisor.core.errors import GristError
from gristmill.supervisor.core.figures import several
from gristmill.supervisor.core.tomltext import one_command
from gristmill.tui.errands import send
from gristmill.tui.facts import call_ids, jobs_of
from gristmill.tui.present import next_limit
from gristmill.tui.screens.question import Question

if TYPE_CHECKING:
    from gristmill.tui.app import MillApp


class Orders:
    """Sends orders, for one app."""

    def __init__(self, app: MillApp) -> None:
        self._app = app
        self._wanted_limit: int | None = None

    # Jobs and tasks

    def cancel(self, ids: list[str], marked: set[str], *, kill: bool = False) -> None:
        """Ask whether to cancel these, or to kill them; then do it."""
        word = "kill" if kill else "cancel"
        if self._refused() or self._nothing(ids, word):
            return

        def decided(yes: bool | None) -> None:
            if yes:
                marked.clear()
                self._command("cancel", ids=ids, **({"kill": True} if kill else {}))

        note = ("what runs gets a second to say good-bye",) if kill else ()
        self._ask(Question(f"{word.capitalize()} {call_ids(ids)}?", tuple(ids), note), decided)

    def retry(self, ids: list[str], marked: set[str]) -> None:
        """Run failed ones again."""
        if self._refused() or self._nothing(ids, "retry"):
            return
        marked.clear()
        self._command("retry", ids=ids, failed=all("/" not in one for one in ids))

    def hold(self, ids: list[str], marked: set[str]) -> None:
        """Hold the jobs of these; release them where all of them are held."""
        jobs = jobs_of(ids)
        if self._refused() or self._nothing(jobs, "hold"):
            return
        known = self._app.mill.jobs if self._app.mill is not None else {}
        free = [one for one in jobs if int(one) not in known or known[int(one)].state != "held"]
        marked.clear()
        self._command("hold", ids=free) if free else self._command("release", ids=jobs)

    def prefer(self, ids: list[str], by: int) -> None:
        """Raise or lower the priority of the jobs of these; marks stay, for the next step."""
        jobs = jobs_of(ids)
        if not self._refused() and not self._nothing(jobs, "prefer"):
            self._command("priority", ids=jobs, by=by)

    def add(self, command: str) -> None:
        """Hand in a shell command as a job of its own, run in the folder that holds the jobs folder."""
        if not self._refused():
            name, text = one_command(command)
            self._command("add", file=f"{name}.toml", text=text)

    # The mill

    def step_limit(self, step: int) -> None:
        """Cap the workers one lower or higher than what is, or is asked for already."""
        mill = self._app.mill
        if not self._refused() and mill is not None:
            self.set_limit(next_limit(mill.limit, mill.machine.cores, self._wanted_limit, step))

    def set_limit(self, workers: int | None) -> None:
        """Cap the workers; None: automatic."""
        if self._refused():
            return
        self._wanted_limit = workers
        self._command("limit", workers=workers)

    def pause(self) -> None:
        """Start nothing new, or start again."""
        if not self._refused():
            mill = self._app.mill
            paused = mill is not None and any(one.kind == "pause" for one in mill.daemon.conditions)
            self._command("start" if paused else "pause")

    def drain(self) -> None:
        """Ask, then have the daemon stop when all that runs has ended."""
        if self._refused():
            return
        mill = self._app.mill
        busy = mill.limit.busy if mill is not None else 0
        notes = (f"nothing new is started; {several(busy, 'worker finishes', 'workers finish')} what is in hand",
                 "queued tasks wait for the next grist up")

        def decided(yes: bool | None) -> None:
            if yes:
                self._command("shutdown", drain=True)

        self._ask(Question("Drain, then stop the daemon?", (), notes), decided)

    # How

    def _ask(self, question: Question, decided: Any) -> None:
        self._app.push_screen(question, decided)
        self._app.call_after_refresh(self._app.present)

    def _nothing(self, ids: Sequence[str], word: str) -> bool:
        if not ids:
            self._app.say(f"nothing to {word} here", "warn")
        return not ids

    def _refused(self) -> bool:
        if self._app.read_only:
            self._app.say("read-only: nothing is changed from here", "warn")
        return self._app.read_only

    def _command(self, op: str, **fields: Any) -> None:
        send(self._app, partial(self._carry_out, op, fields), "command", op)

    async def _carry_out(self, op: str, fields: dict[str, Any]) -> None:
        try:
            data = await self._app.ask(op, **fields)
        except GristError as error:
            self._app.say(str(error), "fail")
        else:
            self._app.say(f"added job {data['id']} ({data['name']})" if op == "add" else str(data["message"]))
        if op == "limit" and fields["workers"] == self._wanted_limit:
            self._wanted_limit = None
