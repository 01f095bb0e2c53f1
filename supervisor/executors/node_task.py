"""One task on a node, from its claim to its record.

Part of the program that `node.py` is (see there). A task is claimed first (`link`, which one alone can do), then
started in a session of its own, ended at its timeout with all that it started, and its record is written: temporary
name, fsync, rename. Whatever has a record or another's claim is passed over. What the files hold is `edge.chunks`'s.
"""

import errno
import os
import sys
import time

MYPY = False
if MYPY:
    import signal
    from typing import Any, Callable, Dict, List, Optional, Tuple

    from gristmill.supervisor.executors import node_ground as ground
elif __package__:
    from gristmill.supervisor.executors import node_ground as ground
    from gristmill.supervisor.executors.node_ground import Any, Callable, Dict, List, Optional, Tuple, signal
else:
    import node_ground as ground
    from node_ground import Any, Callable, Dict, List, Optional, Tuple, signal

VERSION = 1
INLINE = 1 << 16  # a result up to this size travels in the record
MARK_EVERY = 2.0  # seconds between two looks for the daemon's mark that ends a task
WRITE_FOR, WRITE_AGAIN = 600.0, 1.0  # seconds for which a record is tried that the disk has no room for
NOT_NOW = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
TERMED = (signal.SIGTERM, (128 + signal.SIGTERM) << 8)  # wait statuses of what was told to end, and heard it
TERM_TOGETHER = 1.0  # seconds in which an engine that ends a slot tells all of its processes


def environment(context: Dict[str, Any], order: Dict[str, Any], paths: Dict[str, str]) -> Dict[str, str]:
    """The variables of a task: what the engine gives, the job's environment entered, then the job's and its own."""
    env = {name: value for name, value in os.environ.items() if name not in context.get("unset", ())}
    for name, folders in context.get("ahead", {}).items():
        env[name] = os.pathsep.join([*folders, *filter(None, [env.get(name, os.defpath if name == "PATH" else "")])])
    env.update(context["env"])
    env.update(order["env"])
    env.update(GRIST_WORKER="1", GRIST_RESULT=paths["result"], GRIST_PROGRESS=paths["progress"], GRIST_HOST=ground.HOST)
    return env


