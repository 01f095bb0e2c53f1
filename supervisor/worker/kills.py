"""How many processes the kernel has killed for lack of memory, anybody's."""

from __future__ import annotations

import os
import time

COUNT_EVERY = 5.0  # seconds; the count of kills for lack of memory that a task starts from is no older


def kills_counted(path: str) -> int | None:
    """How many, in the control group whose file this is, or anywhere; None where that can't be told now."""
    try:
        with open(path, "rb", buffering=0) as file:
            found = file.read(1 << 16)
        return int(found[found.index(b"oom_kill ") + 9 :].split(None, 1)[0])
    except (OSError, ValueError):
        return None  # no descriptor left, or a kernel that does not count


def find_oom_file() -> str:
    """The narrowest counter of kills for lack of memory: memory.events of our cgroup (v2) covers what is below it."""
    try:
        with open("/proc/self/cgroup", encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                number, _, path = line.rstrip("\n").split(":", 2)
                events = f"/sys/fs/cgroup{path}/memory.events"
                if number == "0" and os.access(events, os.R_OK):
                    return events
    except FileNotFoundError:
        pass  # a kernel without control groups
    return "/proc/vmstat"


OOM_FILE = find_oom_file()


class Kills:
    """The count, anybody's, as it was last read."""

    first: tuple[int | None, float] = (None, -COUNT_EVERY)
    """What the spawner has counted for those that it forks."""

    def __init__(self) -> None:
        self.path = OOM_FILE
        self.count, self.at = self.first

    def narrow(self, path: str) -> None:
        """Only those of one control group, from now on."""
        self.path, self.at = path, -COUNT_EVERY

    def refresh(self) -> None:
        """Before a task begins: whoever was killed by now was none of it."""
        if time.monotonic() > self.at + COUNT_EVERY:
            self.more()

    def more(self) -> bool:
        """Whether the kernel has killed anything since this was last asked."""
        before, self.at = self.count, time.monotonic()
        self.count = kills_counted(self.path)
        return before is not None and self.count is not None and self.count > before

    @classmethod
    def prepare(cls) -> None:
        """For the workers that are forked next: no call that one makes before its first task costs as much."""
        now = time.monotonic()
        if now > cls.first[1] + COUNT_EVERY:
            cls.first = kills_counted(OOM_FILE), now
