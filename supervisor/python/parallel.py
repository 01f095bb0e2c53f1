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
from typing import Any

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


class GristmillBackend(AutoBatchingMixin, ParallelBackendBase):  # type: ignore[misc]  # joblib has no types
    """The backend; what `parallel_config("gristmill", …)` is given beside joblib's own goes to the `Executor`."""

    supports_retrieve_callback = True
    supports_inner_max_num_threads = True

    def __init__(
        self, client: Client | PathLike | None = None, name: str = "joblib", job: Mapping[str, Any] | None = None,
        **joblibs: Any,
    ) -> None:
        super().__init__(**joblibs)
        self._client, self._name, self._job = client, name, job or {}
        self._folder: Path | None = None  # for arrays, where the user named one
        self._workers: Executor | None = None
        self._asked: dict[str, Any] = {}

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """How many calls joblib should think of as running at once; all cores for -1, whatever the governor gives."""
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        if n_jobs is None:
            return 1
        return n_jobs if n_jobs > 0 else max(joblib.cpu_count() + 1 + n_jobs, 1)

    def configure(self, n_jobs: int = 1, parallel: Any = None, **asked: Any) -> int:
        """Opens the job of one `Parallel`."""
        workers = self.effective_n_jobs(n_jobs)
        if workers == 1:
            raise FallbackToBackend(SequentialBackend(nesting_level=self.nesting_level))
        job = dict(self._job)
        if self.inner_max_num_threads is not None:
            threads = dict.fromkeys(self.MAX_NUM_THREADS_VARS, str(self.inner_max_num_threads))
            job["env"] = {**threads, **job.get("env", {})}
        if not isinstance(self._client, Client):
            self._client = Client(self._client)
        asked = {**self.backend_kwargs, **asked} if hasattr(self, "backend_kwargs") else asked
        self._workers = Executor(
            self._client, name=self._name, job=job, max_workers=None if n_jobs < 0 else n_jobs,
            **{key: asked[key] for key in ("initializer", "initargs") if asked.get(key)},
        )
        self._workers.dumps = partial(pickles.dumps, reducers=reducers(self._shared(asked), asked))
        self.parallel, self._asked = parallel, asked
        return workers

    def submit(self, func: Callable[[], Any], callback: Callable[[Any], None] | None = None) -> futures.Future[Any]:
        """Hands in a batch of calls."""
        if self._workers is None:
            raise RuntimeError("the Parallel that this was for is over")
        future = self._workers.submit(func)
        if callback is not None:
            future.add_done_callback(callback)
        return future

    apply_async = submit  # its name before joblib 1.5

    def retrieve_result_callback(self, future: futures.Future[Any]) -> Any:
        """What a batch gave back, or raised."""
        return future.result()

    def terminate(self) -> None:
        """Closes the job; what has not started is not wanted any more."""
        if self._workers is not None:
            self._workers.shutdown(wait=False, cancel_futures=True)
            self._workers = None
        self._clear()
        self.reset_batch_stats()

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Ends what runs, and opens another job if more is to come."""
        executor, self._workers = self._workers, None
        if executor is not None:
            executor.shutdown(wait=False)
            try:
                executor.client.cancel(executor.job)
            except GristError:
                pass  # it had ended already
        self._clear()
        if ensure_ready:
            self.configure(n_jobs=self.parallel.n_jobs, parallel=self.parallel, **self._asked)

    def _shared(self, asked: Mapping[str, Any]) -> Path:
        """Where large arrays of this `Parallel` are."""
        assert self._workers is not None
        if not asked.get("temp_folder"):
            return parcels.folder(self._workers.client.state, self._workers.job) / "shared"
        self._folder = Path(asked["temp_folder"]) / f"gristmill-{os.getpid()}-{self._workers.job}"
        return self._folder

    def _clear(self) -> None:
        """Removes them; processes that have mapped them keep what they have."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


def reducers(folder: Path, asked: Mapping[str, Any]) -> dict[type, Callable[[Any], Any]]:
    """How arrays are pickled: those beyond `max_nbytes` as files that every worker maps."""
    most = asked.get("max_nbytes")
    if most is None:
        return {}
    reduce = ArrayMemmapForwardReducer(most, lambda: str(folder), asked.get("mmap_mode") or "r", False, prewarm=False)
    return {np.ndarray: reduce, np.memmap: reduce}
