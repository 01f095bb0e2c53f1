"""A file system of its own for a test, whose power can be cut: an ext4 image on a loop device.

Owns the image, its mount and the end of whatever still lies in it; needs root. What a cut leaves is what ext4 had
made durable by then and nothing else: the file system is shut down without so much as flushing its journal, and the
next mount finds what a machine finds after its power failed.
"""

from __future__ import annotations

import fcntl
import os
import select
import shutil
import signal
import struct
import subprocess
import time
from pathlib import Path

import pytest

SIZE = 96 << 20
GOING_DOWN = 0x8004587D  # FS_IOC_GOINGDOWN: _IOR('X', 125, __u32)
NO_LOG_FLUSH = 2
PATIENCE_S = 15.0


class Disk:
    """The image `disk.img` in a folder, mounted beside it; a context manager that leaves nothing mounted."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "disk"
        self._image = folder / "disk.img"

    def __enter__(self) -> Disk:
        """Makes and mounts it; skips the test where that is not allowed or not there."""
        if os.geteuid() != 0:
            pytest.skip("a file system can be mounted by root alone")
        for tool in ("mkfs.ext4", "mount", "umount"):
            if shutil.which(tool) is None:
                pytest.skip(f"{tool} is not installed")
        self.path.mkdir()
        with self._image.open("wb") as file:
            file.truncate(SIZE)
        subprocess.run(["mkfs.ext4", "-q", "-F", str(self._image)], check=True)
        done = self._mount()
        if done.returncode != 0:
            pytest.skip(f"no loop device can be mounted here: {done.stderr.strip()}")
        return self

    def __exit__(self, *_: object) -> None:
        if os.path.ismount(self.path):
            self.unmount()

    def mount(self) -> None:
        """Mounts it again; the file system mends itself from its journal."""
        done = self._mount()
        assert done.returncode == 0, done.stderr

    def _mount(self) -> subprocess.CompletedProcess[str]:
        command = ["mount", "-o", "loop", str(self._image), str(self.path)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def cut(self) -> None:
        """Cuts the power: from here on nothing reaches the disk, and what had not is gone."""
        fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(fd, GOING_DOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(fd)

    def unmount(self) -> None:
        """Ends all that still has a file open there, and unmounts; lazily where even that does not help."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            for pid in self.users():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            if subprocess.run(["umount", str(self.path)], capture_output=True, check=False).returncode == 0:
                return
            select.select([], [], [], 0.05)
        subprocess.run(["umount", "--lazy", str(self.path)], check=True)
        raise AssertionError(f"{self.path} was still in use by {self.users()}")

    def users(self) -> list[int]:
        """The pids of processes that have a file, or their working folder, there: daemon, workers and tasks."""
        found = []
        for entry in os.listdir("/proc"):
            if not entry.isdigit() or int(entry) == os.getpid():
                continue
            try:
                links = [f"/proc/{entry}/cwd", *(f"/proc/{entry}/fd/{fd}" for fd in os.listdir(f"/proc/{entry}/fd"))]
            except OSError:
                continue  # it has just ended
            if any(self._leads_here(link) for link in links):
                found.append(int(entry))
        return found

    def _leads_here(self, link: str) -> bool:
        try:
            target = os.readlink(link)
        except OSError:
            return False  # closed in the meantime
        return target == str(self.path) or target.startswith(f"{self.path}/")
