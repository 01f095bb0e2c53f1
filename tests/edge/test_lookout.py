"""The thread that looks into a real folder: what it finds, and whom it wakes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gristmill.supervisor import lookout
from gristmill.supervisor.core.errors import FolderError
from gristmill.supervisor.edge.folder import JobsFolder
from gristmill.supervisor.lookout import Lookout
from tests.waiting import DEADLINE

LOOKS = 5


class Watched(JobsFolder):
    """A folder that says when it was looked at so often and nothing was there."""

    looks = 0
    goes_at = 0  # the look in which it goes

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.seen = threading.Event()

    def empty(self) -> bool:
        self.looks += 1
        if self.looks >= LOOKS:
            self.seen.set()
        if self.looks == self.goes_at:
            self.path.rename(self.path.with_name("elsewhere"))
        return super().empty()


@pytest.fixture
def folder(tmp_path: Path) -> Watched:
    path = tmp_path / "jobs"
    path.mkdir(mode=0o755)
    return Watched(path)


@pytest.fixture
def looking(folder: Watched, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lookout]:
    monkeypatch.setattr(lookout, "LOOK_EVERY", 0.02)
    looker = Lookout(folder)
    yield looker
    looker.close()


async def names(looking: Lookout) -> list[bytes]:
    return [item.name for item in await looking.next()]


async def quiet(looking: Lookout, folder: Watched) -> asyncio.Task[list[bytes]]:
    """Who awaits the next file, once it was looked for a few times."""
    assert await looking.first() == []
    waiting = asyncio.create_task(names(looking), name="next")
    assert await asyncio.to_thread(folder.seen.wait, DEADLINE)
    return waiting


async def found(waiting: asyncio.Task[list[bytes]], looking: Lookout) -> list[bytes]:
    """What comes in the end: a look may see a file that is not known to be complete yet."""
    while not (files := await asyncio.wait_for(waiting, DEADLINE)):
        waiting = asyncio.create_task(names(looking), name="next")
    return files


async def test_an_empty_folder_is_looked_at_and_nobody_is_woken(looking: Lookout, folder: Watched) -> None:
    waiting = await quiet(looking, folder)
    assert not waiting.done()
    looking.let_go()
    assert await asyncio.wait_for(waiting, DEADLINE) == []


async def test_a_file_is_found_by_a_hint(looking: Lookout, folder: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = await quiet(looking, folder)
    monkeypatch.setattr(lookout, "LOOK_EVERY", 1000.0)
    (folder.path.parent / "a.toml").write_text("command = 'true'\n")
    (folder.path.parent / "a.toml").rename(folder.path / "a.toml")
    assert await found(waiting, looking) == [b"a.toml"]


async def test_what_no_hint_tells_of_is_found_by_looking(looking: Lookout, folder: Watched) -> None:
    script = folder.path / "script"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o600)
    waiting = await quiet(looking, folder)
    script.chmod(0o700)  # only now it is a job
    assert await found(waiting, looking) == [b"script"]


async def test_a_folder_that_goes_while_it_is_looked_into_is_told_as_well(looking: Lookout, folder: Watched) -> None:
    folder.goes_at = LOOKS + 2
    waiting = await quiet(looking, folder)
    with pytest.raises(FolderError):
        await asyncio.wait_for(waiting, DEADLINE)


async def test_a_folder_that_goes_is_told(looking: Lookout, folder: Watched) -> None:
    waiting = await quiet(looking, folder)
    folder.path.rename(folder.path.with_name("elsewhere"))
    with pytest.raises(FolderError):
        await asyncio.wait_for(waiting, DEADLINE)
