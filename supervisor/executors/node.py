"""What runs on a node: `node.py FOLDER SLOT` runs the tasks of one slot of a chunk, one after another.

A program of one file, run by path with the node's own Python (3.6 or newer, stdlib only): no Gristmill is installed
there. Each task is claimed first (`link`, which one alone can do), then started in a session of its own, ended at its
timeout with all that it started, and its record is written: temporary name, fsync, rename. Whatever has a record or
another's claim is passed over. TERM (the engine's, or a mark of the daemon's in the folder) ends the task in hand and
the rest is left to others. The daemon reads `rec/` and nothing else; what the files hold is `edge.chunks`'s.

It is started for every slot, so nothing is imported that takes long: of `json`, `signal` and `ctypes` only the halves
that are built in, where this Python has them; and a task is forked by hand.
"""

import errno
import os
import sys
import time

MYPY = False
if MYPY:
    import signal
    from typing import Any, Callable, Dict, Iterator, List, Optional, Set, Tuple
else:
    class _Types:
        """Stands in for all of `typing`."""

        def __getitem__(self, _):
            return self

    Any = Callable = Dict = Iterator = List = Optional = Set = Tuple = _Types()
    try:
        import _signal as signal
    except ImportError:
        import signal

VERSION = 1
INLINE = 1 << 16  # a result up to this size travels in the record
MARK_EVERY = 2.0  # seconds between two looks for the daemon's mark that ends a task
WRITE_FOR, WRITE_AGAIN = 600.0, 1.0  # seconds for which a record is tried that the disk has no room for
NOT_NOW = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
ENDS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
TERMED = (signal.SIGTERM, (128 + signal.SIGTERM) << 8)  # wait statuses of what was told to end, and heard it
TERM_TOGETHER = 1.0  # seconds in which an engine that ends a slot tells all of its processes
HEARD: Set[int] = {signal.SIGCHLD, *ENDS}


def named(*parts: str) -> str:
    """What the engine calls this slot, where it says so in the environment."""
    found = [os.environ.get(part, "") for part in parts]
    return "_".join(part for part in found if part)


ENGINE_ID = named("GRIST_ENGINE_ID") or named("SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID") or named("SLURM_JOB_ID")
HOST = os.environ.get("SLURMD_NODENAME") or os.uname().nodename.split(".")[0]


def read_json(text: str) -> Any:
    """What JSON says; raises ValueError."""
    try:
        import _json

        class Manner:
            """As `json.loads` has it."""

            strict, object_hook, object_pairs_hook = True, None, None
            parse_float, parse_int, parse_constant, memo = float, int, float, {}  # type: ignore[var-annotated]

        made: Any = _json.make_scanner(Manner)  # type: ignore[arg-type]
        start = len(text) - len(text.lstrip(" \t\n\r"))
        found, end = made(text, start)
    except StopIteration:
        raise ValueError("no JSON") from None
    except (ImportError, AttributeError, TypeError):
        import json

        return json.loads(text)
    if text[end:].strip(" \t\n\r"):
        raise ValueError("more than JSON")
    return found


def to_json(what: Any) -> bytes:
    """The same the other way round, of what holds only texts, numbers, None, booleans, lists and dicts."""
    try:
        import _json

        encoder: Any = _json.make_encoder
        made = encoder(None, None, _json.encode_basestring_ascii, None, ": ", ", ", False, False, True)
        return "".join(made(what, 0)).encode()
    except (ImportError, AttributeError, TypeError):
        import json

        return json.dumps(what).encode()


def become_subreaper() -> None:
    """What a task leaves behind stays ours (PR_SET_CHILD_SUBREAPER)."""
    try:
        import _ctypes

        calls: Any = _ctypes
        calls.call_function(calls.dlsym(calls.dlopen(None, 0), "prctl"), (36, 1, 0, 0, 0))
    except (ImportError, AttributeError, TypeError, OSError):  # of a Python that is built otherwise
        try:
            import ctypes

            ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
        except (ImportError, AttributeError, OSError):
            pass


