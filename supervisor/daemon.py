"""The composition root: builds every part, starts them in one TaskGroup, and takes them down in order.

Nothing is decided here but the order of things. Start: lock, store, ledger, recovery of what runs, intake, socket,
`ready`. Stop: hang up on clients, hang up on workers (their tasks go on), close the store.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import random
import resource
import signal
import sys
import threading
import time
import zlib
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gristmill import __version__
from gristmill.supervisor import beat, briefing, logbook, studies, tuner
from gristmill.supervisor.api import Api
from gristmill.supervisor.beyond import Beyond
from gristmill.supervisor.chronicle import Chronicle
from gristmill.supervisor.core import figures, settings
from gristmill.supervisor.core.conditions import Conditions, Kind
from gristmill.supervisor.core.errors import FolderError, GristError, NoRoomError
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.protocol import ConditionView, DaemonView
from gristmill.supervisor.core.task import Task
from gristmill.supervisor.crier import Crier
from gristmill.supervisor.deck import Deck
from gristmill.supervisor.directions import Directions
from gristmill.supervisor.dispatch import Dispatcher
from gristmill.supervisor.edge import board, places, store
from gristmill.supervisor.edge import settings as files
from gristmill.supervisor.edge.board import Board
from gristmill.supervisor.edge.folder import JobsFolder
from gristmill.supervisor.edge.locks import Lock
from gristmill.supervisor.edge.recorder import Recorder
from gristmill.supervisor.edge.runs import Runs
from gristmill.supervisor.edge.sampler import Sample, Sampler
from gristmill.supervisor.edge.server import Server
from gristmill.supervisor.edge.store import Store
from gristmill.supervisor.edge.subtree import Subtree
from gristmill.supervisor.edge.vitals import Vitals
from gristmill.supervisor.executors.ray import Ray
from gristmill.supervisor.executors.slurm import Slurm
from gristmill.supervisor.feed import Feed
from gristmill.supervisor.forecasts import Forecasts
from gristmill.supervisor.fuses import Fuses
from gristmill.supervisor.gates import Gates
from gristmill.supervisor.gathering import Gatherer
from gristmill.supervisor.hiring import Hiring
from gristmill.supervisor.hopper import Hopper
from gristmill.supervisor.housekeeping import Housekeeper
from gristmill.supervisor.intake import Intake
from gristmill.supervisor.ledger import Ledger
from gristmill.supervisor.notifier import Notifier
from gristmill.supervisor.observation import House, Observer
from gristmill.supervisor.pool import Pool
from gristmill.supervisor.rebirth import Rebirth
from gristmill.supervisor.tuner import Tuner
from gristmill.supervisor.workshops import Workshops

log = logging.getLogger(__name__)

LOOK_S, AGAIN_S = 4.0, 1.0
"""Seconds between two looks at the settings files, and until the look that makes sure of a change."""
LOOK_OFF_S = 0.5
"""Seconds after the beat at which that is done."""
LEARNED_S = 60.0
"""Seconds between two times that what was learned about tasks is written down, unless a kind has become known."""
FILES_MOST = 1 << 16
COLLECTED = 20_000
"""Objects made and not yet gone after which the garbage collector looks for cycles among them."""
TOLD_S = 86_400.0
"""Seconds for which it is told that a daemon began again."""
START_AGAIN_S = 2.0
STUMBLE_S = 1.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What a daemon is told at its start. `disk_reserve` in bytes: with less free than this nothing is started;
    `limit` wins over what settings files say, then and later; `record` is a file for the governor's readings and
    decisions."""

    jobs: Path
    state: Path
    foreground: bool = True
    disk_reserve: int | None = None
    limit: int | Literal["auto"] | None = None
    record: Path | None = None


