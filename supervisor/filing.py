"""The files of jobs that have ended, on their way from accepted/ to done/ or failed/; and back when a job is retried.

Results that a job wants beside its file are put there first. Moves are made in batches: all renames, then both shelves
made durable, then one write of where the files lie now. A crash in between is found at the next start, as the record
still names the old place.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Iterator
from typing import NamedTuple

from gristmill.supervisor import gathering
from gristmill.supervisor.core.errors import FolderError, GristError
from gristmill.supervisor.core.filenames import LONGEST, shown
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.sanitise import safe
from gristmill.supervisor.core.task import JOB_FINAL, JobState
from gristmill.supervisor.edge import store
from gristmill.supervisor.edge.folder import JobsFolder
from gristmill.supervisor.edge.shelves import Shelves
from gristmill.supervisor.edge.store import Store
from gristmill.supervisor.ledger import Ledger

log = logging.getLogger(__name__)

BATCH = 500
GONE = b"gone"
"""The place of a file that its user took away."""


class Move(NamedTuple):
    """A job's file that is to lie elsewhere."""

    job: int
    origin: bytes
    shelf: str


class Filing:
    """Moves the files of jobs that are over."""

    def __init__(self, folder: JobsFolder, shelves: Shelves, record: Store, ledger: Ledger) -> None:
        self._folder, self._shelves, self._store, self._ledger = folder, shelves, record, ledger
        self._moving = asyncio.Lock()
        self._placing: set[asyncio.Future[None]] = set()

    @contextlib.contextmanager
    def placing(self) -> Iterator[None]:
        """While files are on their way to where the record says already that they lie: a job may end before its file
        has come there."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._placing.add(done)
        try:
            yield
        finally:
            self._placing.discard(done)
            done.set_result(None)

    async def run(self) -> None:
        """Files away what ends, for as long as the daemon lives."""
        while True:
            ended = {job.id: job for job in [await self._ledger.ended.get()]}
            while len(ended) < BATCH and not self._ledger.ended.empty():
                job = self._ledger.ended.get_nowait()
                ended[job.id] = job
            try:
                await self._file(list(ended.values()))
            except OSError as error:
                log.warning("%d files of ended jobs stay where they are: %s", len(ended), error)

    async def _file(self, jobs: list[Job]) -> None:
        if self._placing:
            await asyncio.wait(tuple(self._placing))
        async with self._moving:
            over = [job for job in jobs if job.state in JOB_FINAL]  # not those that were retried meanwhile
            places = await asyncio.gather(*(self._store.ask("place", job.id) for job in over))
            moves = [
                Move(job.id, place, _shelf(job.state))
                for job, place in zip(over, places, strict=True)
                if place is not None and place.startswith(b"accepted/")
            ]
            await self._carry_out(moves)

    async def recover(self) -> None:
        """Moves what jobs that ended before left on the wrong shelf."""
        async with self._moving:
            moves = [
                Move(number, place, _shelf(JobState(state)))
                for number, place, state in await self._store.ask("misplaced")
            ]
            for start in range(0, len(moves), BATCH):
                await self._carry_out(moves[start : start + BATCH])

    async def bring_back(self, job: int) -> None:
        """Puts the file of a job that is retried back to the accepted ones."""
        async with self._moving:
            place = await self._store.ask("place", job)
            if place not in (None, GONE) and not place.startswith(b"accepted/"):
                await self._carry_out([Move(job, place, "accepted")])

    async def _carry_out(self, moves: list[Move]) -> None:
        moves = await self._export(moves)
        if not moves:
            return
        targets, missing = await asyncio.to_thread(self._move, moves)
        for move in missing:
            targets[move.job] = await self._found(move)
        if found := [move for move in missing if targets[move.job] != GONE]:
            places = [place for move in found for place in (move.origin, targets[move.job])]
            shelves = {os.fsdecode(os.path.dirname(place)) for place in places}
            await asyncio.to_thread(self._folder.sync, *sorted(shelves))  # who moved them may not have come to that
        await self._store.write(*(store.place_job(job, target) for job, target in targets.items()))

    async def _export(self, moves: list[Move]) -> list[Move]:
        """Puts results beside where files are to lie, for jobs that want that; returns the moves that may be made. One
        whose results could not be written stays, and is tried again at the next start."""
        ended = {move.job: move for move in moves if move.shelf != "accepted"}
        for job in await self._store.ask("exporting", list(ended)) if ended else ():
            assert job.spec.export is not None
            move = ended[job.id]
            try:
                await asyncio.to_thread(self._export_one, job, job.spec.export, move)
            except GristError as error:
                log.warning("job %d: its results are not put beside its file: %s", job.id, error)
            except OSError as error:
                log.warning("job %d: its file %s stays, as its results can't be put beside it: %s", job.id,
                            safe(shown(move.origin)), error)
                moves = [other for other in moves if other is not move]
        return moves

    def _export_one(self, job: Job, form: str, move: Move) -> None:
        suffix = "jsonl" if form == "json" else form
        stem = os.path.splitext(os.path.basename(move.origin))[0][: LONGEST - 20]
        partial = self._folder.spool / f"results-{job.id}.{suffix}"
        gathering.write(self._store, job, form, partial)
        self._shelves.put(os.fsencode(partial), move.shelf, stem + f".results.{suffix}".encode())

    def _move(self, moves: list[Move]) -> tuple[dict[int, bytes], list[Move]]:
        """The renames of a batch, made durable; what could not be moved stays, and is tried again at the next start."""
        targets: dict[int, bytes] = {}
        missing: list[Move] = []
        for move in moves if self._stands() else ():
            try:
                target = self._shelves.move(move.origin, move.shelf)
            except OSError as error:
                log.warning("job %d: its file %s stays: %s", move.job, safe(shown(move.origin)), error)
                continue
            if target is None:
                missing.append(move)
            else:
                targets[move.job] = target
        if targets:
            shelves = {os.fsdecode(os.path.dirname(move.origin)) for move in moves if move.job in targets}
            self._folder.sync(*sorted(shelves | {move.shelf for move in moves if move.job in targets}))
        return targets, missing if not missing or self._stands() else []

    def _stands(self) -> bool:
        """Whether the folder is ours still: what is not there any more tells of its files only while it is."""
        try:
            self._folder.check()
        except FolderError as error:
            log.warning("files of jobs stay where they are: %s", error)
            return False
        return True

    async def _found(self, move: Move) -> bytes:
        """Where a file lies that is not at its place: moved by a daemon that could not write it down, or taken away."""
        source = await self._store.ask("source", move.job)
        find = self._shelves.find
        found = await asyncio.to_thread(find, move.shelf, os.path.basename(move.origin), source)
        return GONE if found is None else found


def _shelf(state: JobState) -> str:
    return "done" if state is JobState.DONE else "failed"
