"""The user's systemd: unit files on disk, and the manager that runs them, through `systemctl` and `loginctl`.

Each call has a deadline and comes back with what was said; nothing is concluded from it here.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PATIENCE_S = 60.0


def folder(environ: Mapping[str, str]) -> Path:
    """Where this user's units are."""
    home = environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    return Path(home) / "systemd" / "user"


def read(path: Path) -> str | None:
    """The unit file's text, None where there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return None


def write(path: Path, text: str) -> None:
    """Writes a unit file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fd, hidden = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(fd)
        os.chmod(hidden, 0o644)
        os.rename(hidden, path)
    except BaseException:
        os.unlink(hidden)
        raise


@dataclass(frozen=True, slots=True)
class Said:
    """How a call went: whether it did what it should, and its words."""

    good: bool
    words: str


class Manager:
    """The systemd manager of this user, which may not be there."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = dict(environ)
        runtime = f"/run/user/{os.geteuid()}"
        if not environ.get("XDG_RUNTIME_DIR") and os.path.isdir(runtime):
            self._environ["XDG_RUNTIME_DIR"] = runtime  # su and sudo leave it out, and systemctl needs it

    def systemctl(self, *words: str) -> Said:
        """`systemctl --user …`."""
        return self._call("systemctl", "--user", *words)

    def enable_linger(self, user: str) -> Said:
        """Has services of `user` stay after a logout."""
        return self._call("loginctl", "enable-linger", user)

    def absence(self) -> str:
        """Why no manager answers, "" when one does."""
        said = self.systemctl("show", "--property=Version")
        return "" if said.good and said.words else said.words or "it does not answer"

    def ask(self, unit: str) -> dict[str, str]:
        """The state of a unit as the manager sees it; empty where none answers."""
        said = self.systemctl("show", "--property=ActiveState,SubState,UnitFileState,MainPID,Result", unit)
        return dict(line.split("=", 1) for line in said.words.splitlines() if "=" in line) if said.good else {}

    def _call(self, *words: str) -> Said:
        try:
            done = subprocess.run(
                words, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", env=self._environ,
                timeout=PATIENCE_S, check=False,
            )
        except FileNotFoundError:
            return Said(False, f"there is no {words[0]}")
        except OSError as error:
            return Said(False, f"{words[0]}: {error.strerror}")
        except subprocess.TimeoutExpired:
            return Said(False, f"{words[0]} did not answer within {PATIENCE_S:.0f} s")
        said = done.stdout.strip() if done.returncode == 0 else done.stderr.strip() or done.stdout.strip()
        return Said(done.returncode == 0, said)
