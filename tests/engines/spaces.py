"""Namespaces of the kernel's as throw-away machines: what a test starts in one has a network of its own, and if it is
to, a name and folders.

Works as root, and, where users may make namespaces, as anybody else. A process of ours holds each; all that lives in
one is found by the kernel's own word, and ended with it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests import waiting

DEADLINE_S = 120.0


def absent(*tools: str) -> str:
    """Why there can be none here, or nothing."""
    if missing := [tool for tool in ("unshare", "nsenter", "ip", *tools) if shutil.which(tool, path=PATH) is None]:
        return f"{missing[0]} is not installed"
    tried = subprocess.run(
        ["unshare", *_as_user(), "--net", "ip", "link", "set", "lo", "up"], capture_output=True, text=True, check=False
    )
    return f"no network namespace can be made: {tried.stderr.strip()}" if tried.returncode else ""


def no_user() -> str:
    """Why root can't become an ordinary user here who sees the same files as his own, or nothing."""
    if shutil.which(AS_NOBODY[0]) is None:
        return "unshare is not installed"
    tried = subprocess.run([*AS_NOBODY, "id", "-u"], capture_output=True, text=True, check=False)
    return "" if tried.stdout == "65534\n" else f"no user namespace can be made: {tried.stderr.strip()}"


AS_NOBODY = ["unshare", "--user", "--map-user=65534", "--map-group=65534"]
"""As an ordinary user without any rights, who owns what root owns: a checkout and a Python that are root's alone."""
PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


def _as_user() -> list[str]:
    return [] if os.geteuid() == 0 else ["--map-root-user"]


def until(what: Callable[[], object], why: str, said: Callable[[], str] = str) -> None:
    """Waits until `what` is true; fails at the deadline, with what was `said` meanwhile."""
    waiting.until(what, lambda: f"no {why}\n{said()}", DEADLINE_S, 0.05)


class Space:
    """Namespaces of their own (`net`, `uts`, `mount`), kept by a process that first runs a script of the shell's.

    Another `inside` of which it is made has the right to; without one, it is our own or that of a new user namespace.
    """

    def __init__(self, script: str, *kinds: str, inside: Space | None = None) -> None:
        self._user = os.geteuid() != 0
        self._kinds = kinds
        made = ["unshare", *(_as_user() if inside is None else []), *(f"--{kind}" for kind in kinds)]
        command = [*made, "sh", "-euc", f"{script}\necho up\nexec sleep infinity"]
        if inside is not None:
            command = inside.entering(*command)
        self.holder = subprocess.Popen(  # in a session of its own: Ctrl-C is for us, who end it
            command, stdout=subprocess.PIPE, env={**os.environ, "PATH": PATH}, start_new_session=True
        )
        assert self.holder.stdout is not None
        said = self.holder.stdout.readline()
        self.holder.stdout.close()
        assert said == b"up\n", "no namespace"
        self._started: list[subprocess.Popen[Any]] = []

    def entering(self, *command: str) -> list[str]:
        """How a command is started in it."""
        kinds = ["user", *self._kinds] if self._user else list(self._kinds)
        kept = ["--preserve-credentials"] if self._user else []
        return ["nsenter", *kept, *(f"--{kind}" for kind in kinds), f"--target={self.holder.pid}", *command]

    def start(self, *command: str, out: Path, env: Mapping[str, str], **how: Any) -> subprocess.Popen[Any]:
        """Starts a command that goes on."""
        with open(out, "ab") as file:
            started = subprocess.Popen(
                self.entering(*command), stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=dict(env),
                start_new_session=True, **how,
            )  # fmt: skip
        self._started.append(started)
        return started

    def run(self, *command: str, **how: Any) -> subprocess.CompletedProcess[str]:
        """Runs a command to its end."""
        return subprocess.run(
            self.entering(*command), capture_output=True, text=True, timeout=DEADLINE_S, check=False,
            **{"env": {**os.environ, "PATH": PATH}, **how},
        )  # fmt: skip

    def pids(self, word: str = "", program: str = "") -> list[int]:
        """What lives in it, of which the command line has a word, and that is this program."""
        place = os.readlink(f"/proc/{self.holder.pid}/ns/net")
        found = []
        for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{pid}/ns/net") == place and pid != self.holder.pid:
                    line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    if line and word in line and program in ("", Path(f"/proc/{pid}/comm").read_text().strip()):
                        found.append(pid)
        return found

    def end(self, which: Callable[[int], bool] = lambda pid: True) -> None:
        """Ends what lives in it at once, as when a machine's power goes."""
        chosen = [pid for pid in self.pids() if which(pid)]
        for number in (signal.SIGSTOP, signal.SIGKILL):  # stopped first: nobody is there to see another's end
            for pid in chosen:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
        until(lambda: not set(chosen) & set(self.pids()), "end of all processes")

    def close(self) -> None:
        """Ends it, with all that lives in it."""
        self.end()
        self.holder.kill()
        for process in (*self._started, self.holder):
            process.wait(DEADLINE_S)
