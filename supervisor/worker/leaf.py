"""The control group (v2) of one worker."""

from __future__ import annotations

import os


class Leaf:
    """The control group (v2) of one worker, in which its tasks are born: it bounds them, and counts who dies of that.

    None of it is a condition: a worker that can't have it works without.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.said = {"memory.max": "max", "memory.swap.max": "max", "cpu.weight": "100"}  # as it is when it is made

    def write(self, name: str, text: str) -> bool:
        """Whether the kernel took it; the file is beside our own ones where `name` says so."""
        try:
            fd = os.open(f"{self.path}/{name}", os.O_WRONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            os.write(fd, text.encode())
        except OSError:
            return False
        finally:
            os.close(fd)
        return True

    def enter(self) -> bool:
        return self.write("cgroup.procs", "0")

    def bound(self, bounds: dict[str, str]) -> None:
        """Has it say this from now on."""
        for name, text in bounds.items():
            if self.said.get(name) != text:
                self.said[name] = text
                self.write(name, text)

    def kill(self) -> None:
        """Ends all in it but ourselves, in one go that nothing can fork away from (Linux ≥ 5.14)."""
        if os.access(self.path + "/cgroup.kill", os.W_OK) and self.write("../daemon/cgroup.procs", "0"):
            self.write("cgroup.kill", "1")
            self.enter()
