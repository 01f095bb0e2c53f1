"""A daemon of a story's own, used as its person uses it: job files dropped, `grist wait`, `grist status --json`."""

from __future__ import annotations

import contextlib
import json
import shutil
import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.bench import yard
from tests.bench.stories import peers
from tests.mill import Mill

PATIENCE_S = 900
LOOK_S, SELDOM_S = 0.25, 1.0
"""Seconds between two looks at a job that runs, at first and after a while, for each costs the daemon a moment."""


class House(Mill):
    """A jobs folder beside the story's programs, and the daemon on it."""

    def __init__(self, base: Path, story: str) -> None:
        super().__init__(base)
        for program in (peers.PROGRAMS / story).iterdir():
            if program.is_file():
                shutil.copy(program, base)
        self.limits: list[int] = []
        """The limit of the governor, as often as it was looked at while a job ran."""
        self.most_busy = 0

    def run(self, text: str, name: str = "story") -> float:
        """Drops a job; seconds from the drop to its end. Raises SystemExit when it did not end well.

        Nothing is started to wait for it, which would take from the cores what is measured there.
        """
        before = {job["id"] for job in self.ask("status")["jobs"]}
        began = time.time()
        self.drop(f"{name}.toml", text)
        self.until(lambda: self.rejected() or any(j["id"] not in before for j in self.ask("status")["jobs"]),
                   f"{name} was not accepted")
        if words := self.rejected():
            raise SystemExit(words)
        self.limits.clear()
        while (job := self._look(name))["ended_at"] is None:
            if time.time() > began + PATIENCE_S:
                raise SystemExit(f"{name} takes too long: {job}")
            time.sleep(LOOK_S if time.time() < began + 5 else SELDOM_S)
        if job["state"] != "done":
            raise SystemExit(f"{name}: {job}\n{self.grist('explain', name)}")
        ended: float = job["ended_at"]
        return ended - began

    def _look(self, name: str) -> dict[str, Any]:
        """The job as it is now; notes how many workers there may be, and how many are busy."""
        seen = self.ask("status")
        self.limits.append(seen["limit"]["workers"])
        self.most_busy = max(self.most_busy, seen["limit"]["busy"])
        found: dict[str, Any] = next(job for job in reversed(seen["jobs"]) if job["name"] == name)
        return found

    def rejected(self) -> str:
        """What is wrong with the files that were rejected."""
        return "\n".join(error.read_text() for error in self.jobs.glob("rejected/*.error"))

    def results(self, name: str = "story") -> list[Any]:
        """What the items gave back, in their order."""
        return [json.loads(line)["result"] for line in self.results_text(name).splitlines()]

    def results_text(self, name: str) -> str:
        """The same as it is printed: one JSON object an item."""
        done = subprocess.run(self.command("results", name, "--json"), env=self.env, cwd=self.base,
                              capture_output=True, text=True, timeout=PATIENCE_S, check=True)
        return done.stdout

    def named(self) -> dict[str, str]:
        """Variables by which a program finds this daemon."""
        return {"GRIST_JOBS": str(self.jobs), "GRIST_STATE": str(self.state)}

    def limit(self) -> int:
        """The number of workers that the governor settled on: the median of the second half of what was seen."""
        return round(statistics.median(self.limits[len(self.limits) // 2 :]))


@contextlib.contextmanager
def house(story: str, options: Sequence[str] = ()) -> Iterator[House]:
    """A started daemon in a temporary folder that holds the story's programs."""
    found = House(yard.folder(), story)
    settings = found.jobs / ".gristmill" / "settings.toml"
    settings.parent.mkdir()
    settings.write_text("nice = 0    # as the others that run beside us, so that strangers hinder all alike\n")
    with found:
        found.start("--quiet", *options, start_new_session=True)
        yield found
