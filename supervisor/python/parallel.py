"""joblib's calls through an `Executor`: `register_joblib()`, then `with joblib.parallel_config("gristmill"): …`.

Each `Parallel` is a job of its own. What joblib decides stays joblib's: batches, order, nesting (threads below, then
nothing), when to abort. How many run at once is the smaller of `n_jobs` and what the governor gives. Large arrays are
written once, below the state folder, and mapped by all workers, read-only, as joblib's own processes have them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from concurrent import futures
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from gristmill.supervisor.core.errors import GristError
from gristmill.supervisor.edge import parcels
from gristmill.supervisor.python import pickles
from gristmill.supervisor.python.client import Client, PathLike
from gristmill.supervisor.python.executor import Executor

try:
    import joblib
    import numpy as np
    from joblib import parallel
    from joblib._memmapping_reducer import ArrayMemmapForwardReducer
    from joblib._parallel_backends import (
        AutoBatchingMixin,
        FallbackToBackend,
        ParallelBackendBase,
        SequentialBackend,
    )
except ImportError as error:
    raise ImportError(f"{error}: the backend is for joblib – pip install joblib cloudpickle") from error

NAME = "gristmill"


def register_joblib(default: bool = False) -> None:
    """Makes `gristmill` the name of a joblib backend in this program; with `default`, the one that is used unasked."""
    parallel.register_parallel_backend(NAME, GristmillBackend, make_default=default)


class Open(NamedTuple):
    """The job of one `Parallel`, and what that asked for. `folder` holds its arrays where the user named a place."""

    parallel: Any
    executor: Executor
    asked: dict[str, Any]
    folder: Path | None


class GristmillBackend(AutoBatchingMixin, ParallelBackendBase):  # type: ignore[misc]  # joblib has no types
    """The backend; what `parallel_config("gristmill", …)` is given beside joblib's own goes to the `Executor`.

    One backend serves all that is called below its `parallel_config`, also one `Parallel` inside another: the last that
    was opened is the first that ends.
    """

    supports_retrieve_callback = True
    supports_inner_max_num_threads = True

    def __init__(
        self, client: Client | PathLike | None = None, name: str = "joblib", job: Mapping[str, Any] | None = None,
        **joblibs: Any,
    ) -> None:
        super().__init__(**joblibs)
        self._client, self._name, self._job = client, name, job or {}
        self._open: list[Open] = []

    @property
    def _workers(self) -> Executor | None:
        """What joblib's own backends call so."""
        return self._open[-1].executor if self._open else None

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """How many calls joblib should think of as running at once; all cores for -1, whatever the governor gives. One
        inside a call, which holds a worker already: others that it waited for might never get one."""
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        if n_jobs is None or "GRIST_CALLS" in os.environ:
            return 1
        return n_jobs if n_jobs > 0 else max(joblib.cpu_count() + 1 + n_jobs, 1)

    def configure(self, n_jobs: int = 1, parallel: Any = None, **asked: Any) -> int:
        """Opens the job of one `Parallel`."""
        workers = self.effective_n_jobs(n_jobs)
        if workers == 1:
            raise FallbackToBackend(SequentialBackend(nesting_level=self.nesting_level))
        asked = {**getattr(self, "backend_kwargs", {}), **asked}
        job = dict(self._job)
        if self.inner_max_num_threads is not None:
            threads = dict.fromkeys(self.MAX_NUM_THREADS_VARS, str(self.inner_max_num_threads))
            job["env"] = {**threads, **job.get("env", {})}
        if not isinstance(self._client, Client):
            self._client = Client(self._client)
        first = partial(begin, asked.get("initializer"), tuple(asked.get("initargs") or ()))
        executor = Executor(
            self._client, name=self._name, job=job, max_workers=None if n_jobs < 0 else n_jobs, initializer=first
        )
        named = asked.get("temp_folder")
        folder = Path(named) / f"gristmill-{os.getpid()}-{executor.job}" if named else None
        shared = folder or parcels.folder(executor.client.state, executor.job) / "shared"
        executor.dumps = partial(pickles.dumps, reducers=reducers(shared, asked))
        self._open.append(Open(parallel, executor, asked, folder))
        self.parallel = parallel
        return workers

    def submit(self, func: Callable[[], Any], callback: Callable[[Any], None] | None = None) -> futures.Future[Any]:
        """Hands in a batch of calls."""
        if not self._open:
            raise RuntimeError("the Parallel that this was for is over")
        future = self._open[-1].executor.submit(func)
        if callback is not None:
            future.add_done_callback(callback)
        return future

    apply_async = submit  # its name before joblib 1.5

    def retrieve_result_callback(self, future: futures.Future[Any]) -> Any:
        """What a batch gave back, or raised."""
        return future.result()

    def terminate(self) -> None:
        """Closes the job."""
        if self._open:
            self._close().executor.shutdown(wait=False)
        self.reset_batch_stats()

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Ends what runs, and opens another job if more is to come."""
        if not self._open:
            return
        over = self._close()
        over.executor.shutdown(wait=False)
        try:
            over.executor.client.cancel(over.executor.job)
        except GristError:
            pass  # it had ended already
        if ensure_ready:
            self.configure(n_jobs=over.parallel.n_jobs, parallel=over.parallel, **over.asked)

    def _close(self) -> Open:
        """Goes back to what was open before; processes that have mapped arrays keep what they have."""
        over = self._open.pop()
        if over.folder is not None:
            shutil.rmtree(over.folder, ignore_errors=True)
        if self._open:
            self.parallel = self._open[-1].parallel
        return over


def begin(initializer: Callable[..., object] | None, initargs: tuple[Any, ...]) -> None:
    """What a worker does first: the name of our backend is known there as well, and then the user's own."""
    register_joblib()
    if initializer is not None:
        initializer(*initargs)


def reducers(folder: Path, asked: Mapping[str, Any]) -> dict[type, Callable[[Any], Any]]:
    """How arrays are pickled: those beyond `max_nbytes` as files that every worker maps."""
    most = asked.get("max_nbytes")
    if most is None:
        return {}
    reduce = ArrayMemmapForwardReducer(most, lambda: str(folder), asked.get("mmap_mode") or "r", False, prewarm=False)
    return {np.ndarray: reduce, np.memmap: reduce}
