"""A record of what processes did to files (`record.h`), and folders as a disk may hold them after a power cut.

Owns reading the record and the rules of what a cut may leave; it starts no process and judges nothing that it makes.
Three rules for names (creations, renames, removals), which always take effect whole and in an order that makes sense:

    JOURNAL  one log of all names, as ext4 and XFS keep it: to sync a file or folder makes every name durable up to the
             last change of that very file or folder, and of later ones some beginning of the log may be there.
    ALONE    a log for each folder, as btrfs and f2fs have it: to sync a folder makes the names in it durable, to sync
             a file its own name, either with whatever these need, and nothing else. A rename goes with either folder.
    LETTER   as ALONE, but to sync a file says nothing of its name, and a rename wants both folders synced: the letter
             of POSIX, and about what ext2 and exFAT keep. A folder's own name is there at once, and a rename is whole
             or not there, which they don't promise.

Three rules for data, of each file by itself. What was written before a sync began that had ended is always there:

    NOTHING  of what came later nothing is there: no page was written back yet, and no later name (delayed allocation).
    ALL      all of it, and all later names: the disk had just caught up (or the cut was a crash of the processes only).
    SOME     any part of the later writes, in order or with holes, the last of them torn at a multiple of 512 bytes; or
             the length without the data, as zeros (XFS, ext4 without delayed allocation); and some of the later names.

Stricter than real disks: data is never written out along with names (ext4's data=ordered), truncations may be lost or
kept apart from names, and each cut has the bare minimum of its rule in NOTHING. Milder: no disk that lies about its
cache, no sector that is torn within 512 bytes, none that spoils its neighbours.
"""

from __future__ import annotations

import os
import random
import struct
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from tests.faults.shim import GROUPS

_EVENT = struct.Struct("=iiqqqqiiii")
SECTOR = 512


class Names(Enum):
    JOURNAL = "one journal of all names"
    ALONE = "each folder by itself"
    LETTER = "each folder by itself, files without their names"


class Tail(Enum):
    NOTHING = "nothing that was not synced"
    ALL = "all of it"
    SOME = "some of it"


@dataclass(frozen=True)
class Event:
    """One call, after it took effect."""

    kind: str
    mode: int
    number: int
    began: int
    """Of a sync: the last event before it began."""
    inode: int
    offset: int
    path: str
    other: str
    data: bytes


def read(log: Path) -> Iterator[Event]:
    """All events of a record, in order."""
    with log.open("rb") as file:
        while head := file.read(_EVENT.size):
            kind, mode, number, began, inode, offset, *sizes, _ = _EVENT.unpack(head)
            path, other, data = (file.read(size) for size in sizes)
            yield Event(GROUPS[kind], mode, number, began, inode, offset, os.fsdecode(path), os.fsdecode(other), data)


