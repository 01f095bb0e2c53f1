"""The other half of `node.py` where tasks are calls: imports the user's module and preloads once a slot, then calls.

One file beside `node.py`, stdlib only, in the user's own Python (3.6 or newer). With a process for each call
(`Forking`) the slot's own process imports, and each call is forked from it, as warm as it gets. With one for many
(`Reusing`) a process of its own imports and preloads, since a card that was opened before a fork is of no use behind
it, and makes one call after another, until it has made as many or has grown as much as the job says. Claims, timeouts,
logs and records are `node.py`'s, which watches a call by its pid, as it would a command.
"""

import importlib
import json
import os
import random
import resource
import select
import signal
import sys
import threading
import traceback
import types
from typing import IO, Any, Callable, Dict, List, Optional, Sequence, Tuple

REASON_MOST = 300  # characters of an exception that are shown as a task's reason
TRACE_MOST = 1 << 14  # characters of an import's traceback that are kept, from its end
FLUSH_FAILED = 120  # the exit code of Python when its last output could not be written
Told = Callable[[float], bool]
Unfit = Dict[str, str]
"""Why nothing can be called: `words`, and `trace`, the traceback, "" where there is none. Empty: all is well."""


class UnfitError(Exception):
    """What a job names can't be called, or what a call returned can't be kept."""


# ── what is called, and what it returns ──────────────────────────────────────────────────────────────────────────────


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
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = call["path"] + [folder for folder in sys.path if folder and os.path.abspath(folder) != here]
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
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
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


class Call:
    """A call that was begun, as it is watched: by `pid`; `status` is set once it is over and its process is not."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: Optional[int] = None
        self.status: Optional[int] = None
        self.cpu, self.rss, self.words = 0.0, 0, ""

    def look(self) -> Optional[int]:
        """Its status, once it is over and its process is not."""
        return self.status


class Maker:
    """What makes the calls of a slot."""

    spared: Tuple[int, ...] = ()
    """A process of ours that is no task's."""

    def __init__(self, call: Dict[str, Any], env: Dict[str, str], cwd: str, born: Callable[[], None]) -> None:
        """`born` is what a child does first to be a task's process."""
        self.call, self.env, self.cwd, self.born = call, env, cwd, born

    def prepare(self, told: Told) -> Optional[Unfit]:
        """Imports and preloads, if that is not done: why calls can't be made; None where we were told to end meanwhile.
        Raises ChildProcessError where what imported was killed."""
        raise NotImplementedError

    def start(self, order: Dict[str, Any], fds: List[int]) -> Call:
        """Begins a call: `order` has `args`, `kwargs`, `env`, `cwd`, `result`; `fds` are its three files."""
        raise NotImplementedError

    def over(self, call: Call) -> None:
        """Takes in how a call ended that was begun last."""

    def close(self) -> None:
        """Nothing of ours goes on."""


# ── a process for each call ──────────────────────────────────────────────────────────────────────────────────────────


class Forking(Maker):
    """A slot in which each call has a process of its own, forked from this one."""

    function: Optional[Callable[..., Any]] = None
    said = -1

    def prepare(self, told: Told) -> Optional[Unfit]:
        if self.function is None:
            try:
                self.function = load(self.call, self.env, self.cwd)
            except BaseException as error:  # noqa: BLE001 - a user's own, whatever it is
                return misfit(self.call, error)
        return {}

    def start(self, order: Dict[str, Any], fds: List[int]) -> Call:
        assert self.function is not None
        self.said, say = os.pipe()
        pid = os.fork()
        if pid:
            os.close(say)
            return Call(pid)
        try:
            self.born()
            take_place(order, fds)
            reseed()
            code, words = perform(self.function, order)
            os.write(say, words.encode("utf-8", "replace"))
            os.close(say)
            threading._shutdown()  # type: ignore[attr-defined]  # as a program does before it ends: it waits for threads
            os._exit(code)
        finally:
            os._exit(70)

    def over(self, call: Call) -> None:
        os.set_blocking(self.said, False)  # who was forked by the call may hold the other end
        try:
            call.words = os.read(self.said, 4 * REASON_MOST).decode("utf-8", "replace")
        except BlockingIOError:
            pass
        os.close(self.said)


# ── a process for many ───────────────────────────────────────────────────────────────────────────────────────────────


class Made(Call):
    """A call in a process that goes on."""

    last = False

    def __init__(self, pid: int, answers: IO[str]) -> None:
        super().__init__(pid)
        self._answers = answers

    def look(self) -> Optional[int]:
        if self.status is None and select.select([self._answers], [], [], 0)[0]:
            said = json.loads(self._answers.readline() or "null")
            if said is not None:  # else it has died, which its wait status tells
                self.status = said["code"] << 8
                self.words, self.last, self.cpu, self.rss = said["words"], said["last"], said["cpu"], said["rss"]
        return self.status


