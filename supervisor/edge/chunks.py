"""The shared folder: chunks of tasks that run elsewhere, as this machine and the nodes see them.

Owns making, looking through and removing them. A chunk `JOB.SERIAL` is the folder `JOB/SERIAL`:

    chunk.json   what all of its tasks share; engine: the engine's id of it, once that is known
    tasks, index JSON a line for each task, and where in it each begins
    slot         the shell script that an engine starts, with the number of a slot
    rec/N.claim  who may start task N of the chunk: a node, or the daemon, so that nobody does
    rec/N.end    the daemon's mark that task N is to be ended; rec/N.json: how it ended
    ray/         what Ray's own part says of slots (`raydriver`)
    log/         what tasks wrote, and results too large for a record; it stays until the job is removed

and `JOB/` holds what its chunks share: the programs of nodes, the frozen script and code. Such folders may lag by a
minute (NFS keeps attributes, and that a name was not there): so files appear whole, by a rename or a link, and are
looked for by listing, never one by one. All of this takes its time there, and is for a thread. What a removed job
left is `attic`'s.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import struct
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gristmill.supervisor.core.journal import Key
from gristmill.supervisor.core.remote import Seen
from gristmill.supervisor.edge.durable import sync_folder

LOG_BYTES = 1 << 18


class Chunks:
    """The chunks of one daemon in one shared folder."""

    def __init__(self, base: Path, programs: Sequence[Path]) -> None:
        """`programs` are what runs on the nodes; each job gets a copy, which no upgrade changes under its feet."""
        self.base, self._programs = base, programs

    def path(self, name: str) -> Path:
        """The folder of a chunk."""
        job, serial = name.split(".")
        return self.base / job / serial

    def log(self, name: str, key: Key, kind: str = "log") -> Path:
        """What an attempt writes there, of a kind: `log`, `err`, `progress`."""
        return self.path(name) / "log" / f"{key.number}.{key.attempt}.{kind}"

    # ── making ────────────────────────────────────────────────────────────────────────────────────────────────

    def reserve(self, job: int) -> str:
        """The name of a new chunk of a job; its folder is there from now on."""
        home = self.base / str(job)
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        serial = max((int(name) for name in os.listdir(home) if name.isdigit()), default=0) + 1
        (home / str(serial)).mkdir(mode=0o700)
        return f"{job}.{serial}"

    def home(self, job: int, script: str | None, tree: str | None) -> tuple[Path, str | None, str | None]:
        """The folder of a job, and in it the copies of its frozen script and code, made where they are not yet."""
        home = self.base / str(job)
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        for program in self._programs:
            _copy(program, home / program.name)
        copies = []
        for source, name in ((script, f"script{os.path.splitext(script)[1]}" if script else ""), (tree, "code")):
            if source is not None:
                _copy(Path(source), home / name)
            copies.append(None if source is None else str(home / name))
        return home, copies[0], copies[1]

    def fill(self, name: str, head: Mapping[str, Any], orders: Iterable[Mapping[str, Any]], slot: str) -> None:
        """Writes a chunk down, durably: what its tasks share, an order for each, and the text of its slot script."""
        folder = self.path(name)
        for inner in ("rec", "log"):
            (folder / inner).mkdir(mode=0o700, exist_ok=True)
        lines = [json.dumps(order, ensure_ascii=False).encode("utf-8", "surrogateescape") + b"\n" for order in orders]
        places = [0]
        for line in lines:
            places.append(places[-1] + len(line))
        _write(folder / "tasks", b"".join(lines))
        _write(folder / "index", struct.pack(f"<{len(places)}q", *places))
        _write(folder / "slot", slot.encode("utf-8", "surrogateescape"))
        _write(folder / "chunk.json", json.dumps(dict(head)).encode("utf-8", "surrogateescape"))
        for each in (folder / "rec", folder, folder.parent, self.base):
            sync_folder(each)

    def head(self, name: str) -> dict[str, Any]:
        """What was written of a chunk; {} where it was never filled, or is gone."""
        try:
            found: dict[str, Any] = json.loads((self.path(name) / "chunk.json").read_bytes())
        except FileNotFoundError:
            self.base.stat()  # a share that is not there says nothing of what is in it: OSError
            return {}
        return found

    def engine_id(self, name: str) -> str:
        """What the engine calls a chunk, "" where nobody heard it."""
        try:
            return (self.path(name) / "engine").read_text()
        except FileNotFoundError:
            return ""

    def note_engine(self, name: str, engine_id: str) -> None:
        """Writes that down."""
        _write(self.path(name) / "engine", engine_id.encode())

    # ── looking ───────────────────────────────────────────────────────────────────────────────────────────────

    def look(self, name: str, known: set[str]) -> Seen:
        """Which tasks of a chunk were claimed, and which have a record, by files that are not `known`, and are from now
        on. Raises OSError where nobody can tell."""
        claimed, ended = set(), set()
        try:
            fresh = set(os.listdir(self.path(name) / "rec")) - known
        except FileNotFoundError:
            self.base.stat()
            return Seen()
        known |= fresh
        for entry in fresh:
            number, _, kind = entry.partition(".")
            if kind == "json":
                ended.add(int(number))
            elif kind == "claim":
                claimed.add(int(number))
        return Seen(frozenset(claimed), frozenset(ended))

    def records(self, name: str, indexes: Iterable[int]) -> dict[int, dict[str, Any]]:
        """The records of some tasks; one that can't be read yet is left out, and comes with the next look."""
        found = {}
        for index in indexes:
            with contextlib.suppress(FileNotFoundError, ValueError):
                found[index] = json.loads((self.path(name) / "rec" / f"{index}.json").read_bytes())
        return found

    # ── deciding against the nodes ────────────────────────────────────────────────────────────────────────────

    def take_back(self, name: str, indexes: Iterable[int]) -> set[int]:
        """Claims tasks so that no node starts them any more; those of which that is certain. The others have begun."""
        folder, won = self.path(name) / "rec", set()
        own = self.path(name) / "rec" / f"ours.{os.getpid()}"
        try:
            _write(own, json.dumps({"daemon": os.getpid()}).encode())
        except FileNotFoundError:  # its folder is gone, so that nothing can be begun from it
            self.base.stat()
            return set(indexes)
        for index in indexes:
            claim = folder / f"{index}.claim"
            try:
                os.link(own, claim)
                won.add(index)
            except FileExistsError:
                with contextlib.suppress(OSError, ValueError):
                    if "daemon" in json.loads(claim.read_bytes()):
                        won.add(index)
        own.unlink()
        sync_folder(folder)
        return won

    def claims(self, name: str, indexes: Iterable[int]) -> dict[int, dict[str, Any]]:
        """Who claimed tasks: `host`, `id` (the engine's), `pid`, or `daemon`."""
        found = {}
        for index in indexes:
            with contextlib.suppress(OSError, ValueError):
                found[index] = json.loads((self.path(name) / "rec" / f"{index}.claim").read_bytes())
        return found

    def complaints(self, name: str, index: int) -> str:
        """What the engine itself wrote about the slot of a task, which has begun: the lines of its log that name it."""
        number = str(self.claims(name, [index]).get(index, {}).get("job", ""))
        try:
            with open(self.path(name) / "engine.log", "rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - LOG_BYTES))
                lines = file.read().decode(errors="replace").splitlines()
        except OSError:
            return ""
        named = re.compile(rf"(?i)(?:job|step)(?:id)?[ =]{re.escape(number)}(?![0-9])")
        return "; ".join(dict.fromkeys(line.strip() for line in lines if number and named.search(line)))[-300:]

    def mark_ends(self, name: str, indexes: Iterable[int]) -> None:
        """Marks tasks as to be ended, for nodes where the engine does not end single ones."""
        for index in indexes:
            with contextlib.suppress(FileNotFoundError):
                (self.path(name) / "rec" / f"{index}.end").touch(0o600)

    # ── removing ──────────────────────────────────────────────────────────────────────────────────────────────

    def names(self) -> list[str]:
        """All chunks that there are."""
        found = []
        with contextlib.suppress(FileNotFoundError):
            for job in os.listdir(self.base):
                if job.isdigit():
                    found += [f"{job}.{serial}" for serial in os.listdir(self.base / job) if serial.isdigit()]
        return found

    def tidy(self, name: str) -> None:
        """Removes of a chunk what nobody needs once all of its records are in the store: all but its logs. Its number
        is not given again."""
        folder = self.path(name)
        for entry in ("rec", "ray", "tasks", "index", "slot", "chunk.json", "engine"):
            if entry in ("rec", "ray"):
                shutil.rmtree(folder / entry, ignore_errors=True)
            else:
                (folder / entry).unlink(missing_ok=True)


def _write(path: Path, data: bytes) -> None:
    """A whole file under its name, on the disk, or none."""
    hidden = path.with_name(f"{path.name}.part")
    fd = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(fd)
    os.rename(hidden, path)


def _copy(source: Path, target: Path) -> None:
    """A durable copy of a file or folder, once."""
    if target.exists():
        return
    hidden = target.with_name(f"{target.name}.part")
    if source.is_dir():
        shutil.rmtree(hidden, ignore_errors=True)
        shutil.copytree(source, hidden, symlinks=True)
        os.rename(hidden, target)
        return
    _write(target, source.read_bytes())
    target.chmod(0o700)