class Task:
    """One task from its claim to its record."""

    def __init__(
        self, folder: str, context: Dict[str, Any], index: int, order: Dict[str, Any], maker: Any = None
    ) -> None:
        """`maker` makes the call that it is, None for a command."""
        self.folder, self.context, self.order, self.maker = folder, context, order, maker
        self.base = os.path.join(folder, "rec", str(index))
        key = order["do"].split(".", 1)[1]
        log = os.path.join(folder, "log", key)
        self.paths = {kind: "%s.%s" % (log, kind) for kind in ("log", "err", "progress", "result")}
        self.why: Optional[str] = None
        self.kill_at: Optional[float] = None
        self.rss, self.cpu, self.born = 0, 0.0, time.monotonic()
        self.alone = self.is_unfit = False

    def is_taken(self) -> bool:
        """Whether somebody was here before us, and can be seen."""
        return os.path.exists(self.base + ".claim") or os.path.exists(self.base + ".json")

    def claim(self) -> bool:
        """Whether the task is ours to run."""
        if os.path.exists(self.base + ".json"):
            return False
        said = {"v": VERSION, "host": ground.HOST, "id": ground.ENGINE_ID, "job": os.environ.get("SLURM_JOB_ID", ""),
                "pid": os.getpid(), "t": time.time()}  # fmt: skip
        return ground.write(self.base + ".claim", ground.to_json(said), True)

    def record(self, **facts: Any) -> Dict[str, Any]:
        """What is said of how it ended."""
        found: Dict[str, Any] = {"v": VERSION, "e": self.order["do"], "host": ground.HOST, "id": ground.ENGINE_ID}
        found.update(code=None, signal=None, **facts)
        return found

    def is_callable(self, told: Callable[[float], bool]) -> bool:
        """Whether the call that it is can be made here, which takes an import. Else its record says why not."""
        record = self.record(t0=time.time(), wall=0.0, cpu=0.0, rss=0)
        try:
            unfit = self.maker.prepare(told)
            os.chdir(self.folder)
            if unfit is None:
                record["why"] = "term"
            elif os.path.exists(self.base + ".end"):
                record["why"] = "cancel"
            elif not unfit:
                return True
            else:
                self.is_unfit, record["unfit"] = True, unfit["words"]
                if unfit["trace"]:
                    record["trace"] = os.path.join(self.folder, "log", "import.log")
                    ground.write(record["trace"], unfit["trace"].encode("utf-8", "replace"), False)
        except ChildProcessError as error:
            record.update(signal=error.errno, text=error.strerror)
        record["t"] = time.time()
        self.write(record, told)
        return False

    def run(self, told: Callable[[float], bool]) -> None:
        """Runs it. `told` waits for a signal, so many seconds at most. Writes the record."""
        self.born, began, ooms = time.monotonic(), time.time(), ground.count_ooms()
        record, notes = self.record(), []
        try:
            process = self.start()
            status = self.watch(process, told)
        except (OSError, ValueError) as error:
            record["code"] = 127 if isinstance(error, FileNotFoundError) else 126
            notes.append("cannot start: %s" % error)
            if isinstance(error, OSError) and error.errno in NOT_NOW:
                record["refused"] = notes.pop()  # the node's "not now": it is no attempt
        else:
            if os.WIFSIGNALED(status):
                record["signal"] = os.WTERMSIG(status)
            else:
                record["code"] = os.WEXITSTATUS(status)
            now = ground.count_ooms()
            short = ooms is not None and now is not None and now > ooms
            if self.maker is not None:
                self.maker.over(process)
                self.cpu, self.rss = self.cpu + process.cpu, max(self.rss, process.rss)
                if process.words:
                    record["raised"] = process.words
            if short and self.why is None and 9 in (record["signal"], (record["code"] or 0) - 128):
                record["oom"] = True
        record.setdefault("why", self.why)
        record.update(t0=began, t=time.time(), wall=round(time.monotonic() - self.born, 4), cpu=round(self.cpu, 4),
                      rss=self.rss)
        self.keep(record, notes)
        self.write(record, told)

    def start(self) -> Any:
        """The task's process."""
        context, kinds = self.context, ("log", "err") if self.context.get("err") else ("log",)
        outputs = [os.open(self.paths[kind], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) for kind in kinds]
        env = environment(context, self.order, self.paths)
        given = self.order.get("stdin")
        source = os.open("/dev/null", os.O_RDONLY)
        try:
            if given is not None:
                os.close(source)
                source = os.open(self.base + ".stdin", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
                os.unlink(self.base + ".stdin")
                os.write(source, given.encode("utf-8", "surrogateescape"))
                os.lseek(source, 0, os.SEEK_SET)
            os.chdir(context["cwd"])  # the engine would run it somewhere else, and call that a success
            if self.maker is not None:
                call = {name: self.order[name] for name in ("args", "kwargs")}
                call.update(env=env, cwd=context["cwd"], result=self.paths["result"])
                return self.maker.start(call, [source, outputs[0], outputs[-1]])
            nice = context.get("nice") or 0
            return ground.Process(self.order["argv"], env, [source, outputs[0], outputs[-1]], nice)
        finally:
            os.chdir(self.folder)
            for fd in [source, *outputs]:
                os.close(fd)

    def watch(self, process: Any, told: Callable[[float], bool]) -> int:
        """Waits for the process and for what it leaves; its wait status."""
        deadline = None if self.context["timeout"] is None else self.born + self.context["timeout"]
        status: Optional[int] = None
        look, mark = 0.2, self.born + MARK_EVERY
        measure_at = self.born + look
        while True:
            status = self.reap(process, status)
            now = time.monotonic()
            if status is not None:
                if self.why is None and self.kill_at is None and status in TERMED and heard(told):
                    self.end("term", self.context["grace"])  # the engine ends all of a slot: it was quicker than we
                if self.alone or not self.kin():
                    return status
                if self.kill_at is None and not self.context.get("wait"):
                    self.end(None, min(self.context["grace"], 2.0))
            if now >= measure_at:
                self.rss = max(self.rss, sum(size for _, size in self.kin()))
                look = min(10.0, 2 * look)
                measure_at = now + look
            if self.why is None and deadline is not None and now >= deadline:
                self.end("timeout", self.context["grace"])
            if now >= mark:
                mark = now + MARK_EVERY
                if self.why is None and os.path.exists(self.base + ".end"):
                    self.end("cancel", self.context["grace"])
            if self.kill_at is not None and now >= self.kill_at:
                self.send(signal.SIGKILL)
                self.kill_at = now + 0.2
            times = [measure_at, mark, deadline if self.why is None else None, self.kill_at]
            if told(max(0.0, min(at for at in times if at is not None) - now)) and self.why is None:
                self.end("term", self.context["grace"])

    def end(self, why: Optional[str], grace: float) -> None:
        """Has all of it ended: politely, and after the grace for certain."""
        self.why = self.why or why
        self.kill_at = time.monotonic() + grace
        self.send(signal.SIGTERM, signal.SIGCONT)

    def kin(self) -> List[Tuple[int, int]]:
        """(pid, bytes) of all that is the task's."""
        spared = () if self.maker is None else self.maker.spared
        return [(pid, size) for pid, size in ground.offspring() if pid not in spared]

    def send(self, *numbers: int) -> None:
        for pid, _ in self.kin():
            for number in numbers:
                try:
                    os.kill(pid, number)
                except OSError:
                    pass  # it has just ended

    def reap(self, process: Any, status: Optional[int]) -> Optional[int]:
        """Takes in all that have ended; the status of the task's own process once it is among them."""
        if status is None and self.maker is not None:
            status = process.look()
        while True:
            try:
                pid, found, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                self.alone = True  # whatever it left behind would be ours
                return status
            if not pid:
                return status
            if pid == process.pid:
                process.returncode = found
                if status is not None:
                    continue  # of a process that made other calls before
                status = found
            self.cpu += usage.ru_utime + usage.ru_stime
            self.rss = max(self.rss, usage.ru_maxrss * 1024)

    def keep(self, record: Dict[str, Any], notes: List[str]) -> None:
        """What it wrote: its log where there is something in it, its result."""
        for kind in ("log", "err"):
            try:
                size = os.stat(self.paths[kind]).st_size
                most = self.context.get("most")
                if not size:
                    os.unlink(self.paths[kind])
                    continue
                if most and size > most:
                    ground.cut(self.paths[kind], size, most)
                    notes.append("%.1f MB of its log were left out (limits.log)" % ((size - most) / 1e6))
                if kind == "log":
                    record["log"] = self.paths[kind]
            except FileNotFoundError:
                pass
        try:
            os.unlink(self.paths["progress"])
        except OSError:
            pass
        try:
            if os.stat(self.paths["result"]).st_size <= INLINE and os.path.isfile(self.paths["result"]):
                with open(self.paths["result"], encoding="utf-8") as file:
                    record["value"] = ground.to_json(ground.read_json(file.read())).decode()
                os.unlink(self.paths["result"])
            else:
                record["result"] = self.paths["result"]
        except FileNotFoundError:
            pass
        except (OSError, ValueError, RecursionError):
            record["result"] = self.paths["result"]  # no JSON: the daemon says so
        if notes:
            record["text"] = "; ".join(notes)

    def write(self, record: Dict[str, Any], told: Callable[[float], bool]) -> None:
        """Writes the record, and again where there is no room, for a while."""
        given_up = time.monotonic() + WRITE_FOR
        while True:
            try:
                ground.write(self.base + ".json", ground.to_json(record), False)
                return
            except OSError as error:
                if time.monotonic() > given_up:
                    raise
                print("%s: its record can't be written yet: %s" % (record["e"], error), file=sys.stderr, flush=True)
                told(WRITE_AGAIN)


def heard(told: Callable[[float], bool]) -> bool:
    """Whether we are told to end as well, as a task that has just ended by SIGTERM was."""
    until = time.monotonic() + TERM_TOGETHER
    while not told(max(0.0, until - time.monotonic())):
        if time.monotonic() >= until:
            return False
    return True
