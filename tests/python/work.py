"""What the tests have workers do: functions that another process finds by their module."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any


class OddError(Exception):
    """One with a field, which pickles."""

    def __init__(self, word: str, number: int) -> None:
        super().__init__(word, number)
        self.word, self.number = word, number


class StubbornError(Exception):
    """One that does not pickle."""

    def __init__(self) -> None:
        super().__init__("stubborn")
        self.lock = threading.Lock()


def add(a: int, b: int = 0) -> int:
    return a + b


def same(value: Any) -> Any:
    return value


def size(data: bytes) -> tuple[int, bytes]:
    return len(data), data


def fail(word: str) -> None:
    raise OddError(word, 7)


def fail_stubbornly() -> None:
    raise StubbornError


def give_lock() -> Any:
    return threading.Lock()


def fail_at(number: int, bad: int) -> int:
    if number == bad:
        raise ValueError(f"not {number}")
    return number


def say(word: str) -> int:
    print(word)
    print(word, "again", file=sys.stderr)
    return os.getpid()


def variable(name: str) -> str | None:
    return os.environ.get(name)


_mark: list[Any] = []


def set_mark(value: Any) -> None:
    _mark.append(value)


def marks() -> list[Any]:
    return _mark


def put(queue: Any, value: Any) -> None:
    queue.put(value)


def leave(code: int) -> None:
    sys.exit(code)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def vanish(code: int) -> None:
    os._exit(code)


def wait_for(path: str, seconds: float = 60.0) -> str:
    """Until the file is there; notes that it has begun beside it."""
    Path(f"{path}.begun.{os.getpid()}").touch()
    end = time.monotonic() + seconds
    while not Path(path).exists():
        if time.monotonic() > end:
            raise TimeoutError(path)
        time.sleep(0.01)
    return path


def append(path: str, word: str) -> str:
    """One line to a file, in one write."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(f"{word}\n")
    return word
