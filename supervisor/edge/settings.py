"""The settings files of a daemon: where they are, read at the start, and looked at again while it runs.

A file that isn't there says nothing. One that can't be read or understood stops a start; later it is told, and what
was in force stays so. What they may say, and what it means, is `core.settings`'s.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gristmill.supervisor.core.errors import GristError, Problem
from gristmill.supervisor.core.sanitise import safe

if TYPE_CHECKING:
    from gristmill.supervisor.core.settings import Settings

MOST_BYTES = 1 << 20


def paths(jobs: Path, environ: Mapping[str, str]) -> tuple[Path, Path]:
    """The user's own settings file, and that of the jobs folder, which wins."""
    home = environ.get("XDG_CONFIG_HOME", "")
    if not home.startswith("/"):  # a relative one is to be ignored, says its specification
        home = os.path.join(os.path.expanduser("~"), ".config")
    return Path(home, "gristmill", "settings.toml"), jobs / ".gristmill" / "settings.toml"


def local() -> datetime:
    """The time on the wall's clock, also after the machine was moved to another time zone."""
    time.tzset()
    return datetime.now()


class SettingsFiles:
    """Settings from files, the later before the earlier, and from options, which win over all."""

    def __init__(self, files: Sequence[Path], options: Mapping[str, Any] | None = None) -> None:
        """`options` are by key and in the types of `Settings`."""
        from gristmill.supervisor.core.settings import settle  # here, for a doctor that finds no file to start fast

        self._files, self._options = tuple(files), dict(options or {})
        self._texts: tuple[str | OSError, ...] = ()
        self._seen: tuple[str | OSError, ...] = ()
        self._fault = ""
        self.settings = settle(self._options)
        """What is in force."""
        self.said: dict[Path, dict[str, Any]] = {}
        """What each file says that is there."""

    def read(self) -> Settings:
        """Reads all files; raises GristError with every problem in them."""
        self._texts = self._seen = self._read_texts()
        self._take()
        self._fault = ""
        return self.settings

    @property
    def pending(self) -> bool:
        """Whether the last look saw something else than what is in force, which the next is to be sure of."""
        return not _same(self._seen, self._texts)

    def look(self) -> tuple[Settings, str]:
        """What is in force now, and in words what is wrong with a change of the files, "" when nothing is.

        A change counts once two looks have seen the same: an editor may empty or remove a file for a moment. Asked
        by looking into the files, as their times may be too coarse to tell; may wait for a slow disk.
        """
        texts = self._read_texts()
        held, self._seen = _same(texts, self._seen), texts
        if held and not _same(texts, self._texts):
            self._texts = texts
            try:
                self._take()
                self._fault = ""
            except GristError as error:
                first, *more = str(error).splitlines()
                others = f" (and {len(more)} more)" if more else ""
                self._fault = f"settings: {first}{others}; those of before stay in force"
        return self.settings, self._fault

    def _read_texts(self) -> tuple[str | OSError, ...]:
        return tuple(map(_text, self._files))

    def _take(self) -> None:
        from gristmill.supervisor.core import settings

        said, faults = {}, []
        for path, text in zip(self._files, self._texts, strict=True):
            name = safe(str(path))
            try:
                if isinstance(text, str):
                    said[path] = settings.parse(text, name)
                elif text.errno not in (errno.ENOENT, errno.ENOTDIR):
                    fault = Problem(0, 0, text.strerror or str(text), "make it a readable text file, or remove it")
                    raise settings.SettingsError(name, (fault,))
            except settings.SettingsError as error:
                faults.append(str(error))
        if faults:
            raise GristError("\n".join(faults))
        self.said = said
        self.settings = settings.settle(*said.values(), self._options)


def _text(path: Path) -> str | OSError:
    """What stands in a file, or why that can't be told; never waits for a pipe."""
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return OSError(errno.EINVAL, "not a plain file")
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        return error
    if len(content) > MOST_BYTES:
        return OSError(errno.EFBIG, "longer than 1 MiB")
    try:
        return content.decode()
    except UnicodeDecodeError:
        return OSError(errno.EILSEQ, "not UTF-8 text")


def _same(one: tuple[str | OSError, ...], other: tuple[str | OSError, ...]) -> bool:
    return tuple(map(_key, one)) == tuple(map(_key, other))


def _key(text: str | OSError) -> str | int | None:
    return text.errno if isinstance(text, OSError) else text
