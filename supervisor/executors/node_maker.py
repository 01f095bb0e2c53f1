"""What makes the calls of a slot: imports and preloads once, then makes one after another.

Part of the program that `node.py` is, where tasks are calls (see `node_call`). With a process for each call (`Forking`)
the slot's own process imports, and each call is forked from it, as warm as it gets. With one for many (`Reusing`) a
process of its own imports and preloads, since a card that was opened before a fork is of no use behind it, and makes
one call after another, until it has made as many or has grown as much as the job says. Claims, timeouts, logs and
records are `node_task`'s, which watches a call by its pid, as it would a command.
"""

import json
import os
import resource
import select
import signal
import threading
import traceback
from typing import IO, Any, Callable, Dict, List, Optional, Sequence, Tuple

if __package__:
    from gristmill.supervisor.executors import node_call as calls
else:
    import node_call as calls  # type: ignore[import-not-found, no-redef]

Told = Callable[[float], bool]


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

    def prepare(self, told: Told) -> Optional[calls.Unfit]:
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

    def prepare(self, told: Told) -> Optional[calls.Unfit]:
        if self.function is None:
            try:
                self.function = calls.load(self.call, self.env, self.cwd)
            except BaseException as error:  # noqa: BLE001 - a user's own, whatever it is
                return calls.misfit(self.call, error)
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
            calls.take_place(order, fds)
            calls.reseed()
            code, words = calls.perform(self.function, order)
            os.write(say, words.encode("utf-8", "replace"))
            os.close(say)
            threading._shutdown()  # type: ignore[attr-defined]  # as a program does before it ends: it waits for threads
            os._exit(code)
        finally:
            os._exit(70)

    def over(self, call: Call) -> None:
        os.set_blocking(self.said, False)  # who was forked by the call may hold the other end
        try:
            call.words = os.read(self.said, 4 * calls.REASON_MOST).decode("utf-8", "replace")
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

    def prepare(self, told: Told) -> Optional[calls.Unfit]:
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
        unfit: calls.Unfit = json.loads(line)["unfit"] if line else {}
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
            function = calls.load(self.call, self.env, self.cwd)
        except BaseException as error:  # noqa: BLE001 - a user's own, whatever it is
            return say(unfit=calls.misfit(self.call, error))
        say(unfit={})
        calls.reseed()
        made, first, spent = 0, 0, used()[0]
        most, growth = self.call["recycle"]
        for line in orders:
            order = json.loads(line)
            flags = (os.O_RDONLY, os.O_WRONLY | os.O_APPEND, os.O_WRONLY | os.O_APPEND)
            fds = [os.open(path, how) for path, how in zip(order["files"], flags)]
            calls.take_place(order, fds)
            for fd in fds:
                os.close(fd)
            code, words = calls.perform(function, order)
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
