"""Errands of a widget: named coroutines that ask the daemon or walk a file while the screen goes on.

Owns only how they are started and told apart. They end with the widget that sent them.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol, cast

from textual.dom import DOMNode


class Asking(Protocol):
    """The part of the app that can ask the daemon."""

    async def ask(self, op: str, **fields: Any) -> Any:
        """An answer; raises GristError."""

    async def task_of(self, target: str) -> str | None:
        """The task that a job or task stands for, None where there is none to show."""


def asking(host: DOMNode) -> Asking:
    """The app that a widget is on, as it is asked."""
    return cast("Asking", host.app)


def send(host: DOMNode, errand: Callable[[], Coroutine[Any, Any, None]], group: str, name: str, *,
         only: bool = False) -> None:  # fmt: skip
    """Start an errand; with `only`, those of its group that this host sent before are called back."""
    # A function, not a coroutine: one that is called back before it began would never have been awaited.
    host.run_worker(cast("Any", errand), group=group, name=name, exclusive=only)


def is_out(host: DOMNode, group: str) -> bool:
    """Whether an errand of this group, sent by this host, is still under way."""
    return any(worker.node is host and worker.group == group and not worker.is_finished for worker in host.workers)
