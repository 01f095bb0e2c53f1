"""The process in which calls are made: the only place where a user's function runs.

Forked from a worker that is warm (see `caller`), it points standard input and output at the task's files, calls, and
answers how that went. Standard library only, Python ≥ 3.8. It knows no timeout: should it die in the middle, its worker
tells how. What one that makes a single call writes to is copied, page by page: few pages count for more than few lines.

One that is used again has a `row` of orders before it, and writes its claims itself, together with the exits of calls
of which no more is to be said than what they returned. All else it answers, and waits until its worker has seen to it.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # of CPython, whatever its version
import gc
import json
import os
import resource
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

if __package__:
    from gristmill.supervisor.edge import row, worker
else:  # in a user's interpreter, by path
    import row  # type: ignore[import-not-found, no-redef]
    import worker  # type: ignore[import-not-found, no-redef]

INLINE = 1 << 12  # bytes of JSON that a returned value may have to travel with the answer; a longer one is a file
REASON_MOST = 300  # characters of an exception that are shown as a task's reason
BRIEF = 0.05  # seconds; a longer call has been told of, and what was done to it meanwhile its worker knows
FLUSH_FAILED = 120  # the exit code of Python when its last output could not be written


class UnfitError(Exception):
    """What a call returned can't be kept."""


def encode_value(value: Any) -> str:
    """What a call returned, as JSON; NaN and infinities, for which that has no word, become null. Raises UnfitError."""
    try:
        if type(value) in (float, int):  # by fewer pages than the encoder is made of, which a fresh process has to copy
            return repr(value) if value - value == 0 else "null"
        try:
            return _encoder.encode(value)
        except ValueError:
            return _encoder.encode(without_nan(value))
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise UnfitError(f"what it returned is not JSON: {error}") from error


def unpack(value: Any) -> Any:
    """Numbers and arrays of numpy, and whatever else makes a list of itself as they do."""
    if hasattr(value, "tolist") and not isinstance(value, type):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} in it has no place there")


quote = json.encoder.encode_basestring_ascii
_encoder = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=unpack)


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


def last_words(error: BaseException) -> str:
    """An exception in one line, as it stands below its traceback."""
    lines = "".join(traceback.format_exception_only(type(error), error)).strip().split("\n")
    return lines[-1 if isinstance(error, SyntaxError) else 0][:REASON_MOST]


def show(error: BaseException) -> None:
    """Prints the traceback as Python would, without our own frames."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    error.__traceback__ = trace
    try:
        sys.excepthook(type(error), error, trace)
    except Exception as second:  # noqa: BLE001 - a hook of the user's own, or a full disk: the reason is told all the same
        os.write(2, f"{last_words(error)}\n(its traceback can't be printed: {last_words(second)})\n".encode())


def exit_code(leave: SystemExit) -> int:
    """What Python makes of `sys.exit(…)`: a number is the code, nothing is 0, all else is printed and 1."""
    if leave.code is None:
        return 0
    if isinstance(leave.code, int):
        return leave.code & 0xFF
    print(leave.code, file=sys.stderr)
    return 1


def flush() -> None:
    """Writes out what the call has printed; raises OSError when that can't be."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not stream.closed:
            stream.flush()


def has_children() -> bool:
    """Whether anything that was started here is left, living or dead."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def own_memory() -> int:
    """Bytes of memory that belongs to no file, shared copies included."""
    with open("/proc/self/statm", "rb", buffering=0) as file:
        _, resident, shared, *_ = file.read(256).split()
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")


def cpu_and_peak() -> tuple[float, int]:
    """CPU seconds of this process and the children that it has waited for; the largest resident size in bytes."""
    own, ended = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime
    return spent, 1024 * max(own.ru_maxrss, ended.ru_maxrss)


def reseed() -> None:
    """Gives this process a stream of random numbers of its own; Python's `random` does that at each fork by itself."""
    numpy = sys.modules.get("numpy.random")
    if numpy is not None:
        numpy.seed()


