"""From a file in the folder to a job in the ledger.

Puts in order: await files that are complete (`lookout`), claim, read, accept, place. A file that can't be a job is
rejected with every reason beside it; nothing is ever deleted. Whatever touches the disk runs in a thread: a folder that
hangs holds up its own files and nobody else.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from gristmill.supervisor.core.conditions import Conditions, Kind, rejection
from gristmill.supervisor.core.errors import FolderError, JobFileError, Problem
from gristmill.supervisor.core.filenames import claim, error_of, shown
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.portrait import portray
from gristmill.supervisor.core.sanitise import safe
from gristmill.supervisor.core.spec import Spec
from gristmill.supervisor.edge import store
from gristmill.supervisor.edge.folder import Claimed, Found, JobsFolder
from gristmill.supervisor.edge.shelves import Shelves
from gristmill.supervisor.edge.store import Store
from gristmill.supervisor.filing import Filing
from gristmill.supervisor.ledger import Ledger
from gristmill.supervisor.lookout import Lookout
from gristmill.supervisor.reading import Outcome, Reader, batches, handed_in

log = logging.getLogger(__name__)

MEND_EVERY = 1.0
"""Seconds between two tries of a folder that can't be used."""
REJECTED_S = 600.0
"""Seconds for which a rejection is told where people look, unless the file comes again and is good."""


