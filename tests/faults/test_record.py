"""The record holds every call, and `replay` makes of it what was synced, what was not, and nothing else."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.replay import History, Names, Tail, read
from tests.faults.shim import Library, Shim
from tests.waiting import DEADLINE


class Folder:
    """A folder whose changes are recorded, and what disks may hold of it."""

    def __init__(self, base: Path, library: Library) -> None:
        self.path, self._base = base / "data", base
        self.path.mkdir()
        self._shim = Shim(library, base / "shim", role="worker")
        self._shim.record(self.path, base / "record")

    def run(self, code: str) -> dict[str, bytes | None]:
        """Runs Python code in it; returns what lies there then."""
        script = self._base / "cold.py"
        script.write_text(f"import os\nos.chdir('data')\n{code}\n")
        words = [sys.executable, "-I", "-S", str(script)]
        subprocess.run(words, env=self._shim.env, cwd=self._base, check=True, timeout=DEADLINE)
        return contents(self.path)

    def after_cut(self, names: Names, tail: Tail, cut: int | None = None, seed: int = 0) -> dict[str, bytes | None]:
        """What a disk holds after a cut, by default at the end."""
        history = History(self.path, [], read(self._base / "record"))
        target = self._base / "cut"
        history.rebuild(target, history.last if cut is None else cut, names, tail, random.Random(seed))
        found = contents(target)
        shutil.rmtree(target)
        return found

    def numbers(self, kind: str) -> list[int]:
        """The events of a kind."""
        return [event.number for event in read(self._base / "record") if event.kind == kind]


def contents(folder: Path) -> dict[str, bytes | None]:
    return {str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes() for path in folder.rglob("*")}


@pytest.fixture
def folder(library: Library, tmp_path: Path) -> Folder:
    return Folder(tmp_path, library)


CALLS = {
    "create": "open('a', 'w').close()",
    "write": "f = open('a', 'wb', 0); f.write(b'one'); f.seek(1); f.write(b'two')",
    "append": "open('a', 'w').write('one'); open('a', 'a').write('two'); os.write(os.open('a', os.O_APPEND | 1), b'3')",
    "pwrite": "f = open('a', 'wb', 0); os.pwrite(f.fileno(), b'x', 5000); os.pwrite(f.fileno(), b'y', 3)",
    "truncate at open": "open('a', 'w').write('one'); open('a', 'w').write('2')",
    "ftruncate": "f = open('a', 'wb', 0); f.write(b'three'); f.truncate(2); f.truncate(4)",
    "fallocate": "f = open('a', 'wb', 0); os.posix_fallocate(f.fileno(), 0, 9000)",
    "rename over": "open('a', 'w').write('one'); open('b', 'w').write('two'); os.rename('a', 'b')",
    "rename to elsewhere": "os.mkdir('d'); open('a', 'w').write('one'); os.rename('a', 'd/b')",
    "rename of a folder": "os.mkdir('d'); open('d/a', 'w').close(); os.rename('d', 'e'); open('e/b', 'w').write('2')",
    "link": "open('a', 'w').write('one'); os.link('a', 'b'); open('b', 'a').write('two')",
    "unlink": "open('a', 'w').close(); os.unlink('a'); open('a', 'w').write('new')",
    "rmdir": "os.mkdir('d'); os.mkdir('d/e'); os.rmdir('d/e')",
    "by descriptor": "d = os.open('.', 0); os.mkdir('d', dir_fd=d); open('a', 'w').close();"
                     "os.rename('a', 'd/a', src_dir_fd=d, dst_dir_fd=d); os.unlink('d/a', dir_fd=d)",
    "written after its removal": "f = open('a', 'w'); os.unlink('a'); f.write('x'); f.close(); open('b', 'w').close()",
}


@pytest.mark.parametrize("call", CALLS)
def test_a_record_explains_all_that_lies_in_the_folder(folder: Folder, call: str) -> None:
    real = folder.run(CALLS[call])
    assert real or call == "unlink"
    for names in Names:
        assert folder.after_cut(names, Tail.ALL) == real


def test_nothing_is_there_that_was_not_synced(folder: Folder) -> None:
    folder.run("f = open('a', 'wb', 0); f.write(b'one'); os.fsync(f.fileno()); f.write(b'two'); open('b', 'w').close()")
    for names in (Names.JOURNAL, Names.ALONE):
        assert folder.after_cut(names, Tail.NOTHING) == {"a": b"one"}
    assert folder.after_cut(Names.LETTER, Tail.NOTHING) == {}
    assert folder.after_cut(Names.JOURNAL, Tail.NOTHING, cut=folder.numbers("fsync")[0] - 1) == {}


def test_a_rename_is_durable_with_its_folder_or_with_the_journal(folder: Folder) -> None:
    folder.run("""
os.mkdir('d'); os.mkdir('e')
f = open('d/a', 'w'); os.fsync(f.fileno()); os.fsync(os.open('d', 0)); os.fsync(os.open('.', 0))
os.rename('d/a', 'e/a')
g = open('g', 'w'); os.fsync(g.fileno())
""")
    assert folder.after_cut(Names.JOURNAL, Tail.NOTHING) == {"d": None, "e": None, "e/a": b"", "g": b""}
    assert folder.after_cut(Names.ALONE, Tail.NOTHING) == {"d": None, "e": None, "d/a": b"", "g": b""}
    folder.run("os.fsync(os.open('e', 0))")
    assert folder.after_cut(Names.ALONE, Tail.NOTHING) == {"d": None, "e": None, "e/a": b"", "g": b""}
    assert folder.after_cut(Names.LETTER, Tail.NOTHING) == {"d": None, "e": None, "d/a": b""}
    folder.run("os.fsync(os.open('d', 0))")
    assert folder.after_cut(Names.LETTER, Tail.NOTHING) == {"d": None, "e": None, "e/a": b""}


def test_a_file_is_not_lost_with_the_folder_that_it_left(folder: Folder) -> None:
    folder.run("""
os.mkdir('d'); open('d/a', 'w').close(); os.fsync(os.open('d', 0))
os.rename('d/a', 'b'); os.rmdir('d'); os.mkdir('c'); os.fsync(os.open('.', 0))
""")
    for names in Names:
        assert folder.after_cut(names, Tail.NOTHING) == {"b": b"", "c": None}


def test_what_was_not_synced_may_be_torn_missing_or_zeros(folder: Folder) -> None:
    folder.run("f = open('a', 'wb', 0); os.fsync(f.fileno())\nfor c in b'1234': f.write(bytes([c]) * 600)")
    found = {folder.after_cut(Names.JOURNAL, Tail.SOME, seed=seed)["a"] for seed in range(80)}
    whole = b"".join(bytes([c]) * 600 for c in b"1234")
    assert {b"", whole, whole[:512], whole[:600], whole[:600].ljust(2400, b"\0")} <= found
    assert any(data and data[:600] == bytes(600) and data[-1] for data in found), "never a hole"
