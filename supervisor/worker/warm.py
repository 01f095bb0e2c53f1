"""The spawner of calls: a user's interpreter that has imported his module, and the workers that are forked from it.

Run by its path, in whatever Python ≥ 3.8 the user names; standard library only, and the other files of this folder
beside it. It imports the module and runs `preload`, once; what that took is shared, copy on write, by all that is
forked from it afterwards.

    spawner (module, data) ─fork─► worker 1…n ─fork─► runner: one call and its end, or one call after another

Which function a call is of, its job says: all that are of this module, with this preload, are called here. Each is
looked for once, in the spawner, which answers whether it takes what it will be given.

A worker stays what it is for commands: it keeps the journal, the time and the log, and no user's code runs in it. That
runs in a *runner*, in a session of its own, which is born with its one order or finds a row of them before it. A
process that was forked shows no task's environment by which it could be known, should its worker be killed: so its pid
and start are in the journal before its first call. A runner whose worker is gone ends the call in hand, and leaves.
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 8):
    sys.exit("Python %d.%d is too old: calls need 3.8 or newer" % sys.version_info[:2])

_HERE = __file__.rpartition("/")[0]
if __name__ == "__main__" and sys.path[:1] == [_HERE]:
    del sys.path[0]  # our neighbours are nobody's modules

import faulthandler
import functools
import gc
import inspect
import json
import os
import signal
import socket
import traceback
import types
import warnings
from collections.abc import Callable
from typing import Any

if not __package__:  # the other files are found beside this one, under a name that is nobody else's
    __package__ = "_gristmill"
    sys.modules[__package__] = types.ModuleType(__package__)
    sys.modules[__package__].__path__ = [_HERE]
    _write, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # an installation is not theirs to write to

from . import outcome
from .caller import Caller
from .journal import encode
from .libc import set_process
from .processes import name_process
from .shop import Shop
from .signals import IGNORED, ORDERS
from .spawner import Spawner, settle

if __package__ == "_gristmill":
    sys.dont_write_bytecode = _write
    for _name in [name for name in sys.modules if name.partition(".")[0] == __package__]:
        del sys.modules[_name]  # all is loaded: nobody need find us among what he has imported

PR_SET_PDEATHSIG = 1
FILES_MOST = 200  # files of modules that are watched for changes
WORDS_MOST = 1 << 14  # characters of a traceback that go to the daemon, from its end


class UnfitError(Exception):
    """What a job names is there, and can't be called as the job asks; the text says why."""


def find(target: str) -> Callable[..., Any]:
    """The function that `module:name` means; raises UnfitError, or whatever its module raises at import."""
    module_name, _, name = target.partition(":")
    __import__(module_name)
    found: Any = sys.modules[module_name]
    for part in name.split("."):
        if not hasattr(found, part):
            there = [each for each, value in vars(found).items() if callable(value) and not each.startswith("_")]
            known = ", ".join(sorted(there)[:12]) or "nothing that can be called"
            raise UnfitError(f"{module_name} has no {name} – it has {known}")
        found = getattr(found, part)
    if not callable(found):
        raise UnfitError(f"{target} is no function, but a {type(found).__name__}")
    if inspect.iscoroutinefunction(found) or inspect.isgeneratorfunction(found):
        raise UnfitError(f"{target} is a coroutine or a generator – name a plain function")
    function: Callable[..., Any] = found
    return function


def check_signature(function: Callable[..., Any], target: str, places: list[str], names: list[str]) -> None:
    """Raises UnfitError where a function does not take what its calls will give: so many values by place, the rest by
    name."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return  # written in C: the first call shows it
    try:
        signature.bind(*places, **dict.fromkeys(names))
    except TypeError as error:
        raise UnfitError(f"{target}{signature} is called with ({', '.join([*places, *names])}): {error}") from error


def name_threads() -> list[str]:
    """All threads beside the main one: Python's by their names, others by what the kernel calls them."""
    threading = sys.modules.get("threading")  # what it does after each fork is saved where nobody needs it
    named = {thread.native_id: thread.name for thread in threading.enumerate()} if threading is not None else {}
    found = []
    for entry in os.listdir("/proc/self/task"):
        if int(entry) != os.getpid():
            try:
                with open(f"/proc/self/task/{entry}/comm", encoding="utf-8", errors="replace") as file:
                    found.append(named.get(int(entry)) or file.read().strip())
            except OSError:
                continue  # it has just ended
    return sorted(found)