class Intake:
    """The way in of job files."""

    def __init__(
        self, folder: JobsFolder, record: Store, ledger: Ledger, scripts: Path, environ: Mapping[str, str],
        clock: Callable[[], float], conditions: Conditions,
    ) -> None:
        self._folder, self._store, self._ledger = folder, record, ledger
        self._clock, self._conditions = clock, conditions
        self._shelves = Shelves(folder.path, folder.spool)
        self._filing = Filing(folder, self._shelves, record, ledger)
        self.reader = Reader(str(folder.path.parent), scripts, environ)
        self._lookout = Lookout(folder)
        self._batches = itertools.count(1)
        self._in_hand: set[str] = set()
        self._behind = True
        self._told = b""
        """The file of which it was told last that it was rejected."""
        self.open = self._lookout.open
        self.file_away = self._filing.run
        self.bring_back = self._filing.bring_back

    async def run(self) -> None:
        """Takes in what comes, for as long as the daemon lives."""
        try:
            while True:
                await self._take_all()
        except asyncio.CancelledError:
            self._lookout.let_go()
            raise

    async def _take_all(self) -> None:
        """The same, until something has to be mended first."""
        try:
            if self._behind:
                await self._lookout.stand()
                await self.recover()
            complete = await self._lookout.first()
            while True:
                await self._claim(complete)
                self._conditions.put(Kind.FOLDER, self._waiting(), holds=False)
                if self._behind:
                    return
                complete = await self._lookout.next()
        except (FolderError, OSError) as error:
            self._behind = True  # what was claimed and not placed is taken up again once this works
            self._conditions.put(Kind.FOLDER, self._reason(error), holds=False)
            await asyncio.sleep(MEND_EVERY)

    def close(self) -> None:
        """Stops listening for hints."""
        self._lookout.close()
        self.reader.close()

    def _reason(self, error: Exception) -> str:
        if isinstance(error, OSError) and error.strerror:
            what = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else str(self._folder.path)
            return f"{safe(what)}: {error.strerror} – files in the jobs folder wait until this is mended"
        return safe(str(error))

    def _waiting(self) -> str:
        """A word about files that are held open and don't grow."""
        names = self._lookout.overdue()
        if not names:
            return ""
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        return f"{safe(shown(names[0]))}{more}: not taken, as a program holds it open to write – end that program"

    async def _claim(self, complete: list[Found]) -> None:
        """Claims and accepts what is complete."""
        for batch in batches(complete):
            names, seen = [item.name for item in batch], {item.name: item.settled for item in batch}
            claimed = await self._lookout.in_thread(self._folder.claim, names, self._batch(), seen)
            await self._accept(claimed)

    def _others_batches(self) -> list[str]:
        """Batches that earlier daemons made; one of ours may be empty because it is just being filled."""
        return sorted(name for name in os.listdir(self._folder.spool) if f"-{os.getpid()}-" not in name)

    def _batch(self) -> str:
        return f"{int(self._clock() * 1e9):x}-{os.getpid()}-{next(self._batches)}"

    # ── accepting ─────────────────────────────────────────────────────────────────────────────────────────────

    async def recover(self) -> None:
        """Finishes what an earlier daemon had begun: files claimed and not placed, ended jobs not moved."""
        self._behind = False  # from here on: what fails meanwhile is for the next time
        left = [
            (batch, name) for batch, name in await asyncio.to_thread(self._folder.left)
            if claim(batch, name) not in self._in_hand
        ]
        fresh = []
        for batch, name in left:
            number = await self._store.ask("claimed", claim(batch, name))
            place = await self._store.ask("place", number) if number is not None else None
            if number is not None and place is not None:
                await self._place([(batch, name, place, number)])
            else:
                fresh.append(await asyncio.to_thread(self._folder.read, batch, name))
        await self._accept([item for item in fresh if item is not None])
        await asyncio.to_thread(self._shelves.tidy, await asyncio.to_thread(self._others_batches))
        await self._filing.recover()

    async def submit(self, file: str, text: str) -> Job:
        """Takes in a job that came over the socket; raises JobFileError, with nothing left behind, when it is bad."""
        name, data = handed_in(file, text)
        batch = self._batch()
        mine = Claimed(claim(batch, name), name, data, False)
        (outcome,) = await self.reader.read([mine])
        if isinstance(outcome, JobFileError):
            raise outcome
        self._in_hand.add(mine.claim)
        try:
            await asyncio.to_thread(self._folder.put, name, data, batch)
            (job,) = await self._take_in([mine], [outcome])
        except OSError:
            self._behind = True
            self._lookout.call()
            raise
        finally:
            self._in_hand.discard(mine.claim)
        if job is None:
            raise JobFileError(file, (Problem(0, 0, "was not taken in", "look at `grist status`"),))
        return job

    async def _accept(self, claimed: list[Claimed]) -> None:
        """Reads claimed files, and takes in or rejects each."""
        claims = {item.claim for item in claimed}
        self._in_hand |= claims
        try:
            while claimed:
                outcomes = await self.reader.read(claimed)
                now, claimed = claimed[: len(outcomes)], claimed[len(outcomes) :]
                await self._take_in(now, outcomes)
        finally:
            self._in_hand -= claims

    async def _take_in(self, claimed: list[Claimed], outcomes: list[Outcome]) -> list[Job | None]:
        """Jobs of good files, in one write; None for the others, which are rejected."""
        pairs = list(zip(claimed, outcomes, strict=True))
        good = [(item, spec) for item, spec in pairs if isinstance(spec, Spec)]
        places = await asyncio.to_thread(self._free_places, [item.name for item, _ in good])
        with self._filing.placing():
            taken = await asyncio.gather(
                *(
                    self._ledger.accept(item.claim, shown(item.name), spec, item.data, place)
                    for (item, spec), place in zip(good, places, strict=True)
                ),
                return_exceptions=True,
            )
            for outcome in taken:
                if isinstance(outcome, BaseException):
                    raise outcome  # only now that no other is half way
            jobs = {item.claim: job for (item, _), job in zip(good, taken, strict=True) if isinstance(job, Job)}
            await self._place([
                (item.claim.partition("/")[0], item.name, place, jobs[item.claim].id)
                for (item, _), place in zip(good, places, strict=True)
            ])
        bad = [(item, error) for item, error in pairs if isinstance(error, JobFileError)]
        if bad:
            place = await asyncio.to_thread(self._reject, bad)
            self._told = bad[-1][0].name
            words = rejection(bad[-1][1], f"{self._folder.path.name}/{shown(error_of(place))}", len(bad))
            self._conditions.set(Kind.REJECTED, words, holds=False, for_s=REJECTED_S)
        if self._told in {item.name for item, _ in good}:  # mended
            self._conditions.clear(Kind.REJECTED)
        for item, _ in good:
            job = jobs[item.claim]
            log.info("accepted %s as job %d: %d items", safe(shown(item.name)), job.id, job.spec.items.total)
            if notes := portray(job).notes:
                log.info("job %d: not honoured: %s", job.id, safe("; ".join(notes)))
        return [jobs.get(item.claim) for item in claimed]

    def _free_places(self, names: list[bytes]) -> list[bytes]:
        taken: set[bytes] = set()
        places = []
        for name in names:
            places.append(self._shelves.free_place("accepted", name, taken))
            taken.add(places[-1])
        return places

    async def _place(self, placed: list[tuple[str, bytes, bytes, int]]) -> None:
        """Moves claimed files (batch, name, place, job) where the record says, and mends the record where it can't."""
        changed = await asyncio.to_thread(self._place_all, placed)
        if changed:
            await self._store.write(*(store.place_job(job, place) for job, place in changed))

    def _place_all(self, placed: list[tuple[str, bytes, bytes, int]]) -> list[tuple[int, bytes]]:
        changed = []
        for batch, name, place, job in placed:
            target = self._shelves.place(batch, name, place)
            if target is not None and target != place:
                changed.append((job, target))
        self._shelves.tidy({batch for batch, *_ in placed})
        return changed

    def _reject(self, bad: list[tuple[Claimed, JobFileError]]) -> bytes:
        """Moves them, with their reasons beside them; returns the place of the last."""
        target = b""
        for item, error in bad:
            batch = item.claim.partition("/")[0]
            target = self._shelves.reject(batch, item.name, str(error))
            log.warning("rejected %s:\n%s", safe(shown(target)), error)
        self._shelves.tidy({item.claim.partition("/")[0] for item, _ in bad})
        return target
