"""A daemon of another user, where this one is root and may become somebody else."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.mill import Mill

NOBODY = 65534


class ByAnother(Mill):
    """A daemon, its files and its commands, all of a user who is not ours."""

    user: str
    python: str

    def become(self, user: str, python: str, *own: Path) -> None:
        """Makes the folders his, and `own`; he runs `python`."""
        self.user, self.python = user, python
        self.env["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        for path in (self.base, self.jobs, *own):
            shutil.chown(path, user, pwd.getpwnam(user).pw_gid)

    def drop(self, name: str, text: str) -> None:
        """Drops a file that is his."""
        hidden = self.base / f"{name}.being-written"
        hidden.write_text(text)
        shutil.chown(hidden, self.user)
        hidden.rename(self.jobs / name)

    def spawn(self, *words: str, **how: Any) -> subprocess.Popen[str]:
        """Runs `grist` as that user."""
        return super().spawn(*words, **{**how, "user": self.user, "group": pwd.getpwnam(self.user).pw_gid,
                                        "extra_groups": []})

    def command(self, *words: str) -> list[str]:
        """The same with a Python that he may run."""
        return [self.python, *super().command(*words)[1:]]


def second_user() -> tuple[str, str]:
    """(a user beside root, a Python by which he can run us); empty where there is none. Nobody comes last."""
    if os.geteuid() != 0:
        return "", ""
    paths = os.pathsep.join(path for path in sys.path if path)
    people = [entry for entry in pwd.getpwall() if 1000 <= entry.pw_uid < 60000 or entry.pw_uid == NOBODY]
    for entry in sorted(people, key=lambda entry: entry.pw_uid):
        for python in (sys.executable, shutil.which("python3", path="/usr/local/bin:/usr/bin") or sys.executable):
            with contextlib.suppress(OSError):  # he may not even run it: the next may do
                tried = subprocess.run(
                    [python, "-c", "import msgspec, psutil, gristmill.supervisor.cli"], user=entry.pw_uid,
                    group=entry.pw_gid, extra_groups=[], cwd="/", env={"PYTHONPATH": paths}, capture_output=True,
                    timeout=20, check=False,
                )
                if tried.returncode == 0:
                    return entry.pw_name, python
    return "", ""
