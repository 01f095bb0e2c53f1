"""Hints from the kernel that a file came; never the truth, which is the rescan's.

Uses watchdog's low layer: its observers hold events back half a second to pair moves, and a hint that is late is of
no use. A hint that is lost costs one rescan's delay and nothing else.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from watchdog.observers.inotify_c import CallbackId, InotifyConstants, InotifyEvent, InotifyFD, Mask, WatchDescriptor

log = logging.getLogger(__name__)

MASK = Mask(InotifyConstants.IN_MOVED_TO | InotifyConstants.IN_CLOSE_WRITE | InotifyConstants.IN_ONLYDIR)
AGAIN_S = 60.0
"""Seconds until inotify is asked again after it refused: its instances and watches are bounded for each user."""


class Bell:
    """Where a thread that looks waits for hints; anybody may ring, from any thread."""

    def __init__(self) -> None:
        self._names: dict[bytes, bool] = {}
        self._lock, self._event = threading.Lock(), threading.Event()
        self.closed = False

    def ring(self, name: bytes | None = None, moved: bool = False) -> None:
        """Something may have come: a file of this name, complete if it was moved there."""
        with self._lock:
            if name is not None:
                self._names[name] = moved
            self._event.set()

    def take(self) -> dict[bytes, bool]:
        """The names since the last time; rings no more until there is another hint."""
        with self._lock:
            names, self._names = self._names, {}
            self._event.clear()
        return names

    def put_back(self, names: Mapping[bytes, bool]) -> None:
        """Names that were taken and are to be looked at again, unless there is a newer hint."""
        with self._lock:
            self._names = {**names, **self._names}

    @property
    def rung(self) -> bool:
        """Whether there was a hint since the last `take`."""
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Waits for a hint; False when there was none for so long."""
        return self._event.wait(seconds)

    def close(self) -> None:
        """Lets go whoever waits, for good."""
        self.closed = True
        self._event.set()


class Watch:
    """Watches one folder; calls `hint` in watchdog's thread with a file's name and whether it is complete already."""

    def __init__(self, hint: Callable[[bytes | None, bool], None]) -> None:
        self._hint = hint
        self._descriptor: WatchDescriptor | None = None
        self._inode: tuple[int, int] | None = None
        self._refused = -AGAIN_S
        self._id = CallbackId(id(self))

    def follow(self, folder: Path) -> None:
        """Watches `folder`, anew if it was removed and remade since; without inotify only the rescan is left."""
        status = os.stat(folder)
        inode = (status.st_dev, status.st_ino)
        if inode == self._inode and (self._descriptor is not None or time.monotonic() < self._refused + AGAIN_S):
            return
        self.close()
        try:
            self._descriptor = InotifyFD.get_instance().add_callback(os.fsencode(folder), MASK, self, self._id)
            self._refused = -AGAIN_S
        except OSError as error:
            if self._refused < 0:
                log.warning("no hints for %s (%s): files are found by looking every few seconds", folder, error)
            self._refused = time.monotonic()
        self._inode = inode

    def close(self) -> None:
        """Stops watching."""
        descriptor, self._descriptor = self._descriptor, None  # which watchdog's thread may take away as well
        if descriptor is not None:
            InotifyFD.get_instance().remove_callbacks([(descriptor, self._id)])

    def on_event(self, event: InotifyEvent) -> None:
        """A file was moved here or closed after writing (called by watchdog)."""
        if not event.is_directory:
            self._hint(event.name, event.is_moved_to)

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:
        """The folder is gone (called by watchdog); `follow` finds the next one."""
        if wd == self._descriptor:
            self._descriptor = None
            self._hint(None, False)

    def on_queue_overflow(self) -> None:
        """Events were dropped (called by watchdog)."""
        self._hint(None, False)