class Reusing(Maker):
    """A slot in which one process makes many calls."""

    pid: Optional[int] = None
    current: Optional[Made] = None
    held: Sequence[int] = ()
    orders: IO[str]
    answers: IO[str]

    @property
    def spared(self) -> Tuple[int, ...]:  # type: ignore[override]
        """The process while it has nothing to do."""
        idle = self.current is None or self.current.status is not None
        return () if self.pid is None or not idle else (self.pid,)

    def prepare(self, told: Told) -> Optional[Unfit]:
        if self.pid is not None and os.waitpid(self.pid, os.WNOHANG)[0]:
            self.gone()
        if self.pid is not None:
            return {}
        self.fork()
        assert self.pid is not None
        while not select.select([self.answers], [], [], 0)[0]:
            if told(0.2):
                os.kill(self.pid, signal.SIGKILL)
                self.wait()
                return None
        line = self.answers.readline()
        unfit: Unfit = json.loads(line)["unfit"] if line else {}
        if unfit or not line:
            status = self.wait()
            if not line and os.WIFSIGNALED(status):
                raise ChildProcessError(os.WTERMSIG(status), "importing was ended by signal %d" % os.WTERMSIG(status))
            module = self.call["target"].partition(":")[0]
            ended = "importing %s ended its interpreter (exit %d)" % (module, os.WEXITSTATUS(status))
            return unfit or {"words": ended, "trace": ""}
        return {}

    def fork(self) -> None:
        """Starts the process."""
        theirs, orders = os.pipe()
        answers, ours = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(orders)
                os.close(answers)
                self.born()
                self.serve(os.fdopen(theirs, "r", encoding="ascii"), os.fdopen(ours, "w", encoding="ascii"))
                os._exit(0)
            except BaseException:  # noqa: BLE001 - nothing of this may go on as if it were our parent
                traceback.print_exc()
            finally:
                os._exit(70)
        os.close(theirs)
        os.close(ours)
        self.orders, self.answers = os.fdopen(orders, "w", encoding="ascii"), os.fdopen(answers, "r", encoding="ascii")

    def start(self, order: Dict[str, Any], fds: List[int]) -> Call:
        assert self.pid is not None
        self.held = [os.dup(fd) for fd in fds]  # until it is over: the process opens them by their numbers here
        files = ["/proc/%d/fd/%d" % (os.getpid(), fd) for fd in self.held]
        self.current = Made(self.pid, self.answers)
        self.orders.write(json.dumps(dict(order, files=files)) + "\n")
        self.orders.flush()
        return self.current

    def over(self, call: Call) -> None:
        for fd in self.held:
            os.close(fd)
        if call.returncode is not None:
            self.gone()
        elif isinstance(call, Made) and call.last:
            self.wait()
        self.current = None

    def wait(self) -> int:
        """Waits for its end, which is near; its wait status."""
        assert self.pid is not None
        status = os.waitpid(self.pid, 0)[1]
        self.gone()
        return status

    def gone(self) -> None:
        """It has ended."""
        self.orders.close()
        self.answers.close()
        self.pid = None

    def close(self) -> None:
        if self.pid is not None:
            self.orders.close()
            os.waitpid(self.pid, 0)

    # in the process

    def serve(self, orders: IO[str], answers: IO[str]) -> None:
        """Makes calls until there are no more, or it has made enough."""
        above = os.getppid()

        def say(**said: Any) -> None:
            answers.write(json.dumps(said) + "\n")
            answers.flush()
            os.kill(above, signal.SIGUSR1)  # which waits for signals

        try:
            function = load(self.call, self.env, self.cwd)
        except BaseException as error:  # noqa: BLE001 - a user's own, whatever it is
            return say(unfit=misfit(self.call, error))
        say(unfit={})
        reseed()
        made, first, spent = 0, 0, used()[0]
        most, growth = self.call["recycle"]
        for line in orders:
            order = json.loads(line)
            flags = (os.O_RDONLY, os.O_WRONLY | os.O_APPEND, os.O_WRONLY | os.O_APPEND)
            fds = [os.open(path, how) for path, how in zip(order["files"], flags)]
            take_place(order, fds)
            for fd in fds:
                os.close(fd)
            code, words = perform(function, order)
            cpu, rss = used()
            made, first = made + 1, first or rss
            last = bool(most is not None and made >= most) or bool(growth is not None and rss - first > growth)
            if last:
                threading._shutdown()  # type: ignore[attr-defined]
            say(code=code, words=words, last=last, cpu=round(cpu - spent, 6), rss=rss)
            if last:
                return None
            spent = cpu
        return None


def used() -> Tuple[float, int]:
    """CPU seconds of this process and of the children that it has waited for; its largest size in bytes."""
    own, ended = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime
    return spent, 1024 * max(own.ru_maxrss, ended.ru_maxrss)


def maker(call: Dict[str, Any], env: Dict[str, str], cwd: str, born: Callable[[], None]) -> Maker:
    """What makes calls as their job wants it."""
    return (Forking if call["recycle"] is None else Reusing)(call, env, cwd, born)
