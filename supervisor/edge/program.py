"""The program that interpreters of users run, kept as it was when the daemon began.

They are started at any time, and with a program that was replaced under the daemon's feet they would not understand it.
So what it consists of is read at once, and put into a folder of the daemon's own when it is first needed.
"""

from __future__ import annotations

import os
from pathlib import Path

PROGRAM = Path(__file__).parents[1] / "worker"
WARM = "warm.py"
"""The file that is run; it finds the others beside it."""


class Program:
    """Its files, in `folder` once they are needed."""

    def __init__(self, folder: Path, origin: Path | None = None) -> None:
        self._folder = folder
        self._texts = {file.name: file.read_bytes() for file in sorted((origin or PROGRAM).glob("*.py"))}
        self._placed = False

    def place(self) -> Path:
        """The path of the file to run, whatever has become of the one that was installed. OSError without room."""
        if not self._placed or not all((self._folder / name).exists() for name in self._texts):
            self._folder.mkdir(mode=0o700, exist_ok=True)
            for name, text in self._texts.items():
                part = self._folder / f"{name}.part"
                part.unlink(missing_ok=True)
                fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o400)
                with os.fdopen(fd, "wb") as file:
                    file.write(text)
                part.rename(self._folder / name)
            self._placed = True
        return self._folder / WARM
