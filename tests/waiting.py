"""Waiting for what other processes bring about: until it is so, with a deadline; and letting time pass."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from typing import TypeVar

DEADLINE = 60.0
"""Seconds that anything awaited may take; many times what it does take, on a machine that is busy with other tests."""

Found = TypeVar("Found")


def until(
    what: Callable[[], Found], why: str | Callable[[], str], seconds: float = DEADLINE, pause: float = 0.01
) -> Found:
    """The first true value of `what`, which is asked after each pause; an AssertionError that says `why` at the
    deadline."""
    end = time.monotonic() + seconds
    while not (value := what()):
        assert time.monotonic() < end, why if isinstance(why, str) else why()
        after(pause)
    return value


def after(seconds: float) -> None:
    """Lets time pass, for what has to be so for a while."""
    select.select([], [], [], seconds)