class Process:
    """A program that was started, in a session of its own."""

    def __init__(self, argv: List[str], env: Dict[str, str], outputs: List[int], nice: int) -> None:
        """Starts it with these three descriptors; raises OSError where it can't be."""
        self.returncode: Optional[int] = None
        ours, theirs = os.pipe()  # closed by the program's start, or the number of what kept it from that
        self.pid = os.fork()
        if not self.pid:
            try:
                os.setsid()
                for number, fd in enumerate(outputs):
                    os.dup2(fd, number)
                call_off(nice)
                os.execvpe(argv[0], argv, env)
            except OSError as error:
                os.write(theirs, b"%d" % (error.errno or 0))
            finally:
                os._exit(127)
        os.close(theirs)
        told = os.read(ours, 16)
        os.close(ours)
        if told:
            os.waitpid(self.pid, 0)
            raise OSError(int(told), os.strerror(int(told)), argv[0])


def write(path: str, data: bytes, exclusive: bool) -> bool:
    """Writes a file under a temporary name, on to the disk, and gives it its own; False where that was taken."""
    hidden = "%s.%s.%d" % (path, HOST, os.getpid())
    fd = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        while data:
            data = data[os.write(fd, data):]
        if not exclusive:
            os.fsync(fd)  # a claim needs none: nothing that began outlives the crash that forgets it
    finally:
        os.close(fd)
    if not exclusive:
        os.rename(hidden, path)
        return True
    try:
        os.link(hidden, path)
    except OSError:
        pass  # taken; or over NFS made, and only the answer was lost: the count of links tells
    won = os.stat(hidden).st_nlink == 2
    os.unlink(hidden)
    return won


def processes() -> Iterator[Tuple[int, int, int]]:
    """(pid, parent, bytes in memory) of all processes that we may see."""
    page, own = os.sysconf("SC_PAGE_SIZE"), os.getpid()
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name, "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
                if fields[0] != b"Z" or int(fields[1]) == own:  # else it has ended, and is another's to take in
                    yield int(name), int(fields[1]), int(fields[21]) * page
            except (OSError, IndexError, ValueError):
                pass  # it has just ended


def offspring() -> List[Tuple[int, int]]:
    """(pid, bytes in memory) of all that descend from us: we are their subreaper."""
    children: Dict[int, List[int]] = {}
    sizes: Dict[int, int] = {}
    for pid, parent, size in processes():
        children.setdefault(parent, []).append(pid)
        sizes[pid] = size
    found, left = [], [os.getpid()]
    while left:
        for pid in children.get(left.pop(), ()):
            found.append((pid, sizes[pid]))
            left.append(pid)
    return found


def count_ooms() -> Optional[int]:
    """How many processes the kernel has killed for lack of memory: in our control group, else anywhere."""
    files = ["/proc/vmstat"]
    try:
        with open("/proc/self/cgroup") as file:
            for line in file:
                number, kinds, path = line.rstrip("\n").split(":", 2)
                if number == "0":
                    files.insert(0, "/sys/fs/cgroup%s/memory.events" % path)
                elif "memory" in kinds.split(","):
                    files.insert(0, "/sys/fs/cgroup/memory%s/memory.oom_control" % path)
    except OSError:
        pass
    for name in files:
        try:
            with open(name) as file:
                for line in file:
                    if line.startswith("oom_kill "):
                        return int(line.split()[1])
        except OSError:
            pass
    return None


def call_off(nice: int) -> None:
    """In the child, before its program: nothing of how we listen to signals is handed on."""
    if nice:
        os.nice(nice)
    for number in HEARD | {signal.SIGPIPE}:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, set())