@dataclass(eq=False)
class Node:
    """A file or a folder, by whatever names, and what happened to it."""

    folder: bool
    mode: int
    writes: list[tuple[int, int, bytes | None]] = field(default_factory=list)
    """(event, offset, data); without data: the new length."""
    touched: list[int] = field(default_factory=list)
    """Events that the file system must log to keep this one right: its names, a folder's entries, a file's length."""
    syncs: list[tuple[int, int]] = field(default_factory=list)
    """(last event before it began, event)."""
    length: int = 0
    entries: dict[str, Node] = field(default_factory=dict)
    """Of a folder, when everything recorded has happened."""

    def synced(self, cut: int) -> int:
        """The last event before the begin of a sync that had ended by the cut, -1 when there was none."""
        return max((began for began, number in self.syncs if number <= cut), default=-1)

    def data(self, cut: int, tail: Tail, chance: random.Random) -> bytes:
        """What a disk may hold of a file after a cut."""
        synced = self.synced(cut)
        happened = [write for write in self.writes if write[0] <= cut]
        sure = [write for write in happened if write[0] <= synced]
        later = happened[len(sure) :]
        if tail is Tail.ALL:
            return _apply(happened)
        if tail is Tail.NOTHING or not later:
            return _apply(sure)
        if chance.random() < 0.5:
            kept = later[: chance.randint(0, len(later))]
        else:
            share = chance.choice((0.2, 0.5, 0.9))
            kept = [write for write in later if chance.random() < share]
        if kept and (last := kept[-1][2]) is not None and chance.random() < 0.5:
            kept[-1] = (*kept[-1][:2], last[: chance.randint(0, len(last) // SECTOR) * SECTOR])
        found = _apply(sure + kept)
        whole = len(_apply(happened))
        return found.ljust(whole, b"\0") if chance.random() < 0.3 else found


def _apply(writes: Iterable[tuple[int, int, bytes | None]]) -> bytes:
    found = bytearray()
    for _, offset, data in writes:
        end = offset if data is None else offset + len(data)
        if end > len(found):
            found.extend(bytes(end - len(found)))
        if data is None:
            del found[offset:]
        else:
            found[offset:end] = data
    return bytes(found)


@dataclass(frozen=True)
class Move:
    """One change of names, which happens whole or not at all: what each name leads to then, None for nothing."""

    number: int
    names: tuple[tuple[Node, str, Node | None], ...]
    gone: Node | None
    """What it removed; a folder was empty then."""

    def nodes(self) -> Iterator[Node]:
        """All that it touches, folders too."""
        for folder, _, node in self.names:
            yield folder
            if node is not None:
                yield node


class History:
    """Everything that happened to the files below one folder, which began with nothing but some empty folders."""

    def __init__(self, root: Path, folders: Iterable[str], events: Iterable[Event]) -> None:
        self._root = os.fspath(root)
        self.top = Node(True, 0o755)
        self._inodes: dict[int, Node] = {}
        self.moves: list[Move] = []
        self.last = 0
        for name in folders:
            node = Node(True, 0o755)
            self._inodes[(root / name).stat().st_ino] = node
            self._move(Event("mkdir", 0, 0, 0, 0, 0, f"{root}/{name}", "", b""), [(self.top, name, node)])
        self._inodes[root.stat().st_ino] = self.top
        for event in events:
            self.last = event.number
            self._take(event)

    def _take(self, event: Event) -> None:
        where = self._find(event.path)
        if event.kind in ("create", "mkdir") and where is not None:
            self._inodes[event.inode] = node = Node(event.kind == "mkdir", event.mode)
            self._move(event, [(*where, node)])
        elif event.kind in ("rename", "link", "unlink") and where is not None:
            self._rename(event, *where)
        elif (known := self._inodes.get(event.inode)) is None:
            return  # made by somebody who is not recorded, such as a task
        elif event.kind == "fsync":
            known.syncs.append((event.began, event.number))
        elif event.kind in ("write", "grow"):
            data = event.data if event.kind == "write" else None
            known.writes.append((event.number, event.offset, data))
            end = event.offset + len(event.data)
            if data is None or end > known.length:
                known.touched.append(event.number)
            known.length = end if data is None else max(end, known.length)

    def _rename(self, event: Event, folder: Node, name: str) -> None:
        other = self._find(event.other) if event.other else None
        if event.kind == "link":
            node = other and other[0].entries.get(other[1])
            if node:
                self._move(event, [(folder, name, node)])
        elif (node := folder.entries.get(name)) is not None:  # else a socket, or of somebody who is not recorded
            self._move(event, [(folder, name, None), *([(*other, node)] if other else [])])

    def _move(self, event: Event, names: list[tuple[Node, str, Node | None]]) -> None:
        folder, name, node = names[0]
        gone = folder.entries.get(name) if len(names) == 1 and node is None else None
        move = Move(event.number, tuple(names), gone)
        self.moves.append(move)
        for node in set(move.nodes()):
            node.touched.append(event.number)
        for folder, name, node in names:
            _bind(folder.entries, name, node)

    def _find(self, path: str) -> tuple[Node, str] | None:
        """The folder that a path leads into, and the name there; None for one that is not known."""
        parts = os.path.normpath(path).removeprefix(self._root).strip("/").split("/")
        folder = self.top
        for part in parts[:-1]:
            if part not in folder.entries:
                return None
            folder = folder.entries[part]
        return folder, parts[-1]

    # ── a cut ─────────────────────────────────────────────────────────────────────────────────────────────────

    def kept(self, cut: int, names: Names, tail: Tail, chance: random.Random) -> list[Move]:
        """The changes of names that a disk may hold after a cut."""
        happened = self.moves[: bisect_right(self.moves, cut, key=lambda move: move.number)]
        sure = 0
        if names is Names.JOURNAL:
            nodes = {node for move in happened for node in move.nodes()}
            sure = max((node.touched[bisect_right(node.touched, node.synced(cut)) - 1]
                        for node in nodes if node.synced(cut) >= node.touched[0]), default=0)
        limit = {Tail.NOTHING: sure, Tail.ALL: cut, Tail.SOME: chance.randint(sure, cut)}[tail]
        if names is Names.JOURNAL:
            return [move for move in happened if move.number <= limit]

        def durable(move: Move) -> bool:
            if names is Names.LETTER:
                made = any(node is not None and node.folder for _, _, node in move.names)
                return made or all(folder.synced(cut) >= move.number for folder, _, _ in move.names)
            return any(node.synced(cut) >= move.number for node in move.nodes())

        return _with_what_they_need(happened, lambda move: move.number <= limit or durable(move))

    def rebuild(self, target: Path, cut: int, names: Names, tail: Tail, chance: random.Random) -> None:
        """Makes the folder as a disk may hold it when the power fails right after an event."""
        entries: dict[Node, dict[str, Node]] = {}
        for move in self.kept(cut, names, tail, chance):
            for folder, name, node in move.names:
                _bind(entries.setdefault(folder, {}), name, node)
        target.mkdir(mode=0o755)
        todo = [(self.top, target)]
        while todo:
            folder, path = todo.pop()
            for name, node in entries.get(folder, {}).items():
                if name.endswith("-shm"):
                    continue  # written through memory; SQLite makes it anew
                if node.folder:
                    (path / name).mkdir(mode=0o700)
                    todo.append((node, path / name))
                else:
                    (path / name).write_bytes(node.data(cut, tail, chance))
                (path / name).chmod(node.mode)


def _with_what_they_need(moves: list[Move], sure: Callable[[Move], bool]) -> list[Move]:
    """The moves that are sure, and the earlier ones without which these make no sense."""
    nodes: set[Node] = set()
    names: set[tuple[Node, str]] = set()
    emptied: set[Node] = set()
    kept = []
    for move in reversed(moves):
        folders = {folder for folder, _, _ in move.names}
        mine = {(folder, name) for folder, name, _ in move.names}
        bound = {node for _, _, node in move.names if node is not None}
        if sure(move) or bound & nodes or mine & names or folders & emptied:
            nodes |= folders | bound
            names |= mine
            emptied |= {move.gone} if move.gone is not None and move.gone.folder else set()
            kept.append(move)
    return kept[::-1]


def _bind(entries: dict[str, Node], name: str, node: Node | None) -> None:
    if node is None:
        entries.pop(name, None)
    else:
        entries[name] = node
