"""Gristmill: drop a job file into a folder, and the machine does the rest.

    from gristmill import Client, Executor

`Client` hands in job files and fetches results, `Executor` runs functions (docs/python.md). They are loaded when they
are first named, so that importing `gristmill` costs nothing. The package holds two folders: `supervisor` (the daemon,
its workers, the command line and what is named here) and `tui` (the screens).
"""

TYPE_CHECKING = False  # as type checkers know it, without the cost of `typing`
if TYPE_CHECKING:
    from gristmill.supervisor.core.errors import GristError, JobFileError, NoDaemonError
    from gristmill.supervisor.python.client import Client
    from gristmill.supervisor.python.executor import Executor, InitializerError, WorkerDiedError
    from gristmill.supervisor.python.parallel import register_joblib

__all__ = [
    "Client", "Executor", "GristError", "InitializerError", "JobFileError", "NoDaemonError", "WorkerDiedError",
    "register_joblib",
]
__version__ = "0.1.0"

_HOMES = {
    "Client": "python.client", "Executor": "python.executor", "GristError": "core.errors",
    "InitializerError": "python.executor", "JobFileError": "core.errors", "NoDaemonError": "core.errors",
    "WorkerDiedError": "python.executor", "register_joblib": "python.parallel",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = getattr(import_module(f"gristmill.supervisor.{_HOMES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
