"""Claimed bytes made into jobs, in one thread: what they say is understood, and a script is frozen.

One thread, because a hostile file may take its second to read, and because msgspec learns a type at its first use,
where two threads that do so at once crash the process. Nobody waits long behind such a file: a batch is read in
slices, and what was read of it goes on its way.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

import msgspec

from gristmill.supervisor.core import jobfile, standins
from gristmill.supervisor.core.digest import sha256
from gristmill.supervisor.core.errors import JobFileError, Problem, RequestError
from gristmill.supervisor.core.filenames import LONGEST, SUFFIXES, job_like, shown
from gristmill.supervisor.core.findings import Fault
from gristmill.supervisor.core.sanitise import safe
from gristmill.supervisor.core.spec import Spec
from gristmill.supervisor.edge import environment, snapshot, textfile
from gristmill.supervisor.edge.durable import sync_folder, write_new
from gristmill.supervisor.edge.folder import NOT_THE_FILES, SIZE_LIMIT, Claimed, Found

log = logging.getLogger(__name__)

BATCH, BATCH_BYTES = 500, 8 << 20
SLICE_S = 0.2
"""Seconds for which the thread reads before it hands over what it has."""

Outcome: TypeAlias = Spec | JobFileError


class MomentError(Exception):
    """The machine could not read a file now, for a reason that says nothing about the file."""


class Reader:
    """Understands job files against one jobs folder and one environment."""

    def __init__(self, cwd: str, scripts: Path, environ: Mapping[str, str]) -> None:
        self._cwd, self._scripts, self._environ = cwd, scripts, environ
        self._thread = ThreadPoolExecutor(1, "intake")
        self.usual_place: Callable[[], str] = lambda: "local"
        """Where jobs run that do not say it."""

    def close(self) -> None:
        """Lets the thread go."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def read(self, claimed: Sequence[Claimed]) -> list[Outcome]:
        """What the first of some files say, as many as a slice of time allows; their scripts are frozen durably.

        Raises OSError where the machine could not do it now; then none of them is read.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._read, claimed)

    def _read(self, claimed: Sequence[Claimed]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        frozen: set[Path] = set()
        end = time.monotonic() + SLICE_S
        for item in claimed:
            try:
                outcomes.append(self._freeze(item, self.understand(item), frozen))
            except JobFileError as error:
                outcomes.append(error)
            except MomentError as error:
                raise OSError(errno.EAGAIN, str(error)) from error
            except OSError:
                raise
            except Exception as error:  # caught once, here: or one odd file would end this daemon, and every next one
                file = safe(shown(item.name))
                log.exception("%s can't be read by a fault of our own", file)
                what = f"can't be read, by a fault of Gristmill's own ({type(error).__name__})"
                outcomes.append(JobFileError(file, (Problem(0, 0, what, "please report what daemon.log has of it"),)))
            if time.monotonic() > end:
                break
        for folder in frozen:
            sync_folder(folder)
        return outcomes

    def understand(self, item: Claimed) -> Spec:
        """The job in a claimed file; raises JobFileError with everything that is wrong about it."""
        file = shown(item.name)
        try:
            if item.fault:
                what, _, mend = item.fault.partition(" – ")
                raise JobFileError(file, (Problem(0, 0, what, mend),))
            return self._parse(item, file)
        except JobFileError as error:
            raise JobFileError(safe(file), error.problems) from error.__cause__

    def _parse(self, item: Claimed, file: str) -> Spec:
        try:
            text = item.data.decode()
        except UnicodeDecodeError as error:
            line = item.data.count(b"\n", 0, error.start) + 1
            column = error.start - (item.data.rfind(b"\n", 0, error.start) + 1) + 1
            raise JobFileError(file, (Problem(line, column, "is not UTF-8 text", "save it as UTF-8"),)) from error
        home = os.path.expanduser("~")
        spec = jobfile.parse(
            text, file, cwd=self._cwd, home=home, executable=item.executable, read=_text_of
        )
        if not spec.where and (usual := self.usual_place()) != "local":
            spec = msgspec.structs.replace(spec, where=usual)
        complaints = environment.examine(spec, self._environ)
        if complaints:
            problems = [Problem(*jobfile.locate(text, file, c.path), c.what, c.mend) for c in complaints]
            raise JobFileError(file, tuple(problems))
        return spec

    def _freeze(self, item: Claimed, spec: Spec, touched: set[Path]) -> Spec:
        """Keeps a script as it is now, on the disk before its job is accepted; what runs later is this copy."""
        if spec.kind != "script" and spec.snapshot is None:
            return spec
        batch, _, rest = item.claim.partition("/")
        folder = self._scripts / batch
        if not folder.exists():
            folder.mkdir(mode=0o700, parents=True)
            touched.add(self._scripts)
        touched.add(folder)
        stem = sha256(rest.encode())[:16]
        if spec.snapshot is not None:
            spec = self._freeze_code(item, spec, folder / f"{stem}.code")
        if spec.kind != "script":
            return spec
        suffix = os.path.splitext(shown(item.name))[1]
        suffix = suffix if suffix in (".sh", ".py") else ".script"
        path = folder / (stem + suffix)
        path.unlink(missing_ok=True)  # half written by a daemon that was killed
        write_new(path, item.data, 0o500)
        if spec.slurm is not None and spec.slurm.stand_ins:
            for name, program in standins.PROGRAMS.items():
                self._stand_in(self._scripts / "bin", name, program)
            touched |= {self._scripts, self._scripts / "bin"}
        return msgspec.structs.replace(spec, script=str(path))

    def _freeze_code(self, item: Claimed, spec: Spec, folder: Path) -> Spec:
        """Copies the code that the job wants frozen; raises JobFileError where that is too much, or not there."""
        assert spec.snapshot is not None
        text, file = item.data.decode(), shown(item.name)
        try:
            made = snapshot.copy(spec.snapshot, snapshot.plan(spec, text), str(folder))
        except Fault as fault:
            place = jobfile.locate(text, file, ("snapshot",))
            raise JobFileError(safe(file), (Problem(*place, f"snapshot: {fault.what}", fault.mend),)) from fault
        return msgspec.structs.replace(spec, snapshot=made)

    @staticmethod
    def _stand_in(folder: Path, name: str, program: str) -> None:
        """A program for one that clusters have; its folder is the end of PATH."""
        path = folder / name
        if path.exists() and path.read_text() == program:
            return
        folder.mkdir(mode=0o700, exist_ok=True)
        new = folder / f"{name}.new"
        new.unlink(missing_ok=True)
        new.write_text(program)
        new.chmod(0o500)
        with new.open("rb") as file:
            os.fsync(file.fileno())
        new.rename(path)


def batches(found: list[Found]) -> Iterator[list[Found]]:
    """Runs of files that are not too many, and not too large, to be in memory at once."""
    batch: list[Found] = []
    size = 0
    for item in found:
        if batch and (len(batch) == BATCH or size + item.settled[0] > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += min(item.settled[0], SIZE_LIMIT)
    if batch:
        yield batch


def _text_of(path: str) -> str:
    try:
        return textfile.read(path)
    except OSError as error:
        if error.errno in NOT_THE_FILES:
            raise MomentError(f"{path} can't be read now: {error.strerror}") from error
        raise


def handed_in(file: str, text: str) -> tuple[bytes, bytes]:
    """Name and bytes of a job that comes over the socket; raises RequestError where no file could be like that."""
    name, data = _encoded(file), _encoded(text)
    if b"/" in name or b"\0" in name or len(name) > LONGEST or not (job_like(name) and name.endswith(SUFFIXES)):
        raise RequestError(f"{file!r} is no name of a job file – such as sweep.toml")
    if len(data) > SIZE_LIMIT:
        raise RequestError(f"{file}: longer than {SIZE_LIMIT} bytes – keep data outside the job file")
    return name, data


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise RequestError("not UTF-8 text – save the job as UTF-8") from error
