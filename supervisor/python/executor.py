"""`Executor`: a `concurrent.futures.Executor` whose calls are tasks of a running daemon: supervised, governed, durable.

An executor is an open job. What is submitted gathers while the last request is under way and goes out together: one
parcel, one request, one commit. What became of it comes back in the same way. The job is seen in `grist status`, a
call's output in `grist log JOB/NUMBER`; the daemon may be killed and started again meanwhile.
"""

from __future__ import annotations

import itertools
import os
import site
import sys
import sysconfig
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent import futures
from functools import partial
from multiprocessing import process
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from gristmill.supervisor.core.template import literal
from gristmill.supervisor.python import pickles, runner
from gristmill.supervisor.python.call import Call, InitializerError, WorkerDiedError
from gristmill.supervisor.python.client import Client, PathLike
from gristmill.supervisor.python.desk import Desk

__all__ = ["Executor", "InitializerError", "WorkerDiedError"]

P = ParamSpec("P")
T = TypeVar("T")


class Executor(futures.Executor):
    """Runs calls through the daemon of a jobs folder; a context manager, as all executors are."""

    def __init__(
        self,
        client: Client | PathLike | None = None,
        *,
        name: str = "calls",
        job: Mapping[str, Any] | None = None,
        detach: bool = False,
        max_workers: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
    ) -> None:
        """Opens the job; raises NoDaemonError when no daemon runs.

        `client` is a Client or a jobs folder (default: as `grist` finds it). `max_workers` bounds what runs at once;
        without it the governor alone does. `job` holds further keys of a job file, such as `{"timeout": "1h",
        "resources": {"memory": "2 GiB"}}`. With `detach` calls that wait still run when this program has ended.
        `initializer(*initargs)` is called once in every process that makes calls; where it raises, the executor is
        broken: all that waits, and all that comes, raises InitializerError, a BrokenProcessPool.
        """
        if max_workers is not None and max_workers <= 0:
            raise ValueError("max_workers must be greater than 0")
        self.client = client if isinstance(client, Client) else Client(client)
        first = None if initializer is None else partial(initializer, *initargs)
        asked = terms(self.client.state, name, max_workers, detach, job or {})
        authkey = bytes(process.current_process().authkey)
        greeting = pickles.dumps(runner.Greeting(variables(asked), authkey, first))
        self.job = self.client.submit(asked, name=name)
        """The id of the job."""
        self._desk = Desk(self.client, self.job, detach, greeting)
        self.dumps: Callable[[Any], bytes] = pickles.dumps
        """How calls become bytes."""
        self._closing = weakref.finalize(self, self._desk.close)  # nobody holds it any more
        self._closing.atexit = False  # the desk sees to that, and waits

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> futures.Future[T]:
        """Has a worker call `fn`; what can't be pickled is an exception of the future."""
        call: Call[T] = Call(self._desk.cancel)
        self._desk.check()
        try:
            data = self.dumps((fn, args, kwargs))
        except Exception as error:  # noqa: BLE001 - the arguments' own methods may raise anything
            call.set_running_or_notify_cancel()
            call.set_exception(error)
            return call
        self._desk.take(call, data)
        return call

    def map(
        self, fn: Callable[..., T], *iterables: Iterable[Any], timeout: float | None = None, chunksize: int = 1
    ) -> Iterator[T]:
        """As `ProcessPoolExecutor.map`: results in order, `chunksize` calls a task."""
        if chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        if chunksize == 1:
            return super().map(fn, *iterables, timeout=timeout)
        calls = zip(*iterables, strict=False)
        chunks = iter(lambda: tuple(itertools.islice(calls, chunksize)), ())
        return itertools.chain.from_iterable(super().map(partial(runner.chunk, fn), chunks, timeout=timeout))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Takes no more calls; with `cancel_futures` drops those that have not started; `wait` for the rest."""
        self._desk.close(cancel_futures)
        if wait:
            self._desk.join()


def terms(state: Path, name: str, workers: int | None, detach: bool, more: Mapping[str, Any]) -> dict[str, Any]:
    """The job that carries an executor's calls: they run where this program runs, with its interpreter and its search
    path, one after another in the same processes."""
    own: dict[str, Any] = {
        "name": name,
        "call": f"{runner.__name__}:run",
        "python": sys.executable,
        "isolation": "reuse",
        "cwd": os.getcwd(),
        "env": {"GRIST_CALLS": literal(str(state / "calls")), "PYTHONPATH": literal(search_path())},
        "items": {"open": "keep" if detach else "cancel"},
        "limits": {} if workers is None else {"workers": workers},
    }
    for key, value in more.items():
        own[key] = {**own[key], **value} if isinstance(own.get(key), dict) else value
    return {key: value for key, value in own.items() if value != {}}


def search_path() -> str:
    """What this program has on its search path beyond what its interpreter finds by itself."""
    known = {*sysconfig.get_paths().values(), *site.getsitepackages()}
    places = dict.fromkeys(os.path.abspath(place) for place in sys.path if os.path.exists(place or "."))
    return os.pathsep.join(place for place in places if place not in known)


def variables(asked: Mapping[str, Any]) -> dict[str, str]:
    """The program's variables as calls are to see them: without our own, those that the job sets, and those that bound
    threads, which is the job's to say."""
    ours = {"PYTHONPATH", "SLURM_CPUS_PER_TASK", *asked["env"]}
    return {
        name: value for name, value in os.environ.items()
        if name not in ours and not name.startswith("GRIST_") and not name.endswith("_NUM_THREADS")
    }
