"""What stands below a task on a node: JSON, files that appear whole, processes and what they hold.

Part of the program that `node.py` is (see there): Python 3.6 or newer, and nothing is imported that takes long. Of
`json`, `signal` and `ctypes` only the halves that are built in, where this Python has them; a program is started by
hand.
"""

import os

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

ENDS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
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


def cut(path: str, size: int, most: int) -> None:
    """Leaves the middle of a log out, and says so where it was."""
    half = most // 2
    with open(path, "r+b") as file:
        file.seek(size - half)
        tail = file.read()
        file.seek(half)
        file.write(b"\n[gristmill: %d bytes left out here: limits.log = %d]\n" % (size - 2 * half, most) + tail)
        file.truncate()


# ── processes ───────────────────────────────────────────────────────────────────────────────────────────────────────


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


def call_off(nice: int) -> None:
    """In the child, before its program: nothing of how we listen to signals is handed on."""
    if nice:
        os.nice(nice)
    for number in HEARD | {signal.SIGPIPE}:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, set())


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