def list_files(cwd: str, targets: list[str]) -> list[tuple[str, int, int]]:
    """(path, mtime in ns, bytes) of the module files whose change makes what was imported stale: those in the job's
    folder, and those that hold the functions."""
    chosen = {target.partition(":")[0] for target in targets}
    found = []
    for name, module in list(sys.modules.items()):
        path = getattr(module, "__file__", None)
        if isinstance(path, str) and (name in chosen or path.startswith(cwd.rstrip("/") + "/")):
            try:
                stat = os.stat(path)
            except OSError:
                continue  # from a zip file, or gone since
            found.append((path, stat.st_mtime_ns, stat.st_size))
    return found[:FILES_MOST]


def prepare(setup: dict[str, Any], spawner: WarmSpawner) -> list[str]:
    """Imports, looks for the functions that are known to be called, and preloads if any of them is fit; the names of
    the threads that this left running."""
    __import__(setup["module"])
    for question in setup["find"]:
        spawner.find(question)
    if spawner.shop.functions:
        spawner.load()
    spawner.prepared = True
    return name_threads()


class WarmSpawner(Spawner):
    """Forks workers that make calls, and looks for the functions that they are to call."""

    def __init__(self, sock: socket.socket, shop: Shop, module: str, preload: str | None) -> None:
        """The files of `module`, of that of `preload`, and of those of all functions are watched for changes."""
        super().__init__(sock, functools.partial(Caller, shop))
        self.shop, self.preload = shop, preload
        self.targets = [module, preload or ""]
        self.prepared = False

    def load(self) -> None:
        """Runs what is to be run once; raises UnfitError, or whatever that raises."""
        if self.preload is not None:
            preload = find(self.preload)
            check_signature(preload, self.preload, [], [])
            preload()
            self.preload = None

    def find(self, question: dict[str, Any]) -> None:
        """Has all workers that are forked from now on know a function; answers whether it can be called."""
        target = question["call"]
        answer: dict[str, Any] = {"found": question["n"]}
        try:
            function = find(target)
            check_signature(function, target, question["places"], question["names"])
            if self.prepared:
                self.load()  # until now nobody needed it
        except BaseException as error:  # noqa: BLE001 - a user's own, whatever it is
            answer.update(tell_failure(error))
        else:
            self.shop.functions[target] = function
            self.targets.append(target)
            answer["files"] = list_files(self.shop.cwd, self.targets)
        self.sock.send(encode(answer))


def tell_failure(error: BaseException) -> dict[str, Any]:
    """The message that something can't be called here, with the reason and the traceback, which is printed as well."""
    if isinstance(error, UnfitError):
        print(error, file=sys.stderr, flush=True)
        return {"unfit": str(error), "trace": ""}
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    text = "".join(traceback.format_exception(type(error), error, trace))[-WORDS_MOST:]
    print(text, end="", file=sys.stderr, flush=True)
    return {"unfit": outcome.last_words(error), "trace": text}


def main() -> None:
    """Serves on the socket whose descriptor is the only argument; standard input says what to import."""
    sock = socket.socket(fileno=int(sys.argv[1]))
    setup: dict[str, Any] = json.load(sys.stdin)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115  # for what is imported, and all that is forked afterwards
    name_process("grist-warm")
    set_process(PR_SET_PDEATHSIG, signal.SIGKILL)  # an import that hangs is not to outlive who waits for it
    if os.getppid() != setup["daemon"]:
        return
    faulthandler.enable(2)  # whatever file that is at the time
    sys.argv[:] = [setup["find"][0]["call"]]
    sys.path[:0] = [*setup.get("path", ()), setup["cwd"]]
    sys.modules["__main__"] = types.ModuleType("__main__")
    shop = Shop(find, setup["cwd"])
    spawner = WarmSpawner(sock, shop, setup["module"], setup["preload"])
    try:
        threads = prepare(setup, spawner)
    except BaseException as error:  # noqa: BLE001 - a user's own, whatever it is
        sock.send(encode(tell_failure(error)))
        os._exit(0)
    numbers = (*IGNORED, *ORDERS, signal.SIGCHLD)
    found = {number: signal.getsignal(number) for number in numbers}
    shop.dispositions = {n: how if callable(how) else int(how or signal.SIG_DFL) for n, how in found.items()}
    shop.collector = (gc.isenabled(), gc.get_threshold())
    outcome.flush()
    outcome.point_output(setup["output"], setup["output"])  # what it printed until now is the import's
    os.close(setup["output"])
    set_process(PR_SET_PDEATHSIG, 0)
    settle()
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)  # said already
    files = list_files(setup["cwd"], spawner.targets)
    sock.send(encode({"warm": os.getpid(), "threads": threads, "files": files}))
    spawner.serve()
    os._exit(0)  # handlers that the module has for its end are not for this


if __name__ == "__main__":
    main()
