"""The process in which calls are made: the only place where a user's function runs.

Forked from a worker that is warm (see `caller`), it takes orders from a socket, points standard input and output at the
task's files, calls, and answers how that went. Standard library only, Python ≥ 3.8. It keeps no record and knows no
time: should it die in the middle, its worker tells how.
"""

from __future__ import annotations

import array
import gc
import json
import os
import resource
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

INLINE = 1 << 12  # bytes of JSON that a returned value may have to travel with the answer; a longer one is a file
REASON_MOST = 300  # characters of an exception that are shown as a task's reason
FLUSH_FAILED = 120  # the exit code of Python when its last output could not be written


class UnfitError(Exception):
    """What a call returned can't be kept."""


def encode_value(value: Any) -> str:
    """What a call returned, as JSON; NaN and infinities, for which that has no word, become null. Raises UnfitError."""
    try:
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


class Runner:
    """The inside of a runner: calls `function` as it is told, once or until it is to leave."""

    def __init__(self, sock: socket.socket, function: Callable[..., Any], cwd: str) -> None:
        self.sock, self.function, self.cwd = sock, function, cwd
        self.pid = os.getpid()
        self.inbox = b""
        self.shared: dict[str, str] = {}  # what the environment says for all calls of a job
        self.variables: dict[str, str] = {}  # and what it says of this one
        self.recycle: list[int | None] = [None, None]
        self.fed = False
        self.calls = 0
        self.first_memory = 0  # what the first call left behind is no creep

    def serve_one(self) -> int:
        """Makes one call; returns the code to exit with."""
        order = self.receive()
        if order is None:
            return 0  # the worker is gone, and with it the task
        answer = self.call(order)
        threading._shutdown()  # type: ignore[attr-defined]  # as a program does before it ends: it waits for threads
        self.close_output(answer)
        self.send(answer)
        return int(answer["code"])

    def serve(self) -> None:
        """Makes one call after another until it is told to leave or its worker is gone."""
        while True:
            order = self.receive()
            if order is None:
                return
            if self.calls:
                os.chdir(self.cwd)
            answer = self.call(order)
            self.close_output(answer)
            self.calls += 1
            answer["cpu"], answer["rss"] = cpu_and_peak()
            answer["left"] = has_children()
            answer["last"] = self.is_used_up(answer["rss"])
            self.send(answer)

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

    def receive(self) -> dict[str, Any] | None:
        """The next order, with standard output pointed at the files that came with it; None when the worker is gone."""
        room = socket.CMSG_SPACE(2 * array.array("i").itemsize)
        while b"\n" not in self.inbox:
            try:
                data, ancillary, _, _ = self.sock.recvmsg(1 << 16, room, socket.MSG_CMSG_CLOEXEC)
            except ConnectionError:
                return None
            if not data:
                return None
            for _, _, raw in ancillary:
                fds = array.array("i", raw)
                self.point_output(fds[0], fds[-1])
                for fd in fds:
                    os.close(fd)
            self.inbox += data
        line, _, self.inbox = self.inbox.partition(b"\n")
        order: dict[str, Any] = json.loads(line)
        return order

    @staticmethod
    def point_output(out: int, err: int) -> None:
        """Has standard output and standard error go to these files."""
        os.dup2(out, 1)
        os.dup2(err, 2)

    def send(self, answer: dict[str, Any]) -> None:
        try:
            self.sock.sendall(_encoder.encode(answer).encode() + b"\n")
        except ConnectionError:
            pass  # the worker is gone: nobody is left to be told

    # ── one call ──────────────────────────────────────────────────────────────────────────────────────────────

    def call(self, order: dict[str, Any]) -> dict[str, Any]:
        """How one call went: its exit code, what it returned or raised."""
        answer: dict[str, Any] = {"code": 0}
        try:
            self.dress(order["env"], order.get("shared"))
            self.recycle = order.get("recycle") or self.recycle
            self.feed(order.get("stdin"))
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

    def dress(self, variables: dict[str, str], shared: dict[str, str] | None) -> None:
        """Has the environment say what is of this call; what a call before has set itself stays."""
        before, self.variables = self.variables, variables
        gone = before.keys() - variables.keys()
        if shared is not None:
            gone |= self.shared.keys() - shared.keys() - variables.keys()
            self.shared = shared
            os.environ.update(shared)
        for name in gone:
            if name in self.shared:
                os.environ[name] = self.shared[name]
            else:
                os.environ.pop(name, None)
        for name, value in variables.items():
            if shared is not None or before.get(name) != value:
                os.environ[name] = value

    def feed(self, text: str | None) -> None:
        """Has standard input give this text, or nothing."""
        if text is None and not self.fed:
            return  # it is /dev/null already
        if text is None:
            fd = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        else:
            fd = os.memfd_create("stdin", os.MFD_CLOEXEC)
            with open(fd, "wb", closefd=False) as file:
                file.write(text.encode("utf-8", "surrogateescape"))
            os.lseek(fd, 0, os.SEEK_SET)
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
            with open(self.shared["GRIST_RESULT"], "w", encoding="ascii") as file:
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
    signal.set_wakeup_fd(-1)
    for number, disposition in dispositions.items():
        signal.signal(number, disposition)
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


def run(
    runner: Runner, once: bool, collector: tuple[bool, tuple[int, int, int]],
) -> None:
    """The life of a runner, once it is born; `collector` is how the module left the garbage collector: on, and when."""
    on, thresholds = collector
    gc.set_threshold(*thresholds)
    if on:
        gc.enable()
    if once:
        os._exit(runner.serve_one())
    runner.serve()
    os._exit(0)
