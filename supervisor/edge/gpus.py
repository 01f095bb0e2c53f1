"""Reads the NVIDIA cards of this machine, through the driver's own library (NVML) as `nvidia-ml-py` gives it.

A card that is split up (MIG) is shown as its parts. One that has fallen off the bus, or does not answer, is shown with
that fault; the others go on. Any call may take long where a card hangs: ask in a thread.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator
from typing import Any

from gristmill.supervisor.core.cards import Card

ANCESTORS_MOST = 64


class NoCardsError(Exception):
    """There are no cards to be seen; says why."""


class Gpus:
    """The driver's library, opened at the first look and again when the driver has come back."""

    def __init__(self) -> None:
        self._nvml: Any = None

    def look(self, ours: Collection[int]) -> tuple[Card, ...]:
        """The cards as they are now, in the order of the bus; processes below the pids `ours` are ours. Raises
        `NoCardsError`."""
        nvml = self._opened()
        try:
            count = nvml.nvmlDeviceGetCount()
        except nvml.NVMLError as error:
            self.close()
            raise NoCardsError(f"the driver does not answer: {error}") from error
        found: list[Card] = []
        for index in range(count):
            try:
                handle = nvml.nvmlDeviceGetHandleByIndex(index)
                for part in self._parts(handle):
                    found.append(self._card(part, len(found), ours))
            except nvml.NVMLError as error:
                found.append(Card(uuid=f"card {index}", index=len(found), name=f"card {index}", fault=str(error)))
        if not found:
            raise NoCardsError("the driver sees no card")
        return tuple(found)

    def close(self) -> None:
        """Lets the library go."""
        if self._nvml is not None:
            with contextlib.suppress(self._nvml.NVMLError):  # it has gone by itself
                self._nvml.nvmlShutdown()
            self._nvml = None

    def _opened(self) -> Any:
        if self._nvml is None:
            try:
                import pynvml
            except ImportError as error:
                raise NoCardsError("to see cards, install gristmill[gpu]") from error
            try:
                pynvml.nvmlInit()
            except pynvml.NVMLError as error:
                raise NoCardsError(f"no NVIDIA driver answers here: {error}") from error
            self._nvml = pynvml
        return self._nvml

    def _parts(self, handle: Any) -> Iterator[Any]:
        """The card itself, or where it is split up the parts that can be used."""
        nvml = self._nvml
        try:
            split = nvml.nvmlDeviceGetMigMode(handle)[0]
        except nvml.NVMLError:
            split = 0  # a card that can't be
        if not split:
            yield handle
            return
        for place in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
            with contextlib.suppress(nvml.NVMLError_NotFound):  # a place without a part
                yield nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, place)

    def _card(self, handle: Any, index: int, ours: Collection[int]) -> Card:
        nvml = self._nvml
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
        processes = {one.pid: one.usedGpuMemory for one in nvml.nvmlDeviceGetComputeRunningProcesses(handle)}
        mine = {pid for pid in processes if _below(pid, ours)}
        own = sum(processes[pid] or 0 for pid in mine)
        strangers = processes.keys() - mine
        told = all(used is not None for used in processes.values())  # inside a container nobody is told
        theirs = sum(processes[pid] or 0 for pid in strangers) if told else max(0, memory.used - own) * bool(strangers)
        return Card(
            uuid=_text(nvml.nvmlDeviceGetUUID(handle)), index=index, name=_text(nvml.nvmlDeviceGetName(handle)),
            total_bytes=memory.total, ours_bytes=own, strangers_bytes=theirs, strangers=len(strangers),
            guests=sum(_owner(pid) != os.getuid() for pid in strangers),
        )


def _parent(pid: int) -> int:
    """Whose child a process is; 0 where it has gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            data = file.read()
    except OSError:
        return 0
    return int(data[data.rindex(b")") + 2 :].split()[1])


def _below(pid: int, roots: Collection[int]) -> bool:
    """Whether a process is one of `roots`, or comes from one."""
    for _ in range(ANCESTORS_MOST):
        if pid in roots:
            return True
        pid = _parent(pid)
        if pid <= 1:
            return False
    return False


def _owner(pid: int) -> int:
    """Whose process it is; -1 where it has gone, or lives where we can't see it."""
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return -1


def _text(said: str | bytes) -> str:
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else said