class Daemon:
    """One daemon on one jobs folder."""

    def __init__(self, settings: Settings, rebirth: Rebirth | None = None) -> None:
        """With a `rebirth` it begins again should it fail by a fault of its own while it serves."""
        self.settings, self._rebirth = settings, rebirth
        self._serving = False
        self._started = time.monotonic()
        self._stop: asyncio.Queue[str] = asyncio.Queue()
        self._learned, self._known, self._learned_at = "", 0, self._started
        self._environ = {**os.environ, "GRIST_PYTHON": sys.executable}
        self._briefs = briefing.Briefs(self._environ, settings.state)
        self.chronicle = Chronicle(time.time, resident)
        self.conditions = Conditions(time.monotonic, time.time, self._condition)

    def prepare(self) -> None:
        """Checks and locks the folders; raises FolderError with the mend."""
        self.folder = JobsFolder(self.settings.jobs)
        self.folder.check()
        self.folder.prepare()
        places.prepare_state(self.settings.state)
        self._locks = [Lock(self.settings.jobs / ".gristmill" / "lock"), Lock(self.settings.state / "lock")]
        options = {} if self.settings.limit is None else {"limit": self.settings.limit}
        self._files = files.SettingsFiles(files.paths(self.settings.jobs, self._environ), options)
        self._files.read()
        self._open = contextlib.ExitStack()
        record = self.settings.record
        self._recorder = self._open.enter_context(Recorder(record)) if record is not None else None
        logbook.open_book(self.settings.state, self.settings.foreground)
        self.notifier = Notifier(lambda: self._files.settings, self.conditions, self.settings.jobs, time.time)
        self.chronicle.listeners.append(self.notifier.hear)

    async def run(self, ready: Callable[[], Awaitable[None]] | None = None) -> None:
        """Serves until it is told to stop. `ready` runs once files are accepted."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
            loop.add_signal_handler(number, self._stop.put_nowait, "now")
        loop.add_signal_handler(signal.SIGHUP, log.info, "hangup ignored: tasks and daemon go on")
        try:
            while self._stop.empty():
                try:
                    with Store(self.settings.state / "queue.db") as record:
                        await self._serve(record, ready)
                        return
                except NoRoomError as error:  # it comes by itself once there is room
                    log.warning("not started yet, tried again every %.0f s: %s", START_AGAIN_S, error)
                    await asyncio.sleep(START_AGAIN_S)
        except GristError:
            raise
        except Exception as error:
            if self._rebirth is not None and self._serving and self._rebirth.allows():
                log.exception("the daemon failed by a fault of its own and begins again; its tasks go on")
                self._begin_again(self._rebirth, error)
            log.exception("the daemon ends by a fault of its own; its tasks go on")  # nobody may see its stderr
            self.notifier.farewell(error)
            raise

    def _begin_again(self, rebirth: Rebirth, error: Exception) -> None:
        """Comes back only if that can't be done. The event loop is not left first: a thread of its may hang."""
        try:
            self._hired.close()  # spawners, for whose end nobody would wait
            rebirth.begin_again(error)
        except OSError:
            log.exception("it can't begin again")

    async def _serve(self, record: Store, ready: Callable[[], Awaitable[None]] | None) -> None:
        if record.migrated:
            log.warning("%s", record.migrated)
        self._check_owner(record)
        boot = places.boot_id()
        rebooted = record.queries.meta("boot") not in (None, boot)
        self.ledger = Ledger(record, time.time, random.random, self.chronicle)
        self.runs = Runs(self.settings.state)
        output = logbook.descriptor(self.settings.state)
        shops = Workshops(
            self.ledger, lambda job: briefing.tools_of(job, self._environ), output, self.settings.state
        )
        self._hired = hiring = self._hiring(shops, output)
        self.pool = Pool(self.ledger, self.runs, self._context, self._briefs.order, hiring, self.conditions)
        take_all_files()
        self.intake = Intake(
            self.folder, record, self.ledger, self.settings.state / "scripts", self._environ, time.time,
            self.conditions,
        )
        self.feed = Feed(self.ledger, self.pool, self.view, self.log_path, self.chronicle.limit)
        self.dispatcher = Dispatcher(self.ledger, self.pool, time.time, self.conditions)
        sampler = self._open.enter_context(contextlib.closing(Sampler(self.settings.state)))
        observer = Observer(self.ledger, self.pool, self.log_path, random.random)
        self.tuner = Tuner(
            self.ledger, self.pool, self.dispatcher, self.feed, sampler, observer,
            self.conditions,
        )
        self._lay_out_cards()
        self.tuner.state, self.tuner.fixed = tuner.remember(record.queries.meta("governor")), self._first_limit(record)
        self.tuner.house, self.tuner.examine = self._house, lambda sample: self._examine(record, server, sample)
        if self._recorder is not None:
            self.tuner.record = self._recorder.keep
        api = Api(
            self.ledger, self.pool, self.feed, self.tuner, self.intake, record, self._stop.put_nowait
        )
        hopper = self._look_beyond(record)
        api.include({**hopper.operations, **self._operations(record)})
        self.gatherer = Gatherer(self.ledger, record, self.settings.state, self.conditions)
        server = Server(places.socket_path(self.settings.state, os.environ), api.handle, self.feed.unsubscribe)
        async with asyncio.TaskGroup() as group:
            await self.pool.start(group, self.beyond.resume(self.ledger.load()), rebooted)
            record.write(store.save_meta("boot", boot), store.save_meta("jobs", str(self.settings.jobs)))
            await server.start()
            self.intake.open()
            runs: dict[str, Callable[[], Awaitable[None]]] = {
                "intake": self.intake.run,
                "filing": self.intake.file_away,
                "gathering": self.gatherer.run,
                "gates": Gates(self.ledger, record, time.time, files.local, self.pool.orders.end).run,
                "forecasts": self.forecasts.run,
                "fuses": Fuses(self.ledger, record).run,
                "deck": self.deck.run,
                "dispatch": self.dispatcher.run,
                "loft": self.ledger.descend,
                "hopper": hopper.run,
                "housekeeping": self.keeper.run,
                "notifier": self.notifier.run,
                "crier": self.crier.run,
                "tuner": self.tuner.run,
                "beyond": self.beyond.run,
                **{name: outpost.run for name, outpost in self.beyond.outposts.items()},
                "settings": lambda: self._look_after_settings(record),
            }
            loops = [group.create_task(self._keep(name, run), name=name) for name, run in runs.items()]
            log.info("Gristmill %s on %s, state in %s", __version__, self.settings.jobs, self.settings.state)
            await self._live(ready)
            for loop in loops:
                loop.cancel()
            self.tuner.step()  # what ended in the last second is learned as well
            hopper.close()
            await server.stop()
            await asyncio.gather(self.pool.stop(), self.beyond.close())
            self.intake.close()
            self._save_learned(record)
            await asyncio.wait([self.ledger.flush()], timeout=5)
        self._open.close()
        for lock in self._locks:
            lock.release()
        log.info("stopped")

    async def _live(self, ready: Callable[[], Awaitable[None]] | None) -> None:
        if self._rebirth is not None and (fault := self._rebirth.last) is not None:
            words = f"fault: the daemon failed ({fault.words}) and began again – please report this"
            self.conditions.set(Kind.FAULT, words, holds=False, for_s=TOLD_S)
        if ready is not None:
            await ready()
        self._serving = True
        spare_collector()
        self.chronicle.daemon("started", os.getpid(), __version__)
        await self._until_told()
        self.chronicle.daemon("stopping", os.getpid(), __version__)
        self.crier.close()

    async def _until_told(self) -> None:
        how = await self._stop.get()
        self._serving = False
        while how in ("drain", "kill"):
            words = "draining: nothing new is started, the daemon stops when all tasks have ended"
            self.conditions.set(Kind.DRAIN, words)
            self.pool.withdraw()
            if how == "kill":
                for task in await self.ledger.cancel_live():
                    self.pool.orders.end(task)
            if not any(job.live for job in self.ledger.live.values()):
                return
            asyncio.get_running_loop().call_later(0.2, self._stop.put_nowait, how)  # look again, or hear another word
            how = await self._stop.get()

    async def _keep(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Runs a loop that must not end: an OSError is shown as a state, and the loop begins again."""
        while True:
            try:
                await run()
            except OSError as error:
                words = f"{name}: stumbled and begins again: {error}"
                if self.conditions.set(f"{Kind.LOOP} {name}", words, holds=False, for_s=3 * STUMBLE_S):
                    log.exception("%s stumbled", name)
                await asyncio.sleep(STUMBLE_S)

    # ── what is done now and then ─────────────────────────────────────────────────────────────────────────────

    async def _look_after_settings(self, record: Store) -> None:
        """Looks whether the settings files have changed; in a thread of its own, for they may lie on a slow disk."""
        loop, thread, leaving = asyncio.get_running_loop(), ThreadPoolExecutor(1, "settings"), threading.Event()
        limit, found, fault = self._files.settings.limit, self._files.settings, ""
        try:
            while True:
                found, fault = await loop.run_in_executor(thread, self._await_settings, (found, fault), leaving)
                self.conditions.put(Kind.SETTINGS, fault, holds=False)
                if found.limit != limit:
                    limit = found.limit
                    record.write(store.save_meta("limit", ""), store.save_meta("limit in files", str(limit)))
                    self.tuner.fixed = _fixed(limit)
                    self.tuner.step()
        finally:
            leaving.set()

    def _await_settings(
        self, before: tuple[settings.Settings, str], leaving: threading.Event
    ) -> tuple[settings.Settings, str]:
        """What is in force, and what is wrong with a change, once either is not as it was."""
        while True:
            period = AGAIN_S if self._files.pending else LOOK_S
            leaving.wait(beat.until(period, time.monotonic(), LOOK_OFF_S))
            found = self._files.look()
            if found != before or leaving.is_set():
                return found

    def _write_learned(self, record: Store) -> None:
        """Once a second: now and then, and when a kind has become known."""
        known, now = sum(kind.known for kind in self.tuner.state.kinds.values()), time.monotonic()
        if known != self._known or now >= self._learned_at + LEARNED_S:
            self._known, self._learned_at = known, now
            self._save_learned(record)

    def _save_learned(self, record: Store) -> None:
        """Writes down what was learned about tasks, where that has changed."""
        learned = tuner.keep(self.tuner.state)
        if learned != self._learned:
            self._learned = learned
            record.write(store.save_meta("governor", learned))

    def _house(self, sample: Sample) -> House:
        """What is set for now: the part of the machine that is ours, why, and the memory that is left free."""
        now, found = files.local(), self._files.settings
        return House(
            share=settings.share(found, now), polite=settings.words(found, now),
            reserve=float(found.memory_reserve.of(sample.memory_total)), niced=found.nice > 0,
            counters=found.counters,
        )

    def _hiring(self, shops: Workshops, output: int) -> Hiring:
        """Where workers come from: each with a control group of its own, where we were given some."""
        hiring = Hiring(self.runs, self.conditions, output, shops, self.ledger.work.set)
        tree = Subtree(f"{zlib.crc32(os.fsencode(self.settings.state)):08x}")
        tree.open(self.runs.existing())
        self.runs.cleared, hiring.leaf = tree.remove, tree.leaf
        log.info("control groups: %s", tree.reason or "each worker has one, which holds tasks to what they claim")
        return hiring

    def _lay_out_cards(self) -> None:
        """Has cards watched, and given to tasks."""
        def ours() -> list[int]:
            return [os.getpid(), *(worker.pid for worker, _ in self.pool.legacy.workers.values())]

        self.deck = Deck(self.ledger, self.conditions, lambda: self._files.settings, ours, time.monotonic)
        self.tuner.deal = lambda: self.deck.cards(self.ledger.live.values())

    def _look_beyond(self, record: Store) -> Hopper:
        """Has engines elsewhere run tasks, and programs send items."""
        tag = record.queries.meta("tag") or f"{random.SystemRandom().getrandbits(32):08x}"
        record.write(store.save_meta("tag", tag))
        self.beyond = Beyond(
            [engine(self._environ, lambda: self._files.settings) for engine in (Slurm, Ray)],
            self.ledger, self.conditions,
            lambda: self._files.settings, self._environ, self.settings.jobs / ".gristmill" / "beyond", tag,
        )
        self.intake.reader.usual_place = lambda: self._files.settings.where
        self.beyond.workers, self.beyond.usual_s = lambda: self.dispatcher.limit, self.tuner.usual_s
        self.pool.orders.end_elsewhere = self.beyond.end
        self.feed.engines = self.beyond.views
        return Hopper(self.ledger, record, self.settings.state)

    # ── what the parts ask ────────────────────────────────────────────────────────────────────────────────────

    def view(self) -> DaemonView:
        """The daemon itself, and what holds it up."""
        views = self.conditions.views()
        return DaemonView(
            pid=os.getpid(), version=__version__, uptime_s=round(time.monotonic() - self._started, 3),
            state="held" if any(view.holds for view in views) else "ok", reason=views[0].reason if views else "",
            jobs_dir=str(self.settings.jobs), state_dir=str(self.settings.state), conditions=views,
        )

    def _condition(self, condition: ConditionView, began: bool) -> None:
        logbook.say(condition, began)
        self.chronicle.condition(condition, began)

    def log_path(self, task: Task, kind: str = "log") -> Path:
        """Where the log of an attempt is, or (`err`) its standard error where that has a file of its own."""
        return self.beyond.log(task, kind) if task.place else self.runs.log(task.key, task.run, kind)

    def _operations(self, record: Store) -> dict[str, Any]:
        """What is asked for now and then: a user's directions, and what is looked into in depth."""
        read = Vitals({"state": self.settings.state, "jobs": self.settings.jobs, "/tmp": Path("/tmp"), "/": Path("/")})
        reads = studies.Studies(self.ledger, record, self.tuner.lives,
                                lambda: studies.vitals(read, self.feed.machine, self.tuner.reading,
                                                       self.deck.lines()))  # fmt: skip
        self.keeper = Housekeeper(self.ledger, record, self.settings.state, self.beyond.chunks.base,
                                  lambda: self._files.settings, time.time)  # fmt: skip
        self.forecasts = Forecasts(self.ledger, record, lambda: self.dispatcher.limit, self.tuner.usual_s, time.time)
        self.crier = Crier(self.ledger, self.feed, Board(board.base(self._environ)), self.settings.state,
                           lambda: self._files.settings, self.conditions)  # fmt: skip
        directions = Directions(self.ledger, record, self.conditions)
        return {
            **self.chronicle.operations, **self.forecasts.operations, **self.keeper.operations, **directions.operations,
            **reads.operations,
        }

    def _context(self, job: Job, task: Task) -> dict[str, Any]:
        """What all tasks of a job share, sent once to each worker that runs one; its [finally] step has its own."""
        return self._briefs.of(job, task, self._files.settings, time.monotonic())

    def _examine(self, record: Store, server: Server, sample: Sample) -> None:
        """Once a second: what holds as long as it is so, found by looking. In one go, for each waking has its cost."""
        server.look()
        self._write_learned(record)
        fault = record.fault
        self.conditions.put(Kind.DATABASE, fault and f"the database can't be written: {fault}")
        self.conditions.put(Kind.SOCKET, server.fault and f"socket: {server.fault}", holds=False)
        reserve = self.settings.disk_reserve
        if reserve is None:
            reserve = self._files.settings.disk_kept(sample.disk_total)
        short = sample.disk_free < reserve
        self.conditions.put(Kind.DISK, f"disk: {figures.size(sample.disk_free)} are free in {self.settings.state}, "
                            f"{figures.size(reserve)} are kept in reserve – free some space, or say grist clean"
                            if short else "")
        self.conditions.put(Kind.RECORD, self._recorder.fault if self._recorder else "", holds=False)
        self.conditions.expire()

    def _first_limit(self, record: Store) -> int | None:
        """The limit that the user set: now by an option, or with `grist limit` or in a file, whichever came later."""
        if self.settings.limit is not None:
            return _fixed(self.settings.limit)
        written = self._files.settings.limit
        if record.queries.meta("limit in files") not in (None, str(written)):  # changed while no daemon ran
            record.write(store.save_meta("limit", ""))
            kept = None
        else:
            kept = record.queries.meta("limit")
        record.write(store.save_meta("limit in files", str(written)))
        return _fixed(kept or written)

    def _check_owner(self, record: Store) -> None:
        owner = record.queries.meta("jobs")
        if owner is not None and os.path.realpath(owner) != os.path.realpath(self.settings.jobs):
            raise FolderError(f"{self.settings.state}: holds the state of {owner} – name another folder with --state")


def _fixed(limit: int | str | None) -> int | None:
    """A limit as it was said, None where the governor is to find it."""
    return None if limit in (None, "auto") else int(limit)


def spare_collector() -> None:
    """Has the garbage collector look at less, and less often: each task makes hundreds of objects, none in a cycle."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECTED)


def take_all_files() -> None:
    """As many open files as the administrator allows, for many clients; tasks keep what the user has (see Spawner)."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = FILES_MOST if hard == resource.RLIM_INFINITY else min(hard, FILES_MOST)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def resident() -> int:
    """Bytes of memory that this process holds."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()
