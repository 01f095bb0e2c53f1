"""What tasks did, by their own account: each leaves a line when it begins, whoever started it and however often.

Of each fault that is tried it makes a row of the table with which a session of tests ends: tries, lost, run twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from tests.mill import Mill

BEGINS = "echo {index} >> begun; "
"""A task's first words; one short line is written whole."""
ROW = "fault among engines"
"""The property of a test that is a row."""
HEAD = f"{'while tasks were elsewhere':64} tries  lost  run twice"


def begun(mill: Mill) -> Counter[int]:
    """How often each task of the job in `mill` began."""
    path = mill.base / "begun"
    return Counter(map(int, path.read_text().split())) if path.exists() else Counter()


def runs(mill: Mill, least: int) -> None:
    """Waits until so many tasks have begun."""
    mill.until(lambda: sum(begun(mill).values()) >= least, f"{least} tasks have not begun")


class Account:
    """Of one test."""

    def __init__(self, keep: Callable[[str, object], None]) -> None:
        """`keep` notes a property of the test."""
        self._keep = keep

    def __call__(self, what: str, mill: Mill, job: str, again: int = 0) -> None:
        """Of a job that has ended: how many tries its tasks made, how many are lost, how many ran twice, beside the
        `again` that had to; fails unless each ran, none is lost and none ran twice."""
        tasks, found = mill.tasks(job), begun(mill)
        lost = [task["id"] for task in tasks if task["state"] == "lost" or not task["attempts"]]
        tries = sum(found.values())
        self.row(what, tries, len(lost), tries - len(found) - again)
        assert set(found) == set(range(len(tasks))), found

    def row(self, what: str, tries: int, lost: int, twice: int) -> None:
        """One that was counted; fails unless nothing is lost and nothing ran twice."""
        self._keep(ROW, f"{what:64} {tries:5} {lost:5} {twice:10}")
        assert (lost, twice) == (0, 0), what
