"""A call on a node: what is imported for it, how it is made, what is kept of what it returns, or of why it can't be.

Part of the program that `node.py` is, where tasks are calls: stdlib only, in the user's own Python (3.6 or newer). It
runs in a process of the task's; which process that is, and how many calls it makes, is `node_maker`'s.
"""

import importlib
import json
import os
import random
import signal
import sys
import traceback
import types
from typing import Any, Callable, Dict, List, Optional, Tuple

_HERE = os.path.dirname(os.path.abspath(__file__))
REASON_MOST = 300  # characters of an exception that are shown as a task's reason
TRACE_MOST = 1 << 14  # characters of an import's traceback that are kept, from its end
FLUSH_FAILED = 120  # the exit code of Python when its last output could not be written
Unfit = Dict[str, str]
"""Why nothing can be called: `words`, and `trace`, the traceback, "" where there is none. Empty: all is well."""


class UnfitError(Exception):
    """What a job names can't be called, or what a call returned can't be kept."""


def find(target: str) -> Callable[..., Any]:
    """The function that `module:name` means; raises UnfitError, or whatever its module raises at import."""
    module, _, name = target.partition(":")
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        if not hasattr(found, part):
            raise UnfitError("%s has no %s" % (module, name))
        found = getattr(found, part)
    function: Callable[..., Any] = found
    return function


def load(call: Dict[str, Any], env: Dict[str, str], cwd: str) -> Callable[..., Any]:
    """Imports and preloads, as the user's program would; the function."""
    masked = signal.pthread_sigmask(signal.SIG_SETMASK, set())  # what an import starts is to hear signals
    os.environ.update(env)
    os.chdir(cwd)
    sys.argv[:] = [call["target"]]
    sys.path[:] = call["path"] + [folder for folder in sys.path if folder and os.path.abspath(folder) != _HERE]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        function = find(call["target"])
        if call["preload"] is not None:
            find(call["preload"])()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, masked)
    return function


def unpack(value: Any) -> Any:
    """Numbers and arrays of numpy, and whatever else makes a list of itself as they do."""
    if hasattr(value, "tolist") and not isinstance(value, type):
        return value.tolist()
    raise TypeError("a %s in it has no place there" % type(value).__name__)


def without_nan(value: Any) -> Any:
    """`value` with None for every number that is none."""
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {key: without_nan(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(each) for each in value]
    if hasattr(value, "tolist") and not isinstance(value, type):
        return without_nan(value.tolist())
    return value


def encode(value: Any) -> str:
    """What a call returned, as JSON; NaN and infinities, for which that has no word, become null. Raises UnfitError."""
    encoder = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=unpack)
    try:
        try:
            return encoder.encode(value)
        except ValueError:
            return encoder.encode(without_nan(value))
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise UnfitError("what it returned is not JSON: %s" % error) from error


def last_words(error: BaseException) -> str:
    """An exception in one line, as it stands below its traceback."""
    if isinstance(error, UnfitError):
        return str(error)[:REASON_MOST]
    lines = "".join(traceback.format_exception_only(type(error), error)).strip().split("\n")
    return lines[-1 if isinstance(error, SyntaxError) else 0][:REASON_MOST]


def show(error: BaseException) -> None:
    """Prints the traceback as Python would, without our own frames."""
    error.__traceback__ = trace = theirs(error)
    sys.excepthook(type(error), error, trace)


def theirs(error: BaseException) -> Optional[types.TracebackType]:
    """The traceback below our own frames."""
    trace = error.__traceback__
    while trace is not None and os.path.dirname(trace.tb_frame.f_code.co_filename) == _HERE:
        trace = trace.tb_next
    return trace


def misfit(call: Dict[str, Any], error: BaseException) -> Unfit:
    """Why a call can't be made whose import or preload raised this."""
    if isinstance(error, UnfitError):
        return {"words": f"call: {error}", "trace": ""}
    lines = traceback.format_exception(type(error), error, theirs(error))
    words = "importing %s failed: %s" % (call["target"].partition(":")[0], last_words(error))
    return {"words": words, "trace": "".join(lines)[-TRACE_MOST:]}


def exit_code(leave: SystemExit) -> int:
    """What Python makes of `sys.exit(…)`: a number is the code, nothing is 0, all else is printed and 1."""
    if leave.code is None or isinstance(leave.code, int):
        return (leave.code or 0) & 0xFF
    print(leave.code, file=sys.stderr)
    return 1


def perform(function: Callable[..., Any], order: Dict[str, Any]) -> Tuple[int, str]:
    """Makes a call whose variables, folder and files are in place; its exit code, and why it failed."""
    code, words, pid = 0, "", os.getpid()
    try:
        value = function(*order["args"], **order["kwargs"])
        if os.getpid() != pid:
            os._exit(0)  # a child that the function forked, and that came back from it
        if value is not None:
            text = encode(value)
            with open(order["result"], "w", encoding="ascii") as file:
                file.write(text)
    except SystemExit as leave:
        code = exit_code(leave)
    except UnfitError as error:
        code, words = 1, str(error)
        print(error, file=sys.stderr)
    except BaseException as error:  # noqa: BLE001 - a user's own, whatever it is
        code, words = 1, last_words(error)
        show(error)
    if os.getpid() != pid:
        os._exit(code)
    try:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except (OSError, ValueError) as error:
        code, words = code or FLUSH_FAILED, words or "its output could not be written: %s" % error
    return code, words


def take_place(order: Dict[str, Any], fds: List[int]) -> None:
    """Puts variables, folder and files of a call in the place of those that were there."""
    os.environ.clear()
    os.environ.update(order["env"])
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
    os.chdir(order["cwd"])
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - with nothing in its buffer of what was there before


def reseed() -> None:
    """Gives this process a stream of random numbers of its own."""
    random.seed()
    numpy = sys.modules.get("numpy.random")
    if numpy is not None:
        numpy.seed()
