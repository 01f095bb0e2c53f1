"""A daemon of an older wheel, tasks under way, the newer wheel over it: they go on, and how they end is learned."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

from tests.mill import Mill
from tests.release.packages import run

COMMAND = """command = "while ! test -e go; do sleep 0.1; done; echo {index} >> ended; exit {index}"
[items]
total = 4
per_task = 1
[resources]
memory = "4 MiB"
"""
CALL = """call = "work:waited"
isolation = "ISOLATION"
[items]
total = 2
per_task = 1
[resources]
memory = "32 MiB"
"""
WORK = """import os, time

def waited(index):
    while not os.path.exists("go"):
        time.sleep(0.1)
    return index + 40
"""


class Installed(Mill):
    """A mill whose daemon and commands are those of an installed `grist`."""

    def __init__(self, base: Path, grist: Path) -> None:
        super().__init__(base)
        self.installed = grist
        self.env.pop("PYTHONPATH", None)

    def command(self, *words: str) -> list[str]:
        return [str(self.installed), *super().command(*words)[3:]]


def with_pip(folder: Path) -> tuple[Path, Callable[[Path], object]]:
    """`grist` of an environment that pip installs into, and what installs a wheel there."""
    run("python3", "-m", "venv", folder)
    return folder / "bin" / "grist", lambda wheel: run(folder / "bin" / "pip", "install", "-q", "--upgrade", wheel)


def with_pipx(folder: Path) -> tuple[Path, Callable[[Path], object]]:
    """The same by pipx, which makes the environment anew under the daemon's feet."""
    run("python3", "-m", "venv", folder / "pipx")
    run(folder / "pipx" / "bin" / "pip", "install", "-q", "pipx")
    env = {**os.environ, "PIPX_HOME": str(folder / "home"), "PIPX_BIN_DIR": str(folder / "bin")}
    pipx = folder / "pipx" / "bin" / "pipx"
    return folder / "bin" / "grist", lambda wheel: run(pipx, "install", "--force", wheel, env=env)


def tried(base: Path, grist: Path, install: Callable[[Path], object], wheels: tuple[Path, Path]) -> str:
    """Upgrades from one wheel to the other while tasks run; both versions, AssertionError for what was lost."""
    install(wheels[0])
    base.mkdir()
    (base / "work.py").write_text(WORK)
    with Installed(base, grist) as mill:
        mill.start("--limit", "10")
        before = mill.status()["daemon"]["version"]
        names = {"command": 4, "fork": 2, "reuse": 2}
        mill.drop("command.toml", COMMAND)
        for isolation in ("fork", "reuse"):
            mill.drop(f"{isolation}.toml", CALL.replace("ISOLATION", isolation))
        pids = {name: {task["pid"] for task in mill.running(name, count)} for name, count in names.items()}
        install(wheels[1])
        mill.drop_claimed("between.toml", 'command = "echo between"\n')  # the old daemon goes on over the new program
        mill.ended("between")
        mill.grist("shutdown")
        assert mill.process is not None and mill.process.stdout is not None
        mill.process.wait(60)
        mill.process.stdout.close()
        mill.start("--limit", "10")
        after = mill.status()["daemon"]["version"]
        assert (before, after) == tuple(wheel.name.split("-")[1] for wheel in wheels)
        for name, count in names.items():
            assert {task["pid"] for task in mill.running(name, count)} == pids[name], name
        (base / "go").touch()
        for name, count in names.items():
            mill.ended(name)
            codes = [(task["exit_code"], task["attempts"]) for task in mill.tasks(name)]
            assert codes == [(number if name == "command" else 0, 1) for number in range(count)], (name, codes)
        assert sorted((base / "ended").read_text().split()) == list("0123")
        for name in ("fork", "reuse"):
            rows = [json.loads(line) for line in mill.grist("results", name, "--json").splitlines()]
            assert [row["result"] for row in rows] == [40, 41], rows
        mill.drop("after.toml", 'command = "exit 7"\n')
        assert mill.ended("after")["state"] == "failed"
    return f"{before} → {after}"
