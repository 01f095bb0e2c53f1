"""One call of an executor: its future, and how that is resolved by what became of the call's task."""

from __future__ import annotations

import binascii
from collections.abc import Callable
from concurrent import futures
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, TypeVar

from gristmill.supervisor.python import pickles

T = TypeVar("T")


class WorkerDiedError(BrokenProcessPool):
    """The worker of a call ended before the call did: killed, out of memory, lost. It concerns this call alone."""


class InitializerError(BrokenProcessPool):
    """The executor's initializer raised in a worker, so that no call can be made; its cause is what it raised."""


class Call(futures.Future[T]):
    """The future of one call."""

    def __init__(self, withdraw: Callable[[Call[Any]], bool]) -> None:
        """`withdraw` cancels a call that has been handed in, unless a worker has it already."""
        super().__init__()
        self._withdraw = withdraw
        self.item: int | None = None
        """Its number in the job once it was sent: `grist log JOB/ITEM`."""

    def cancel(self) -> bool:
        """Cancels it unless a worker has it already."""
        return self._withdraw(self)

    def drop(self) -> bool:
        """Cancels it here, and tells whoever waits for it; False when it runs or has run."""
        with self._condition:
            fresh = self._state == "PENDING"
        dropped = super().cancel()
        if fresh and dropped:
            self.set_running_or_notify_cancel()
        return dropped


def again(error: futures.BrokenExecutor) -> futures.BrokenExecutor:
    """The same for another who raises it: each has a traceback of its own."""
    fresh = type(error)(*error.args)
    fresh.__cause__ = error.__cause__
    return fresh


def fault(result: dict[str, Any]) -> tuple[BaseException, str]:
    """What a call raised in its worker, and the traceback that it had there."""
    try:
        _, error, text = pickles.loads(_outcome(result))
    except Exception as unfit:  # noqa: BLE001 - whatever an object's own methods raise when it is made again
        return unfit, str(result.get("error", ""))
    error.__cause__ = pickles.RemoteTraceback(text)
    return error, text


def settle(call: Call[Any], state: str, reason: str, result: dict[str, Any] | None) -> None:
    """Resolves a future with what became of its task."""
    if result is not None and ("pickle" in result or "file" in result):
        try:
            good, value, text = pickles.loads(_outcome(result))
        except Exception as error:  # noqa: BLE001 - whatever an object's own methods raise when it is made again
            call.set_exception(error)
            return
        if good:
            call.set_result(value)
        else:
            value.__cause__ = pickles.RemoteTraceback(text)
            call.set_exception(value)
    elif state == "canceled":
        if not call.drop():
            call.set_exception(futures.CancelledError(reason))
    elif state == "timeout":
        call.set_exception(TimeoutError(reason))
    else:
        call.set_exception(WorkerDiedError(f"its worker ended before it did: {reason}"))


def _outcome(result: dict[str, Any]) -> bytes:
    if "pickle" in result:
        return binascii.a2b_base64(result["pickle"])
    path = Path(result["file"])
    data = path.read_bytes()
    path.unlink()
    return data