def environment(context: Dict[str, Any], order: Dict[str, Any], paths: Dict[str, str]) -> Dict[str, str]:
    """The variables of a task: what the engine gives, the job's environment entered, then the job's and its own."""
    env = {name: value for name, value in os.environ.items() if name not in context.get("unset", ())}
    for name, folders in context.get("ahead", {}).items():
        env[name] = os.pathsep.join([*folders, *filter(None, [env.get(name, os.defpath if name == "PATH" else "")])])
    env.update(context["env"])
    env.update(order["env"])
    env.update(GRIST_WORKER="1", GRIST_RESULT=paths["result"], GRIST_PROGRESS=paths["progress"], GRIST_HOST=HOST)
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
        said = {"v": VERSION, "host": HOST, "id": ENGINE_ID, "job": os.environ.get("SLURM_JOB_ID", ""),
                "pid": os.getpid(), "t": time.time()}  # fmt: skip
        return write(self.base + ".claim", to_json(said), True)

    def record(self, **facts: Any) -> Dict[str, Any]:
        """What is said of how it ended."""
        found: Dict[str, Any] = {"v": VERSION, "e": self.order["do"], "host": HOST, "id": ENGINE_ID}
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
                    write(record["trace"], unfit["trace"].encode("utf-8", "replace"), False)
        except ChildProcessError as error:
            record.update(signal=error.errno, text=error.strerror)
        record["t"] = time.time()
        self.write(record, told)
        return False

    def run(self, told: Callable[[float], bool]) -> None:
        """Runs it. `told` waits for a signal, so many seconds at most. Writes the record."""
        self.born, began, ooms = time.monotonic(), time.time(), count_ooms()
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
            now = count_ooms()
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
            return Process(self.order["argv"], env, [source, outputs[0], outputs[-1]], nice)
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
        return [(pid, size) for pid, size in offspring() if pid not in spared]

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
                    cut(self.paths[kind], size, most)
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
            if os.stat(self.paths["result"]).st_size <= INLINE:
                with open(self.paths["result"], encoding="utf-8") as file:
                    record["value"] = to_json(read_json(file.read())).decode()
                os.unlink(self.paths["result"])
            else:
                record["result"] = self.paths["result"]
        except FileNotFoundError:
            pass
        except (OSError, ValueError):
            record["result"] = self.paths["result"]  # no JSON: the daemon says so
        if notes:
            record["text"] = "; ".join(notes)

    def write(self, record: Dict[str, Any], told: Callable[[float], bool]) -> None:
        """Writes the record, and again where there is no room, for a while."""
        given_up = time.monotonic() + WRITE_FOR
        while True:
            try:
                write(self.base + ".json", to_json(record), False)
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


def cut(path: str, size: int, most: int) -> None:
    """Leaves the middle of a log out, and says so where it was."""
    half = most // 2
    with open(path, "r+b") as file:
        file.seek(size - half)
        tail = file.read()
        file.seek(half)
        file.write(b"\n[gristmill: %d bytes left out here: limits.log = %d]\n" % (size - 2 * half, most) + tail)
        file.truncate()


def orders(folder: str, first: int, count: int) -> Iterator[Tuple[int, Dict[str, Any]]]:
    """(index, order) of some tasks of a chunk; `index` holds where in `tasks` each begins, and where the last ends."""
    with open(os.path.join(folder, "index"), "rb") as file:
        file.seek(8 * first)
        data = file.read(8 * (count + 1))
    places = [int.from_bytes(data[at:at + 8], "little") for at in range(0, len(data), 8)]
    with open(os.path.join(folder, "tasks"), "rb") as file:
        for number, (start, end) in enumerate(zip(places, places[1:])):
            file.seek(start)
            yield first + number, read_json(file.read(end - start).decode("utf-8", "surrogateescape"))


def main(folder: str, slot: int) -> None:
    """Runs the tasks of a slot."""
    ended: List[int] = []
    signal.pthread_sigmask(signal.SIG_BLOCK, HEARD)
    for number in ENDS:
        signal.signal(number, signal.SIG_DFL)  # to be ignored would be to never hear it
    become_subreaper()

    def told(seconds: float) -> bool:
        """Waits for a signal, so many seconds at most; whether an end was asked for."""
        found = signal.sigtimedwait(HEARD, seconds)
        if found is not None and found.si_signo in (signal.SIGTERM, signal.SIGINT):
            ended.append(found.si_signo)
        return bool(ended)

    os.chdir(folder)
    with open("chunk.json", encoding="utf-8") as file:
        chunk = read_json(file.read())
    context = chunk["context"]
    maker = make_calls(context) if "call" in context else None
    for index, order in orders(folder, slot * chunk["pack"], chunk["pack"]):
        task = Task(folder, context, index, order, maker)
        if told(0) or task.is_taken() or not task.claim():
            continue
        if maker is None or task.is_callable(told):
            task.run(told)
        elif task.is_unfit:
            break  # nothing of the job can be run here: the rest of it is not begun
    if maker is not None:
        maker.close()


def make_calls(context: Dict[str, Any]) -> Any:
    """What makes the calls that tasks are: `callee.py`, beside us."""
    import importlib.util

    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "callee.py")
    spec = importlib.util.spec_from_file_location("_grist_callee", path)
    assert spec is not None and spec.loader is not None
    callee: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(callee)
    env = environment(context, {"env": {}}, {"result": "", "progress": ""})

    def born() -> None:
        os.setsid()
        call_off(context.get("nice") or 0)

    return callee.maker(context["call"], env, context["cwd"], born)


if __name__ == "__main__":
    main(os.path.abspath(sys.argv[1]), int(sys.argv[2]))
