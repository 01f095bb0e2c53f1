"""What tasks did, by their own account: each leaves a line when it begins, whoever started it and however often."""

from __future__ import annotations

from collections import Counter

from tests.mill import Mill

BEGINS = "echo {index} >> begun; "
"""A task's first words; one short line is written whole."""


def begun(mill: Mill) -> Counter[int]:
    """How often each task of the job in `mill` began."""
    path = mill.base / "begun"
    return Counter(map(int, path.read_text().split())) if path.exists() else Counter()


def account(what: str, mill: Mill, job: str, again: int = 0) -> None:
    """Prints a row: how many tasks there were, how many of them are lost, how many ran twice; fails unless none is
    lost, `again` ran twice and each ran."""
    tasks = mill.tasks(job)
    lost = [task["id"] for task in tasks if task["state"] == "lost"]
    twice = [number for number, count in begun(mill).items() if count > 1]
    print(f"{what:60} tries {len(tasks):4} lost {len(lost):2} run twice {len(twice):2}")
    assert not lost and len(twice) == again and set(begun(mill)) == set(range(len(tasks))), (lost, twice)


def runs(mill: Mill, least: int) -> None:
    """Waits until so many tasks have begun."""
    mill.until(lambda: sum(begun(mill).values()) >= least, f"{least} tasks have not begun")
