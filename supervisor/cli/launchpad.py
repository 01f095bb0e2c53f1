"""Starting a daemon from a command: in the background for good, or as a child for as long as the command runs."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

from gristmill.supervisor.cli.place import Place
from gristmill.supervisor.core.errors import GristError, NoDaemonError

NOT_EVERYWHERE = ("gpu",)
"""Examples that need what some machines lack, and would wait for it."""


def runs(place: Place) -> bool:
    """Whether a daemon answers."""
    try:
        with place.connect(timeout=5):
            return True
    except NoDaemonError:
        return False


def prepare_folder(place: Place) -> None:
    """Makes the jobs folder where there is none yet, with a sample of a job, and says what to do next."""
    if not os.path.exists(place.jobs):
        from gristmill.supervisor.cli import draft

        try:
            place.jobs.mkdir(parents=True, mode=0o755)
            hint = draft.put(place.jobs)
        except OSError as error:
            raise GristError(f"{place.jobs}: can't be made: {error.strerror} – name another with --jobs") from error
        print(f"made {place.jobs}: drop job files there")
        print(hint)


def start(place: Place, *options: str) -> int:
    """Starts a daemon with these options in a session of its own and waits until it is ready; returns its pid."""
    command = [
        sys.executable, "-P", "-m", "gristmill.supervisor.cli", "daemon", "--quiet", "--allow-root",
        "--jobs", os.fspath(place.jobs), "--state", os.fspath(place.state), *options,
    ]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        text=True, errors="replace",
    )
    assert process.stdout is not None and process.stderr is not None
    with process.stdout, process.stderr:
        if process.stdout.readline().strip() == "ready":
            return process.pid
        words = process.stderr.read().strip().splitlines()
    process.wait()
    raise GristError(refusal(words) or f"look at {place.state / 'daemon.log'}")


def refusal(words: list[str]) -> str:
    """All that a command said after `grist: `; of one that broke down in another way the last line."""
    begin = next((at for at, line in enumerate(words) if line.startswith("grist: ")), len(words) - 1)
    return "\n".join(words[max(0, begin) :]).removeprefix("grist: ")


@contextlib.contextmanager
def without_openssl() -> Iterator[None]:
    """Has what is imported meanwhile find no `ssl`: asyncio would load it, 5 MB of each daemon, and nobody here speaks
    TLS but the engine of Ray, which imports it later."""
    spared = "ssl" not in sys.modules
    if spared:
        sys.modules["ssl"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if spared:
            del sys.modules["ssl"]


def drop_examples(place: Place, only: str | None = None, besides: str | None = None) -> list[str]:
    """Drops examples into the jobs folder, as a user would; returns the files' names.

    `only` names the one that is dropped, `besides` one that is not; by default all are that run on every machine.
    """
    import shutil
    from pathlib import Path

    import gristmill

    origin = Path(gristmill.__file__).with_name("examples")
    beside = place.jobs / "examples"
    if not (beside.exists() and beside.samefile(origin)):
        for folder in ("code", "data"):
            shutil.copytree(origin / folder, beside / folder, dirs_exist_ok=True)
    names = []
    for file in sorted(origin.iterdir()):
        if file.is_dir() or file.stem in {besides, *NOT_EVERYWHERE} or (only and file.stem != only):
            continue
        hidden = place.jobs / f".{file.name}.tmp"
        shutil.copyfile(file, hidden)
        hidden.rename(place.jobs / file.name)
        names.append(file.name)
    return names