class Record:
    """What a runner that is used again writes down by itself."""

    def __init__(self, journal: row.Journal, sock: socket.socket, run: str, base: int, worker: int) -> None:
        """`sock` is the row; `base` are the bytes of memory that are no call's own; `worker` is the worker's pid."""
        self.journal, self.sock, self.base, self.worker = journal, sock, base, worker
        self.traces = (run + "/result", run + "/progress")  # files that say that there is more to tell
        self.files: list[int] = []  # what the output of calls goes to, whatever a call makes of its standard files
        self.key = ""  # the call in hand
        self.began = self.born = 0.0
        self.exit: list[bytes] = []  # of the call before, which is not written yet
        self.answer: dict[str, Any] = {}  # the same as it is answered where it can't be written

    def give(self, files: list[int]) -> None:
        """Output goes there from now on."""
        for fd in self.files:
            os.close(fd)
        self.files = files
        Runner.point_output(files[0], files[-1])

    def claim(self, key: str) -> None:
        """Writes down that a call begins, and how the last one ended."""
        self.journal.reserve()
        self.key, self.began, self.born = key, time.time(), time.monotonic()
        self.journal.append(*self.exit, worker.claim(key, self.began))
        self.exit = []

    def settle(self) -> None:
        """Writes down how the last call ended, if that is not written yet."""
        if self.exit:
            bodies, self.exit = self.exit, []
            self.journal.append(*bodies)

    def close(self, answer: dict[str, Any]) -> bool:
        """Makes the record of an exit; False where there is more to be said of the call than that."""
        took = time.monotonic() - self.born
        if answer["code"] or answer["left"] or answer["last"] or took > BRIEF or any(map(os.path.lexists, self.traces)):
            return False
        if any(os.fstat(fd).st_size for fd in self.files):
            return False
        now = time.time()
        value = "" if "value" not in answer else ',"value":' + quote(answer["value"])
        rss = max(0, answer["rss"] - self.base)
        self.exit = [(f'{{"e":"{self.key}","code":0,"signal":null,"why":null,"t0":{now - took!r},"t":{now!r},'
                      f'"cpu":{answer["cpu"]!r},"rss":{rss}{value}}}').encode()]
        self.answer = answer
        return True


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


