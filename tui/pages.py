"""The tasks of one job, of which only the pages near the cursor are known: the answers of `tasks`, kept by place.

Owns what is known and what to ask next. Pure: it asks nobody itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from gristmill.supervisor.core.protocol import TaskView

PAGE = 200


class TaskPages:
    """A source of rows for a table, filled page by page."""

    def __init__(self, total: int = 0) -> None:
        self.total = total
        self._pages: dict[int, list[TaskView]] = {}
        self._places: dict[str, int] = {}

    def __len__(self) -> int:
        return self.total

    def row(self, index: int) -> TaskView | None:
        """The task at a place, where its page is known."""
        page = self._pages.get(index // PAGE)
        offset = index % PAGE
        return page[offset] if page is not None and 0 <= offset < len(page) else None

    def key(self, index: int) -> str | None:
        """Its id."""
        task = self.row(index)
        return task.id if task is not None else None

    def find(self, key: str) -> int | None:
        """Where the task with this id stands, if its page is known."""
        return self._places.get(key)

    def wanted(self, first: int, last: int, total: int) -> list[int]:
        """The pages to ask for, so that these of `total` rows are known and new."""
        first = max(0, min(first, total - 1))
        return list(range(first // PAGE, max(first, min(last, total - 1)) // PAGE + 1))

    def renew(self, total: int, pages: dict[int, Sequence[TaskView]]) -> None:
        """Keep these pages and forget all others: what is not on the screen grows old."""
        self.total = total
        self._pages = {number: list(tasks) for number, tasks in pages.items()}
        self._places = {task.id: number * PAGE + offset
                        for number, tasks in self._pages.items() for offset, task in enumerate(tasks)}  # fmt: skip
