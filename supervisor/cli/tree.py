"""`grist status --tree`: jobs below the jobs that they wait for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gristmill.supervisor.core.sanitise import safe

Edge = tuple[str, int]
"""How a job waits for another (`after`, `after_any`, `after_failed`), and the id of one of the two."""
TURNS = {"": "", "├─ ": "│  ", "└─ ": "   "}
"""What stands above the lines of a branch, by how its own line begins."""


def lines(jobs: list[dict[str, Any]], marks: dict[str, str]) -> Iterator[str]:
    """A line a job: each below the last of those that it waits for, which names the others too."""
    tree = _Tree(jobs, marks)
    for number in sorted(tree.jobs):
        if not tree.above[number]:
            yield from tree.branch(number)
    for number in sorted(tree.jobs.keys() - tree.shown):  # in a circle
        yield from tree.branch(number)


class _Tree:
    def __init__(self, jobs: list[dict[str, Any]], marks: dict[str, str]) -> None:
        self.jobs = {job["id"]: job for job in jobs}
        self.above = {number: self._edges(job) for number, job in self.jobs.items()}
        self.shown: set[int] = set()
        self._marks = marks
        self._below: dict[int, list[Edge]] = {number: [] for number in self.jobs}
        for number, edges in self.above.items():
            for how, last in edges[-1:]:
                self._below[last].append((how, number))

    def _edges(self, job: dict[str, Any]) -> list[Edge]:
        """The jobs that one waits for, as far as they are known: of a name the newest other one."""
        found = []
        for how, refs in job.get("needs", {}).items():
            for ref in refs:
                same = [one["id"] for one in self.jobs.values() if ref in (one["id"], one["name"]) and one is not job]
                found += [(how, max(same))] if same else []
        return sorted(found, key=lambda edge: edge[1])

    def branch(self, number: int, lead: str = "", turn: str = "", how: str = "") -> Iterator[str]:
        """A job and all below it."""
        if number in self.shown:
            return
        self.shown.add(number)
        job = self.jobs[number]
        also = "".join(f", {word} {other}" for word, other in self.above[number][:-1])
        words = f"  ({how}{also})" if how else ""
        reason = f": {safe(job['reason'])}" if job.get("reason") else ""
        yield f"{lead}{turn}{number} {safe(job['name'])}  {self._marks.get(job['state'], job['state'])}{words}{reason}"
        edges = self._below[number]
        for place, (word, child) in enumerate(edges, start=1):
            yield from self.branch(child, lead + TURNS[turn], "└─ " if place == len(edges) else "├─ ", word)
