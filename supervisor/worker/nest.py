"""Where a runner has the children that make one call each: what they are born with, and how they answer.

Standard library only, Python ≥ 3.8. An answer fits into a pipe: what is longer is a file.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # of CPython, whatever its version
import ctypes
import gc
import json
import os
import signal
import sys
from typing import Any

from . import outcome
from .shop import Shop

PR_SET_PDEATHSIG = 1
APART = {15: signal.SIG_IGN, 17: signal.SIG_DFL}
"""What TERM and CHLD mean to a runner with children, whatever the user's module made of them: it is there to tell how
its child ended. By numbers, and below by `_signal`, which knows no enums: each page that a child need not write to is
spared for each call."""
ANSWER_MOST = 1 << 16

_prctl = ctypes.CDLL(None).prctl  # with arguments as they are, for the same reason


class Nest:
    """What all children of a runner have in common."""

    def __init__(self, shop: Shop, private: list[int]) -> None:
        """`private` are the runner's own descriptors, which no call is to find."""
        self.shop, self.runner = shop, os.getpid()
        heed_signals({**shop.dispositions, **APART})
        self.ours, self.theirs = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.private = [*private, self.ours]

    def leave(self, files: list[int]) -> None:
        """Makes a child that has just been forked into a process of a task's: one that ends should its runner be
        killed, for only that one is known by the journal. `files` are further descriptors of the runner's."""
        _prctl(PR_SET_PDEATHSIG, 9)
        if os.getppid() != self.runner:
            os._exit(1)
        os.setsid()
        for fd in (*self.private, *files):
            os.close(fd)
        for number in APART:
            _signal.signal(number, self.shop.dispositions[number])
        come_of_age(self.shop)

    def say(self, answer: dict[str, Any]) -> None:
        """The child's answer."""
        if answer.keys() == {"code", "value"}:  # as most are, without an encoder and the pages that it is made of
            text = f'{{"code":{answer["code"]},"value":{outcome.quote(answer["value"])}}}'
        else:
            text = outcome.encode(answer)
        os.write(self.theirs, text.encode())

    def hear(self) -> dict[str, Any]:
        """What the child that has ended has answered; nothing of one that did not come to that."""
        try:
            words: dict[str, Any] = json.loads(os.read(self.ours, ANSWER_MOST))
        except (BlockingIOError, ValueError):
            return {}
        return words


def reseed() -> None:
    """Gives this process a stream of random numbers of its own; Python's `random` does that at each fork by itself."""
    numpy = sys.modules.get("numpy.random")
    if numpy is not None:
        numpy.seed()


def heed_signals(dispositions: dict[int, Any]) -> None:
    """Signals mean this to the process from here on, and are heard."""
    for number, disposition in dispositions.items():
        signal.signal(number, disposition)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def come_of_age(shop: Shop) -> None:
    """From here on the process has random numbers of its own, and its garbage is collected as the user's module has
    it."""
    reseed()
    on, thresholds = shop.collector
    gc.set_threshold(*thresholds)
    if on:
        gc.enable()
