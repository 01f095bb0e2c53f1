"""What all that is forked from a spawner of calls has in common: the functions, and how their module left the process.

Standard library only, Python ≥ 3.8.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any


class Shop:
    """What all workers of a spawner of calls have: the functions that were found by then, their folder, and what their
    module changed at import."""

    def __init__(self, find: Callable[[str], Callable[..., Any]], cwd: str) -> None:
        """`find` is how a function is found, which has been found before in the spawner."""
        self._find, self.cwd = find, cwd
        self.functions: dict[str, Callable[..., Any]] = {}
        self.dispositions: dict[int, Any] = {}
        self.collector = (True, (700, 10, 10))

    def function(self, target: str) -> Callable[..., Any]:
        """The function of this name. Whoever was forked before it was asked for looks for it himself; one that is gone
        meanwhile raises when it is called."""
        if target not in self.functions:
            try:
                self.functions[target] = self._find(target)
            except BaseException as error:  # noqa: BLE001 - of a user's module, whatever it is
                self.functions[target] = functools.partial(throw, error)
        return self.functions[target]


def throw(error: BaseException, *_: Any, **__: Any) -> None:
    """Stands for a function that is not there."""
    raise error
