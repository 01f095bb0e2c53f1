"""The environment variables of the call in hand, over those of its job, over those that were there before.

Standard library only, Python ≥ 3.8.
"""

from __future__ import annotations

import os


class Wardrobe:
    """What the environment says of a call, over what it said before."""

    def __init__(self) -> None:
        self.shared: dict[str, str] = {}  # of all calls of a job
        self.variables: dict[str, str] = {}  # and of this one
        self.before: dict[str, str | None] = {}  # what these names meant

    def adopt(self, shared: dict[str, str]) -> None:
        """Has it say what is of all calls of a job, and nothing of one; what a call has set otherwise stays."""
        self.dress({})
        for name in self.shared.keys() - shared.keys():
            self.restore(name)
        for name, value in shared.items():
            self.put(name, value)
        self.shared = shared

    def dress(self, variables: dict[str, str]) -> None:
        """Has it say what is of this call."""
        worn, self.variables = self.variables, variables
        for name in worn.keys() - variables.keys():
            if name in self.shared:
                os.environ[name] = self.shared[name]
            else:
                self.restore(name)
        for name, value in variables.items():
            if worn.get(name) != value:
                self.put(name, value)

    def put(self, name: str, value: str) -> None:
        self.before.setdefault(name, os.environ.get(name))
        os.environ[name] = value

    def restore(self, name: str) -> None:
        if name not in self.before:
            return
        value = self.before.pop(name)
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
