"""The files that take what tasks write."""

from __future__ import annotations

import os
import time

LOG_LOOKS = (0.05, 1.0)  # seconds between two looks at a log with a limit: the shortest and the longest pause
LOG_TAIL = 1 << 20  # bytes kept of a log's end when its middle is cut out, at most


def rename(source: str, target: str) -> None:
    """Moves a file, into a folder that is made if need be."""
    try:
        os.rename(source, target)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(target), 0o700, exist_ok=True)
        os.rename(source, target)


class Output:
    """A file that takes what tasks write: given from one task to the next until one has written into it.

    Files are what dispatch costs; a task that writes nothing makes none. Where the last one of a job has written, the
    next one's file is made under its final name at once.
    """

    def __init__(self, run: str, kind: str) -> None:
        self.run, self.kind = run, kind
        self.fd = -1
        self.serial = 0  # of how many files it has been the latest
        self.path = ""
        self.filled = ""  # the folder of the last file, if something was written into that

    def open(self, logs: str = "", name: str = "") -> int:
        """Its descriptor; the empty file of the task before is used again. `logs` and `name` say what it is likely to
        be called."""
        if self.fd < 0:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            if logs and logs == self.filled:
                try:
                    self.path = f"{logs}/{name}.{self.kind}"
                    self.fd = os.open(self.path, flags, 0o600)
                except OSError:
                    pass  # there is one of that name, or no folder: it is renamed as ever
            if self.fd < 0:
                self.path = f"{self.run}/{self.kind}"
                self.fd = os.open(self.path, flags, 0o600)
            self.serial += 1
        return self.fd

    def begin(self, folder: str, name: str, key: str, most: int, now: float) -> None:
        """Belongs to task `key` from now on, will be of this name in that folder, and may hold `most` bytes (0: no
        limit)."""
        target = f"{folder}/{name}.{self.kind}"
        self.folder, self.target, self.key, self.most = folder, target, key, most
        self.named = self.path == target
        self.born = self.seen_at = now
        self.look = now if most else None  # when its size is looked at next
        self.seen = 0
        self.cut = 0  # bytes left out of it
        self.mark = 0  # bytes of the line that says so

    def name(self) -> None:
        """Gives it its final name, while the task runs or afterwards."""
        self.named = True
        try:
            rename(self.path, self.target)
            self.path = self.target
        except OSError:
            kept = f"{self.run}/{self.kind}.{self.key}"  # kept where it can be; the daemon moves it later
            os.rename(self.path, kept)
            self.path = kept

    def take_back(self) -> bool:
        """Belongs to no task any more, after one that has written nothing into it: the next one can have it.

        To remove it and make another costs more than all else that is done for a task, on some file systems.
        """
        if self.named:
            try:
                os.rename(self.path, f"{self.run}/{self.kind}")
            except OSError:
                return False
            self.named = False
            self.path = f"{self.run}/{self.kind}"
        return True

    def keep(self) -> str:
        """The path of what the task wrote, or "" when it wrote nothing. The task and all its children are gone."""
        written = os.fstat(self.fd).st_size
        self.filled = self.folder if written else ""
        if written > self.most > 0:
            self.bound(time.monotonic())
        if not written and self.take_back():
            return ""
        if not written:
            os.unlink(self.path)
            os.close(self.fd)
            self.fd = -1
            return ""
        if not self.named:
            self.name()
        os.close(self.fd)
        self.fd = -1
        return self.path

    def bound(self, now: float) -> None:
        """Looks at its size, cuts its middle out where that passes the limit, plans the next look."""
        size = os.fstat(self.fd).st_size
        if size > self.most:
            try:
                self.cut_middle(size)
            except OSError:
                pass  # no descriptor, no room even for less: the next look tries again
            size = os.fstat(self.fd).st_size
        growth = (size - self.seen) / max(1e-3, now - self.seen_at)
        pause = (self.most - size) / growth / 2 if growth > 0 else now - self.born  # half the way to the limit
        self.seen, self.seen_at = size, now
        self.look = now + min(LOG_LOOKS[1], max(LOG_LOOKS[0], pause))

    def cut_middle(self, size: int) -> None:
        """Keeps the first half of the limit and the newest lines, with a line between them that says what is gone.

        The file is cut back and written on, since the task holds it open for appending. What the task writes in the
        moment between the two is newer than what is kept, and is put behind it: readers find the line by its place.
        """
        head, tail = self.most // 2, min(LOG_TAIL, self.most // 4)
        file = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)  # writes where it is told
        try:
            end = os.pread(file, tail, size - tail)
            end = end[end.find(b"\n") + 1 :]
            size = os.fstat(file).st_size
            os.ftruncate(self.fd, head)  # at once: what is written between these two is lost and not counted
            self.cut += size - head - len(end) - self.mark
            line = b"\n[gristmill: %d bytes left out here: limits.log = %d]\n" % (self.cut, self.most)
            self.mark = len(line)
            os.write(self.fd, line + end)
            if os.pread(file, len(line), head) != line:
                found = os.pread(file, tail + LOG_TAIL, head)
                if (between := found.find(line + end)) > 0:
                    os.pwrite(file, line + end + found[:between], head)
        finally:
            os.close(file)
