"""Workshops: interpreters in which calls are made, one for each that is needed, its module imported and ready.

Owns their lives: an import is begun when a job waits for it, few at a time; what it says of itself becomes the reason
of its jobs; one that can't be had fails them, once, each as a whole; one that nobody needs is closed after a while. A
job is `cold`, and hands out nothing, until its workshop is there. Which worker does what is the pool's.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gristmill.supervisor.core import figures
from gristmill.supervisor.core.errors import GristError
from gristmill.supervisor.core.job import HERE, Job
from gristmill.supervisor.core.sanitise import safe
from gristmill.supervisor.core.tools import Function, Tools, functions
from gristmill.supervisor.edge import tail
from gristmill.supervisor.edge.program import Program
from gristmill.supervisor.edge.spawner import Calls, Spawner
from gristmill.supervisor.ledger import Ledger
from gristmill.supervisor.workshop import Workshop

log = logging.getLogger(__name__)

IMPORTS = 2
"""So many import at a time: each may take memory and disk for a while."""
MOST = 32
"""So many are open at a time; further ones wait until one is not needed any more."""
IMPORT_S = 1800.0
"""Longest that an import with its preload may take."""
IDLE_S = 60.0
"""One that no job needs any more is closed after so long."""
TRIES = 3
"""An import that somebody kills (SIGKILL: for lack of memory, say) is tried so often."""
AGAIN_S = 2.0
"""Seconds before such a try."""
LOG_NAME = "import.log"
WAITS = "waits for other imports to end"


class Workshops:
    """All of them."""

    def __init__(self, ledger: Ledger, tools: Callable[[Job], Tools], output: int, state: Path) -> None:
        """`output` is where workers' own words go; what an import prints, goes to the logs of a job in `state`."""
        self._ledger, self._tools, self._output, self._logs = ledger, tools, output, state / "logs"
        self._program = Program(state / "program")
        self._open: list[Workshop] = []
        self._known: dict[Tools, Workshop] = {}
        self._of: dict[int, Workshop] = {}
        self._closing = False
        self.heard: Callable[[dict[str, Any]], None] = lambda _: None
        """Hears what a spawner says of the workers that it was asked for."""
        self.lost: Callable[[Workshop], None] = lambda _: None
        """Hears of one whose spawner has ended."""

    def __iter__(self) -> Iterator[Workshop]:
        return iter(self._open)

    @property
    def any(self) -> bool:
        """Whether there are any."""
        return bool(self._open)

    def of(self, job: Job) -> Workshop | None:
        """Where a job's calls are made; None for commands, also as a [finally] step."""
        if job.spec.call is None or (job.finishing and job.spec.finish is not None and job.spec.finish.call is None):
            return None
        return self._of.get(job.id)

    # ── who needs one ─────────────────────────────────────────────────────────────────────────────────────────

    def take_on(self, job: Job) -> None:
        """Finds the workshop that a job of calls needs, or plans one."""
        last = job.spec.finish
        if job.where not in HERE and (last is None or last.call is None):  # nodes import for themselves
            job.cold = False
            return
        try:
            tools = self._tools(job)
        except GristError as error:  # what was there at acceptance is gone
            self._fail_job(job, str(error))
            return
        shop = self._known.get(tools)
        if shop is None or (shop.warm and shop.is_stale()):
            shop = self._known[tools] = Workshop(tools)
            self._open.append(shop)
        shop.jobs[job.id] = job
        self._of[job.id] = shop
        job.cold = not shop.serves(job)
        job.warmth = shop.caution if shop.warm else WAITS
        if shop.warm:
            self._ask(shop)

    def _ask(self, shop: Workshop) -> None:
        for number, function in shop.wanted().items():
            assert shop.spawner is not None
            try:
                shop.spawner.find(number, function)
            except OSError:
                return  # it has just ended, and the next one is asked for all

    def begin(self) -> None:
        """Begins imports that are waited for, the most urgent first, as many as may run at a time."""
        now = time.monotonic()
        busy = sum(1 for shop in self._open if shop.spawner is not None and not shop.warm)
        opened = sum(1 for shop in self._open if shop.spawner is not None)
        waiting = [shop for shop in self._open if shop.spawner is None and shop.jobs and shop.not_before <= now]
        if busy >= IMPORTS or not waiting:
            return
        waiting.sort(key=lambda shop: min((-job.spec.priority, job.id) for job in shop.jobs.values()))
        for shop in waiting[: min(IMPORTS - busy, MOST - opened)]:
            self._import(shop)

    def _import(self, shop: Workshop) -> None:
        first = min(shop.jobs)
        folder = self._logs / str(first)
        shop.log = folder / LOG_NAME
        shop.since = time.monotonic()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            shop.asked.clear()
            calls = Calls(shop.tools, shop.wanted(), self._program.place(), shop.log)
            spawner = Spawner(
                self._output, lambda message: self._told(shop, message), lambda how: self._gone(shop, how), calls
            )
            spawner.start()
        except OSError as error:
            if error.filename == shop.tools.python:
                self._fail(shop, f"python: {error.filename}: {error.strerror}")
            else:
                shop.not_before = time.monotonic() + AGAIN_S
                self._say(shop, f"importing {shop.module} can't begin yet: {error}")
            return
        shop.spawner = spawner
        self._say(shop, f"importing {shop.module}")

    # ── what a spawner says ───────────────────────────────────────────────────────────────────────────────────

    def _told(self, shop: Workshop, message: dict[str, Any]) -> None:
        if "warm" in message:
            self._ready(shop, message)
        elif "found" in message:
            self._found(shop, message)
        elif "unfit" in message:
            self._fail(shop, self._unfit(shop, shop.module, message))
        else:
            self.heard(message)

    def _unfit(self, shop: Workshop, module: str, message: dict[str, Any]) -> str:
        """Why something can't be called, in words."""
        if not message["trace"]:
            return f"call: {safe(message['unfit'])}"
        where = "daemon.log" if shop.warm else shop.log
        log.warning("importing %s failed:\n%s", module, "\n".join(map(safe, message["trace"].split("\n"))))
        return f"importing {module} failed: {safe(message['unfit'])} – its traceback is in {where}"

    def _found(self, shop: Workshop, message: dict[str, Any]) -> None:
        """A spawner says whether a function can be called; where it can't, the jobs that would call it have failed."""
        function = shop.asked.pop(message["found"])
        if "unfit" not in message:
            shop.known.add(function)
            shop.files = [(path, mtime_ns, size) for path, mtime_ns, size in message["files"]]
            self._open_to(shop)
            return
        reason = self._unfit(shop, function.target.partition(":")[0], message)
        if all(function in functions(job.spec) for job in shop.jobs.values()):
            self._fail(shop, reason)  # nobody else needs it
            return
        self._fail_users(shop, function, reason)

    def _open_to(self, shop: Workshop) -> None:
        """Has those of its jobs begin that can."""
        for job in shop.jobs.values():
            job.cold = not shop.serves(job)
        self._ledger.work.set()

    def _fail_job(self, job: Job, reason: str) -> None:
        if self._ledger.jobs.get(job.id) is job and job.alive:
            self._ledger.fail(job, reason)

    def _ready(self, shop: Workshop, message: dict[str, Any]) -> None:
        shop.warm, shop.tries = True, 0
        shop.files = [(path, mtime_ns, size) for path, mtime_ns, size in message["files"]]
        if threads := message["threads"]:
            names = ", ".join(map(safe, threads[:6]))
            shop.caution = (
                f"threads that the import left running ({names}) are not there in calls, and locks that they hold stay "
                "locked: start none before the first call"
            )
            log.warning("%s: %s", shop.module, shop.caution)
        seconds = time.monotonic() - shop.since
        log.info("%s was imported in %.1f s by %s", shop.module, seconds, safe(shop.tools.python))
        self._say(shop, shop.caution)
        shop.since = time.monotonic()
        self._ask(shop)
        self._open_to(shop)

    def _gone(self, shop: Workshop, how: str) -> None:
        """A spawner has ended: its workers go on, and another is started if it was not its own doing."""
        if self._closing or shop not in self._open:
            return
        shop.spawner = None
        if shop.warm:
            log.warning("the spawner of %s ended (%s); another is started when it is needed", shop.module, how)
        if how != "signal 9" and shop.asked and (shop.warm or shop.known):
            function = next(iter(shop.asked.values()))  # it was looking for that one, and would end over it again
            self._fail_users(shop, function, self._last_words(shop, function.target.partition(":")[0], how))
        elif not shop.warm and (how != "signal 9" or shop.tries + 1 >= TRIES):
            self._fail(shop, self._last_words(shop, shop.module, how))
            return
        shop.warm, shop.tries = False, shop.tries + 1
        shop.known.clear()
        shop.not_before = time.monotonic() + AGAIN_S * (shop.tries - 1)
        for job in shop.jobs.values():
            job.cold = True
        self._say(shop, f"importing {shop.module} once more: its interpreter was ended ({how})")
        self.lost(shop)
        self._ledger.work.set()

    def _fail_users(self, shop: Workshop, function: Function, reason: str) -> None:
        """The jobs that would call it have failed; the others go on."""
        for job in [job for job in shop.jobs.values() if function in functions(job.spec)]:
            del shop.jobs[job.id], self._of[job.id]
            self._fail_job(job, reason)

    @staticmethod
    def _last_words(shop: Workshop, module: str, how: str) -> str:
        """Why an interpreter ended while it imported a module."""
        if shop.warm:
            return f"importing {module} ended its interpreter ({how}) – what it printed is in daemon.log"
        last = tail.read(shop.log).decode("utf-8", "replace").strip().rpartition("\n")[2]
        if "future feature annotations" in last:  # one so old stumbles over the first line of ours
            last = "it is too old: calls need Python 3.8 or newer"
        words = f"importing {module} ended its interpreter ({how})" + (f": {safe(last[:200])}" if last else "")
        return f"{words} – what it printed is in {shop.log}"

    def _fail(self, shop: Workshop, reason: str) -> None:
        """Nothing can be called there: its jobs have failed, each as a whole."""
        log.warning("%s", reason)
        jobs = list(shop.jobs.values())
        self._close(shop)
        self.lost(shop)
        for job in jobs:
            self._fail_job(job, reason)
        self._ledger.work.set()

    def _say(self, shop: Workshop, words: str) -> None:
        for job in shop.jobs.values():
            job.warmth = words
            self._ledger.changed.add(job.id)

    # ── once a second ─────────────────────────────────────────────────────────────────────────────────────────

    def tick(self) -> None:
        """Says how imports go, ends one that takes too long, closes what is not needed."""
        now = time.monotonic()
        for shop in list(self._open):
            for number in [number for number in shop.jobs if number not in self._ledger.jobs]:
                del shop.jobs[number], self._of[number]
                shop.since = now
            age = now - shop.since
            if not shop.jobs and (not shop.warm or age > IDLE_S):
                self._close(shop)
            elif shop.spawner is not None and not shop.warm:
                if age > IMPORT_S:
                    self._fail(shop, f"importing {shop.module} took longer than {figures.about(IMPORT_S)} and was ended"
                                     f" – what it printed is in {shop.log}")
                else:
                    self._say(shop, f"importing {shop.module}: {age:.0f} s")

    def close(self) -> None:
        """Lets all spawners go; their workers stay until they have finished."""
        self._closing = True
        for shop in list(self._open):
            self._close(shop)

    def _close(self, shop: Workshop) -> None:
        self._open.remove(shop)
        if self._known.get(shop.tools) is shop:
            del self._known[shop.tools]
        for number in shop.jobs:
            self._of.pop(number, None)
        if shop.spawner is not None:
            shop.spawner.end()
            shop.spawner = None
