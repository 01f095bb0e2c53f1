"""From a file in the folder to a job in the ledger, and the file's way afterwards.

Puts in order: look, wait until a file is complete, claim, understand, accept, place; and when a job has ended, move
its file. Hints from the kernel only make the next look come sooner. A file that can't be a job is rejected with
every reason beside it; nothing is ever deleted.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from gristmill.supervisor.core import jobfile
from gristmill.supervisor.core.conditions import Conditions, Kind
from gristmill.supervisor.core.errors import FolderError, JobFileError, Problem, RequestError
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.spec import Spec
from gristmill.supervisor.core.task import JobState
from gristmill.supervisor.edge import environment, store, textfile
from gristmill.supervisor.edge.folder import SUFFIXES, Claimed, Found, JobsFolder, job_like, shown
from gristmill.supervisor.edge.store import Store
from gristmill.supervisor.edge.watch import Watch
from gristmill.supervisor.ledger import Ledger

log = logging.getLogger(__name__)

LOOK_EVERY = 2.0
"""Seconds between two looks when no hint comes."""
SETTLE = 1.0
"""Seconds for which a file without a hint must hold still."""
BATCH = 100


class Intake:
    """The way in, and the way out, of job files."""

    def __init__(
        self, folder: JobsFolder, record: Store, ledger: Ledger, scripts: Path, environ: Mapping[str, str],
        clock: Callable[[], float], conditions: Conditions,
    ) -> None:
        self._folder, self._store, self._ledger = folder, record, ledger
        self._scripts, self._environ, self._clock, self._conditions = scripts, environ, clock, conditions
        self._watch = Watch(self._hint_from_thread)
        self._hinted: dict[bytes, bool] = {}
        self._still: dict[bytes, tuple[tuple[int, int, int], float]] = {}
        self._wake = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._batches = itertools.count(1)
        # One thread: a hostile file may take its seconds to read, and msgspec learns a type at its first use, where two
        # threads that do so at once crash the process.
        self._reader = ThreadPoolExecutor(1, "intake")
        self._in_hand: set[str] = set()
        self._behind = True
        self.rejected = 0

    # ── looking ───────────────────────────────────────────────────────────────────────────────────────────────

    def open(self) -> None:
        """Begins to listen; what comes from now on is found at once."""
        self._watch.follow(self._folder.path)

    async def run(self) -> None:
        """Takes in what comes, for as long as the daemon lives."""
        while True:
            pause = LOOK_EVERY
            try:
                self._folder.check()
                self._folder.prepare()
                self._watch.follow(self._folder.path)
                if self._behind:
                    await self.recover()
                pause = await self._look()
                self._conditions.clear(Kind.FOLDER)
            except (FolderError, OSError) as error:
                self._behind = True  # what was claimed and not placed is taken up again once this works
                self._conditions.put(Kind.FOLDER, str(error), holds=False)
            due = self._loop.call_later(pause, self._wake.set)  # the look that needs no hint
            await self._wake.wait()
            due.cancel()
            self._wake.clear()

    def close(self) -> None:
        """Stops listening for hints."""
        self._watch.close()
        self._reader.shutdown(wait=False, cancel_futures=True)

    def _hint_from_thread(self, name: bytes | None, moved: bool) -> None:
        self._loop.call_soon_threadsafe(self._hint, name, moved)

    def _hint(self, name: bytes | None, moved: bool) -> None:
        if name:
            self._hinted[name] = self._hinted.get(name, False) or moved
        self._wake.set()

    async def _look(self) -> float:
        """Claims and accepts what is complete; returns the seconds until the next look is due."""
        hinted, self._hinted = self._hinted, {}
        found = await asyncio.to_thread(self._folder.look)
        self._folder.check()  # after the look: what was dropped once others could write is not taken
        complete = [item.name for item in found if self._complete(item, hinted)]
        names = {item.name for item in found}
        self._still = {name: value for name, value in self._still.items() if name in names}
        for start in range(0, len(complete), BATCH):
            claimed = await asyncio.to_thread(self._folder.claim, complete[start : start + BATCH], self._batch())
            await self._accept(claimed)
        waiting = len(names) - len(complete)
        return SETTLE / 2 if waiting else LOOK_EVERY

    def _complete(self, item: Found, hinted: dict[bytes, bool]) -> bool:
        """Whether all of a file is there: moved in, or closed by its writer, or still for a second and not held."""
        moved = hinted.get(item.name)
        if moved is None:
            before = self._still.get(item.name)
            now = time.monotonic()
            if before is None or before[0] != item.settled:
                self._still[item.name] = (item.settled, now)
                return False
            if now - before[1] < SETTLE:
                return False
        return bool(moved) or self._folder.written(item.name)

    def _batch(self) -> str:
        return f"{time.time_ns():x}-{os.getpid()}-{next(self._batches)}"

    # ── understanding ─────────────────────────────────────────────────────────────────────────────────────────

    async def recover(self) -> None:
        """Finishes what an earlier daemon had begun: files claimed and not placed, ended jobs not moved."""
        left = await asyncio.to_thread(self._folder.left)
        fresh = []
        for batch, name in left:
            claim = f"{batch}/{shown(name)}"
            if claim in self._in_hand:
                continue
            number = await self._store.ask("claimed", claim)
            place = await self._store.ask("place", number) if number is not None else None
            if place is not None:
                self._folder.place(claim, name, place)
            else:
                fresh.append(self._folder.read(batch, name))
        await self._accept(fresh)
        for number, place, state in await self._store.ask("misplaced"):
            await self._move(number, place, JobState(state))
        self._behind = False

    async def submit(self, file: str, text: str) -> Job:
        """Takes in a job that came over the socket; raises JobFileError, with nothing left behind, when it is bad."""
        name = os.fsencode(file)
        if b"/" in name or not (job_like(name) and name.endswith(SUFFIXES)):
            raise RequestError(f"{file!r} is no name of a job file – such as sweep.toml")
        await self._understand(Claimed("", name, text.encode(), False))
        claimed = await asyncio.to_thread(self._folder.put, name, text.encode(), self._batch())
        job = (await self._accept([claimed]))[0]
        if job is None:
            raise JobFileError(file, (Problem(0, 0, "was rejected", f"see rejected/{file}.error"),))
        return job

    async def _accept(self, claimed: list[Claimed]) -> list[Job | None]:
        places: set[bytes] = set()
        claims = {item.claim for item in claimed}
        self._in_hand |= claims
        taken = await asyncio.gather(*(self._take_in(item, places) for item in claimed), return_exceptions=True)
        self._in_hand -= claims
        for outcome in taken:
            if isinstance(outcome, BaseException):
                raise outcome  # only now that no other is half way
        return [job for job in taken if not isinstance(job, BaseException)]

    async def _take_in(self, item: Claimed, places: set[bytes]) -> Job | None:
        try:
            spec = await self._understand(item)
        except JobFileError as error:
            await self._reject(item, str(error))
            return None
        place = self._folder.free_place("accepted", item.name, places)
        places.add(place)
        job = await self._ledger.accept(item.claim, shown(item.name), self._freeze(item, spec), item.data, place)
        self._folder.place(item.claim, item.name, place)
        log.info("accepted %s as job %d: %d items", shown(item.name), job.id, spec.items.total)
        return job

    async def _understand(self, item: Claimed) -> Spec:
        return await self._loop.run_in_executor(self._reader, self.understand, item)

    def understand(self, item: Claimed) -> Spec:
        """The job in a claimed file; raises JobFileError with everything that is wrong about it."""
        file = shown(item.name)
        if item.fault:
            raise JobFileError(file, (Problem(0, 0, *_parted(item.fault)),))
        try:
            text = item.data.decode()
        except UnicodeDecodeError as error:
            line = item.data.count(b"\n", 0, error.start) + 1
            column = error.start - (item.data.rfind(b"\n", 0, error.start) + 1) + 1
            raise JobFileError(file, (Problem(line, column, "is not UTF-8 text", "save it as UTF-8"),)) from error
        home = os.path.expanduser("~")
        spec = jobfile.parse(
            text, file, cwd=str(self._folder.path.parent), home=home, executable=item.executable,
            read=textfile.read,
        )
        complaints = environment.examine(spec, self._environ)
        if complaints:
            problems = [Problem(*jobfile.locate(text, file, c.path), c.what, c.mend) for c in complaints]
            raise JobFileError(file, tuple(problems))
        return spec

    def _freeze(self, item: Claimed, spec: Spec) -> Spec:
        """Keeps a script as it is now; what runs later is this copy."""
        if spec.kind != "script":
            return spec
        suffix = os.path.splitext(shown(item.name))[1] or ".script"
        folder = self._scripts / item.claim.partition("/")[0]
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / f"{len(os.listdir(folder)) + 1}{suffix}"
        path.write_bytes(item.data)
        path.chmod(0o500)
        return msgspec.structs.replace(spec, script=str(path))

    async def _reject(self, item: Claimed, why: str) -> None:
        self.rejected += 1
        target = await asyncio.to_thread(self._folder.reject, item.claim, item.name, why)
        log.warning("rejected %s:\n%s", shown(target), why)

    # ── afterwards ────────────────────────────────────────────────────────────────────────────────────────────

    async def file_away(self) -> None:
        """Moves the files of jobs that have ended, for as long as the daemon lives."""
        while True:
            job = await self._ledger.ended.get()
            place = await self._store.ask("place", job.id)
            try:
                if place is not None:
                    await self._move(job.id, place, job.state)
            except OSError as error:
                log.warning("job %d: its file %s stays where it is: %s", job.id, shown(place), error)

    async def _move(self, job: int, origin: bytes, state: JobState) -> None:
        place = "done" if state is JobState.DONE else "failed"
        target = await asyncio.to_thread(self._folder.move, origin, place)
        await self._store.write(store.place_job(job, target if target is not None else b"gone"))

    async def bring_back(self, job: int) -> None:
        """Puts the file of a job that is retried back to the accepted ones."""
        place = await self._store.ask("place", job)
        if place is not None and not place.startswith(b"accepted/"):
            target = await asyncio.to_thread(self._folder.move, place, "accepted")
            if target is not None:
                await self._store.write(store.place_job(job, target))


def _parted(fault: str) -> tuple[str, str]:
    what, _, mend = fault.partition(" – ")
    return what, mend