class Runner:
    """The inside of a runner: calls a function as it is told, once or until it is to leave."""

    def __init__(
        self, sock: socket.socket, find: Callable[[str], Callable[..., Any]], target: str, cwd: str, result: str
    ) -> None:
        """`find` knows the functions, of which `target` is called first; `result` is where a large value goes."""
        self.sock, self.find, self.cwd, self.result = sock, find, cwd, result
        self.function = find(target)
        self.pid = os.getpid()
        self.wardrobe = Wardrobe()
        self.recycle: list[int | None] = [None, None]
        self.fed = False
        self.calls = 0
        self.spent = 0.0  # CPU seconds of the calls before
        self.first_memory = 0  # what the first call left behind is no creep

    def serve_one(self, order: dict[str, Any]) -> int:
        """Makes one call, for which all is prepared; returns the code to exit with."""
        if order.get("stdin") is not None:
            sys.stdin = open(0, closefd=False)  # noqa: SIM115  # the one that was there is at the end of another file
        answer = self.make(order)
        threading._shutdown()  # type: ignore[attr-defined]  # as a program does before it ends: it waits for threads
        self.close_output(answer)
        self.send(answer)
        return int(answer["code"])

    def serve(self, record: Record) -> None:
        """Makes one call after another until its worker is gone or somebody else has taken over."""
        self.spent = cpu_and_peak()[0]
        try:
            while (order := self.next(record)) is not None:
                if self.calls:
                    os.chdir(self.cwd)
                answer = self.make(order, self.prepare)
                self.close_output(answer)
                self.calls += 1
                before = self.spent
                self.spent, answer["rss"] = cpu_and_peak()
                answer["cpu"] = round(self.spent - before, 6)
                answer["left"] = has_children()
                answer["last"] = self.is_used_up(answer["rss"])
                answer["do"] = record.key
                if not record.close(answer) and not self.is_heard(record, answer):
                    return
        except worker.FencedError:
            pass

    def next(self, record: Record) -> dict[str, Any] | None:
        """The next order from the row, claimed; None when there will be none."""
        while True:
            try:
                data, fds = row.receive(record.sock, socket.MSG_DONTWAIT if record.exit else 0)
            except BlockingIOError:
                self.rest(record)
                continue
            if not data or os.getppid() != record.worker:
                record.settle()
                return None
            if data.startswith(row.SHARED):
                words = json.loads(data)
                self.wardrobe.adopt(words["shared"])
                self.function = self.find(words["call"])
                self.recycle = words["recycle"]
                if fds:
                    record.give(fds)
                continue
            if fds:  # it is too long for the row
                with open(fds[0], "rb") as file:
                    file.seek(0)
                    data = file.read()
            order: dict[str, Any] = json.loads(data.decode())
            try:
                record.claim(order["do"])
            except OSError as error:
                self.rest(record)
                self.is_heard(record, {"no": order["do"], "errno": error.errno, "text": str(error)})
                continue
            return order

    def rest(self, record: Record) -> None:
        """There is nothing to do: the worker is told of what has ended."""
        try:
            record.settle()
        except OSError:  # no room, and none could be set aside: the worker has more patience
            self.is_heard(record, record.answer)
        self.say(b"\n")

    def is_heard(self, record: Record, answer: dict[str, Any]) -> bool:
        """Has the worker see to something, and waits until that is done; False where nobody is left to."""
        self.send(answer)
        data, fds = row.receive(self.sock)
        if fds:
            record.give(fds)
        return bool(data)

    def is_used_up(self, peak: int) -> bool:
        """Whether the next call is better made in a fresh process; `peak` is the most memory that this one ever had."""
        most, growth = self.recycle
        if self.calls == 1:
            self.first_memory = own_memory()
        if most is not None and self.calls >= most:
            return True
        # what a peak does not say has not grown: that spares a look after most calls
        return growth is not None and peak - self.first_memory > growth and own_memory() - self.first_memory > growth

    # ── talking to the worker ─────────────────────────────────────────────────────────────────────────────────

    @staticmethod
    def point_output(out: int, err: int) -> None:
        """Has standard output and standard error go to these files."""
        os.dup2(out, 1)
        os.dup2(err, 2)

    def send(self, answer: dict[str, Any]) -> None:
        plain = answer.keys() == {"code", "value"}  # as most are of those that go with their process
        text = f'{{"code":{answer["code"]},"value":{quote(answer["value"])}}}' if plain else _encoder.encode(answer)
        self.say(text.encode() + b"\n")

    def say(self, words: bytes) -> None:
        try:
            self.sock.sendall(words)
        except ConnectionError:
            pass  # the worker is gone: nobody is left to be told

    # ── one call ──────────────────────────────────────────────────────────────────────────────────────────────

    def make(
        self, order: dict[str, Any], prepare: Callable[[dict[str, Any]], None] = lambda _: None
    ) -> dict[str, Any]:
        """How a call went: its exit code, what it returned or raised."""
        answer: dict[str, Any] = {"code": 0}
        try:
            prepare(order)
            value = self.function(*order["args"], **order["kwargs"])
            if os.getpid() != self.pid:
                os._exit(0)  # a child that the function forked, and that came back from it
            if value is not None:
                self.keep(value, answer)
        except SystemExit as leave:
            answer["code"] = exit_code(leave)
        except UnfitError as error:
            answer["code"], answer["raised"] = 1, str(error)
            print(error, file=sys.stderr)
        except BaseException as error:  # noqa: BLE001 - a user's own, whatever it is
            answer["code"], answer["raised"] = 1, last_words(error)
            show(error)
        if os.getpid() != self.pid:
            os._exit(answer["code"])
        return answer

    def prepare(self, order: dict[str, Any]) -> None:
        """Puts its variables and its input in the place of those of the call before."""
        self.wardrobe.dress(order["env"])
        self.feed(order.get("stdin"))

    def feed(self, text: str | None) -> None:
        """Has standard input give this text, or nothing."""
        if text is None and not self.fed:
            return  # it is /dev/null already
        fd = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC) if text is None else worker.input_file(text)
        os.dup2(fd, 0)
        os.close(fd)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115  # with nothing in its buffer of what was there before
        self.fed = text is not None

    def keep(self, value: Any, answer: dict[str, Any]) -> None:
        """Takes what the call returned into the answer, or writes it where a task's result is expected."""
        text = encode_value(value)
        if len(text) <= INLINE:
            answer["value"] = text
        else:
            with open(self.result, "w", encoding="ascii") as file:
                file.write(text)

    @staticmethod
    def close_output(answer: dict[str, Any]) -> None:
        """Writes out what is left to be; a call whose words are lost has failed."""
        try:
            flush()
        except (OSError, ValueError) as error:
            if answer["code"] == 0:
                answer["code"], answer["raised"] = FLUSH_FAILED, f"its output could not be written: {error}"


def be_born(fds: tuple[int, int, int], private: list[int], dispositions: dict[int, Any], nice: int) -> None:
    """Makes a process that a worker has just forked into one of a task's: session, signals, files and politeness.

    `fds` become its standard files, `private` are closed, being the worker's own.
    """
    for number, disposition in dispositions.items():
        _signal.signal(number, disposition)  # by fewer pages to be copied than that of `signal`, which knows enums
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
    os.setsid()
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
    for fd in private:
        os.close(fd)
    if nice:
        try:
            os.setpriority(os.PRIO_PROCESS, 0, nice)
        except OSError:
            pass  # as far as this user may: politeness, not a condition
    reseed()


def collect_garbage(collector: tuple[bool, tuple[int, int, int]]) -> None:
    """Sets the garbage collector as the module had left it: on or off, and when it runs."""
    on, thresholds = collector
    gc.set_threshold(*thresholds)
    if on:
        gc.enable()
