"""The spawner and its workers: the only code of ours that stands between the daemon and a task.

One file, standard library only, Python 3.8 or newer, run by its path with `python -I -S`; everything is imported
before the first fork, so that replacing the installed program under a living worker does no harm. It decides
nothing: it starts what it is told, keeps the time that it is told, and writes down how it ended.

    daemon ─socketpair─► spawner ─fork─► worker 1…n ─posix_spawn─► the task, in a session of its own
       ▲────────── a socket for each worker ──────────┘

A worker outlives the daemon. It holds the lock of its run folder for life and appends to the journal there, one
checksummed line a record: a *claim* before a task is started, its *exit* afterwards. When the daemon's end of the
socket closes, the worker ends the task in hand, makes its exit record durable and leaves. A later daemon that wants
a worker's unclaimed tasks back appends a *fence* first. The kernel orders appends, and a worker that finds the
journal longer than it left it starts nothing more: no task can be run by both sides, however long one was frozen.

The daemon may have a task stopped, with all its processes. A stop is a lease: where the daemon does not renew it, or
hangs up, the task goes on by itself. No task stays stopped by a will that is gone.
"""

from __future__ import annotations

import array
import collections
import ctypes
import errno
import fcntl
import gc
import json
import os
import re
import resource  # which `os.wait4` imports at its first call otherwise, in each worker
import select
import signal
import socket
import stat
import sys
import termios
import time
import zlib

TYPE_CHECKING = False  # as type checkers know it, without the cost of `typing` in each worker
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

VERSION = 1  # of the journal's records; a reader refuses a newer one
VERSION_EVICTED = 2  # of the exit of an evicted task: who does not know what that is would take it for a failure
JOURNAL_STEP = 1 << 16  # bytes set aside at a time, so that a full disk can't lose an exit record
JOURNAL_LIMIT = 1 << 21  # past this a worker asks to be replaced; a short journal keeps recovery fast
RECORD_ROOM = 1 << 13  # what a claim and an exit may take at most
NAME_LOG_AFTER = 0.5  # seconds; the log of a task that lives longer gets its final name while it runs
KILL_EVERY = 0.1  # seconds between two sweeps over what still lives of a task
COUNT_EVERY = 5.0  # seconds; the count of kills for lack of memory that a task starts from is no older
WRITE_AGAIN = 1.0  # seconds until a record is tried again that the disk had no room for
LOG_LOOKS = (0.05, 1.0)  # seconds between two looks at a log with a limit: the shortest and the longest pause
LOG_TAIL = 1 << 20  # bytes kept of a log's end when its middle is cut out, at most
STOP_LEASE = 10.0  # seconds for which a task stays stopped unless the daemon asks for it again
READ_MOST = 1 << 16  # bytes taken from the daemon at a time: room for more would be mapped anew for each message
SWEEPS = 5  # looks over a task's processes in one go until all of them are stopped
SWEEP_AGAIN = (0.02, 10)  # pause before the next such go, doubled each time, and how many there are at most
EVICT_GRACE = 1.0  # seconds at most between TERM and KILL where memory is short: the time to say good-bye, no more
EXIT_FIRST = 0.02  # seconds after which a start is worth telling; before, the exit alone says it all
YIELD_AGAIN = (0.1, 6.4)  # seconds before a session's niceness is asked for again: at first, doubled up to the last
NOT_STARTED = {errno.EAGAIN, errno.ENOMEM, errno.ENFILE, errno.EMFILE, errno.ENOSPC, errno.EDQUOT}
"""Errors that say "not now" of the machine rather than "never" of the task."""

PTY_SIZE = (24, 80)  # rows and columns of the terminal that a task is given on request
PTY_ROUND = 1 << 20  # bytes taken from it in one go, so that a task that floods it keeps nothing else waiting
PTY_SIGNS = re.compile(
    rb"\x1b(?:\[[0-?]*[ -/]*[@-ln-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()*+#%][0-9A-Za-z@]|[=>78DEHMNOZc])"
)  # what moves the cursor and sets up a terminal; colours end in "m" and stay
PTY_BEGUN = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b]{0,4096}\x1b?|[()*+#%]?)\Z")

NO_DESCRIPTOR = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}

IGNORED = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGPIPE, signal.SIGXFSZ)
"""What workers ignore, and tasks get back at its default; what we handle goes back by itself."""
ORDERS: dict[int, str] = {
    signal.SIGUSR1: "cancel", signal.SIGURG: "stop", signal.SIGCONT: "go", signal.SIGWINCH: "evict",
}
"""What an orphaned worker hears from the next daemon, which has no socket to it. But for the first they are signals
that a worker which does not know them ignores."""
PR_SET_CHILD_SUBREAPER = 36
FALLOC_FL_KEEP_SIZE = 1
PIDFD_OPEN, PIDFD_SEND_SIGNAL = 434, 424  # system calls of Linux ≥ 5.3; Python has them from 3.9 on
IOPRIO_SET = {"x86_64": 251, "aarch64": 30}.get(os.uname().machine)
IOPRIO_GET = None if IOPRIO_SET is None else IOPRIO_SET + 1
IOPRIO_WHO_PROCESS, IOPRIO_LAST = 1, 2 << 13 | 7  # "best effort", the class that all are in, at its lowest level

_libc = ctypes.CDLL(None, use_errno=True)
_libc.prctl.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong)
_libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
_libc.syscall.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_long)
_libc.syscall.restype = ctypes.c_long
SPAWN_FLAGS = 0x04 | 0x08 | 0x80  # POSIX_SPAWN_SETSIGDEF, _SETSIGMASK, _SETSID: the same in glibc and musl
LIBC_ROOM = 1024  # bytes, more than the structures of libc take that are handed to it: 336 at most
SIGNAL_BYTES = 128  # of a signalfd_siginfo, which begins with the signal's number
_libc.posix_spawn.argtypes = (ctypes.c_void_p, ctypes.c_char_p, *[ctypes.c_void_p] * 4)

_encoder = json.JSONEncoder(separators=(",", ":"))  # made once: a task of a millisecond has two records
_decoder = json.JSONDecoder()
_ENCODING = sys.getfilesystemencoding()


def encode(record: dict[str, Any]) -> bytes:
    """A message, and in the journal a record: compact JSON. Odd bytes in names survive as escapes."""
    return _encoder.encode(record).encode()


def claim(key: str, now: float) -> bytes:
    """The record of a claim, as `encode` would make it."""
    return f'{{"c":"{key}","t":{now!r}}}'.encode()


def exit_record(record: dict[str, Any]) -> bytes:
    """The record of an exit, as `encode` would make it; of one that has no more to say than most, and where its log is,
    in a quarter of the time."""
    log = record.get("log")
    if len(record) == 8 + (log is not None) and record["why"] is None and record["signal"] is None:
        text = '{"e":"%s","code":%d,"signal":null,"why":null,"t0":%r,"t":%r,"cpu":%r,"rss":%d'
        text %= record["e"], record["code"], record["t0"], record["t"], record["cpu"], record["rss"]
        return (text + ("}" if log is None else f',"log":{_encoder.encode(log)}}}')).encode()
    return encode(record)


def sealed(body: bytes) -> bytes:
    """A journal line: the checksum of `body`, the body, a newline."""
    return b"%08x %s\n" % (zlib.crc32(body), body)


def name_process(name: str) -> None:
    """What `ps` and `top` show."""
    try:
        fd = os.open("/proc/self/comm", os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return  # no descriptor left: the name of before will do
    os.write(fd, name.encode()[:15])
    os.close(fd)


def set_process(option: int, value: int) -> None:
    """Sets an attribute of this process, by the number that prctl has for it."""
    _libc.prctl(option, value, 0, 0, 0)


def become_subreaper() -> None:
    """Takes on what its descendants leave behind."""
    set_process(PR_SET_CHILD_SUBREAPER, 1)


def listen_to_signals() -> int:
    """Has the signals that a worker knows wait for it in a file rather than interrupt it; the file's descriptor.

    A handler costs a frame, a byte in a pipe and whatever call it interrupts once more: for each task that ends.
    """
    heard = {signal.SIGCHLD, *ORDERS}
    signal.pthread_sigmask(signal.SIG_BLOCK, heard)
    fd = _libc.signalfd(-1, signal_set(heard), os.O_NONBLOCK | os.O_CLOEXEC)
    if fd < 0:
        raise OSError(ctypes.get_errno(), "signalfd")
    return int(fd)


def signal_set(numbers: Iterable[int]) -> ctypes.Array[ctypes.c_char]:
    """A sigset_t."""
    found = ctypes.create_string_buffer(LIBC_ROOM)
    _libc.sigemptyset(found)
    for number in numbers:
        _libc.sigaddset(found, int(number))
    return found


def read_stat(pid: int) -> tuple[int, int, bytes]:
    """(parent, start in ticks since the boot, state) of a process, which pid and start name; OSError without one."""
    fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    try:
        stat = os.read(fd, 1024)
    finally:
        os.close(fd)
    fields = stat[stat.rindex(b")") + 2 :].split(None, 20)
    return int(fields[1]), int(fields[19]), fields[0]


def descendants(root: int) -> list[tuple[int, int, bytes]]:
    """(pid, start, state) of all that descends from `root`, from one pass over /proc; `root` itself is left out."""
    children = collections.defaultdict(list)
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                parent, start, state = read_stat(int(entry))
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended while we looked
            children[parent].append((int(entry), start, state))
    found, todo = [], [root]
    while todo:
        more = children[todo.pop()]
        found += more
        todo += [pid for pid, _, _ in more]
    return found


def offspring(root: int) -> list[tuple[int, int, bytes]]:
    """The same, asked of each process for its own children: it costs what the tree is, not what the machine runs.

    The kernel may pass over a child whose sibling is buried in the very moment: so this is for those who look again.
    """
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        try:
            threads = os.listdir(f"/proc/{pid}/task")
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
        for thread in threads:
            try:
                with open(f"/proc/{pid}/task/{thread}/children", "rb", buffering=0) as file:
                    children = [int(word) for word in file.readall().split()]
            except (FileNotFoundError, ProcessLookupError):
                if pid == root:
                    return descendants(root)  # a kernel that is not built to tell
                continue
            for child in children:
                try:
                    found.append((child, *read_stat(child)[1:]))
                except (FileNotFoundError, ProcessLookupError):
                    continue
                todo.append(child)
    return found


def send_signal(pid: int, start: int, number: int) -> bool:
    """Signals the process that was started at `start`, and no other that may have its pid by now.

    False when there was no descriptor left to do it with; one that has ended needs no signal any more.
    """
    fd = _libc.syscall(PIDFD_OPEN, pid, 0, None, 0)
    if fd < 0:
        return ctypes.get_errno() not in NO_DESCRIPTOR
    try:
        if read_stat(pid)[1] == start:
            _libc.syscall(PIDFD_SEND_SIGNAL, fd, number, None, 0)
    except (FileNotFoundError, ProcessLookupError):
        pass  # it has ended since
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def count_oom_kills(path: str) -> int:
    """How many processes the kernel has killed for lack of memory: in the cgroup whose file this is, or anywhere."""
    with open(path, "rb", buffering=0) as file:
        found = file.read(1 << 16)
    return int(found[found.index(b"oom_kill ") + 9 :].split(None, 1)[0])


def kills_counted(path: str) -> int | None:
    """The same; None where that can't be told now."""
    try:
        return count_oom_kills(path)
    except (OSError, ValueError):
        return None  # no descriptor left, or a kernel that does not count


def input_file(text: str) -> int:
    """The descriptor of a file that gives this text."""
    fd = os.memfd_create("stdin", os.MFD_CLOEXEC)
    left = text.encode("utf-8", "surrogateescape")
    while left:
        left = left[os.write(fd, left) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def find_oom_file() -> str:
    """The narrowest counter of kills for lack of memory: memory.events of our cgroup (v2) covers what is below it."""
    try:
        with open("/proc/self/cgroup", encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                number, _, path = line.rstrip("\n").split(":", 2)
                events = f"/sys/fs/cgroup{path}/memory.events"
                if number == "0" and os.access(events, os.R_OK):
                    return events
    except FileNotFoundError:
        pass  # a kernel without control groups
    return "/proc/vmstat"


def find_program(name: str, path: str) -> str:
    """The file that `name` means on `path`, as execvp looks it up; raises FileNotFoundError."""
    if "/" in name:
        return name
    for folder in path.split(":"):
        candidate = os.path.join(folder or ".", name)
        if os.access(candidate, os.X_OK) and not os.path.isdir(candidate):
            return candidate
    raise FileNotFoundError(errno.ENOENT, "command not found", name)


def make_nice(pid: int, nice: int) -> None:
    """Lets others go before a task that has just begun, and with it what it has forked by now: it leads its group.

    As far as this user may, and as long as the task lives: politeness, not a condition.
    """
    if nice:
        try:
            os.setpriority(os.PRIO_PGRP, pid, nice)
        except OSError:
            pass


def confine(pid: int, space: int) -> None:
    """Has the kernel refuse a task that has just begun more than so many bytes of address space, a process."""
    try:
        resource.prlimit(pid, resource.RLIMIT_AS, (space, space))
    except (ProcessLookupError, PermissionError, ValueError):
        pass  # it has ended, or its own limit is lower


def yield_session(pid: int, nice: int) -> bool:
    """Lets other sessions go before the one that a task leads; False: not now, ask again.

    Where the kernel shares the cores out by session (autogroup: a desktop's kernel, and Debian's, unless a control
    group does it) niceness counts inside a session only, so that ten tasks beside one user's program would have ten
    shares of eleven. The kernel takes one such wish in a tenth of a second from all who are not root (sched(7)).
    """
    try:
        fd = os.open(f"/proc/{pid}/autogroup", os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return True  # a kernel without it, or the task has ended
    try:
        os.write(fd, b"%d" % nice)
    except OSError as error:
        return error.errno != errno.EAGAIN  # politeness, not a condition
    finally:
        os.close(fd)
    return True


def plain_bytes(texts: list[str]) -> list[bytes]:
    """As the system calls take them; raises ValueError for what those would cut short or could not say."""
    found = [text.encode(_ENCODING, "surrogateescape") for text in texts]
    if b"\0" in b"".join(found):
        raise ValueError("embedded null byte")
    return found


class Environment:
    """The variables of the tasks of one job, in the form in which the kernel takes them.

    Most are the same for all; those that each task has of its own lie at the end, where the next one's replace them.
    """

    def __init__(self, shared: dict[str, str], own: Iterable[str], last: dict[str, str]) -> None:
        """`own` are the names of those that tasks have of their own, before those of `shared`; `last` has the last
        word."""
        self.names = tuple(own)
        same = {name: value for name, value in shared.items() if name not in self.names}
        same.update(last)
        if any(not name or "=" in name for name in (*same, *self.names)):
            raise ValueError("illegal environment variable name")
        self.path = same.get("PATH", os.defpath)
        self.void = last.keys() & set(self.names)
        self.first = len(same)
        self.array = (ctypes.c_char_p * (self.first + len(self.names) - len(self.void) + 1))()
        lines: Any = plain_bytes([f"{name}={value}" for name, value in same.items()])
        self.array[: self.first] = lines

    def dress(self, own: dict[str, str]) -> ctypes.Array[ctypes.c_char_p]:
        """The environment of a task with these variables, whose names are the same as ever."""
        if self.void:
            own = {name: value for name, value in own.items() if name not in self.void}
        lines: Any = plain_bytes([f"{name}={value}" for name, value in own.items()])
        self.array[self.first : -1] = lines
        return self.array


class Birth:
    """posix_spawn(3), with all that is the same for each task prepared once.

    `os.posix_spawn` makes everything anew each time, which costs as much as a third of all else that a worker does.
    """

    def __init__(self) -> None:
        self.attributes = ctypes.create_string_buffer(LIBC_ROOM)
        _libc.posix_spawnattr_init(self.attributes)
        _libc.posix_spawnattr_setflags(self.attributes, ctypes.c_short(SPAWN_FLAGS))
        _libc.posix_spawnattr_setsigmask(self.attributes, signal_set(()))
        _libc.posix_spawnattr_setsigdefault(self.attributes, signal_set(IGNORED))
        self.ends: tuple[int, ...] = ()
        self.files = ctypes.create_string_buffer(LIBC_ROOM)
        _libc.posix_spawn_file_actions_init(self.files)
        self.pid = ctypes.c_int()

    def give(self, ends: tuple[int, ...]) -> None:
        """The next ones have these descriptors as 0, 1 and 2; raises OSError without the memory for it."""
        if ends != self.ends:
            _libc.posix_spawn_file_actions_destroy(self.files)
            _libc.posix_spawn_file_actions_init(self.files)
            for number, fd in enumerate(ends):
                if code := _libc.posix_spawn_file_actions_adddup2(self.files, fd, number):
                    self.ends = ()
                    raise OSError(code, os.strerror(code))
            self.ends = ends

    def spawn(self, program: bytes, argv: list[bytes], environment: ctypes.Array[ctypes.c_char_p]) -> int:
        """Starts a program in a session of its own, with signals as they are by default; its pid. Raises OSError."""
        words = (ctypes.c_char_p * (len(argv) + 1))(*argv)
        code = _libc.posix_spawn(ctypes.byref(self.pid), program, self.files, self.attributes, words, environment)
        if code:
            raise OSError(code, os.strerror(code), os.fsdecode(program))
        return self.pid.value


class Birthright:
    """What a task is born with, as its worker has it in that moment: with all that it forks, and for no call more.

    Its place at the disk, which its worker shares from then on: that writes little, and waits for the disk only when
    it leaves. And that it goes first if memory does run out, not the user's shell; that, the worker takes on for the
    moment of the birth only. (Niceness it can't: nobody may take back his own.)
    """

    def __init__(self) -> None:
        self.last, self.place = False, _PLACE
        try:
            self.score = os.open("/proc/self/oom_score_adj", os.O_RDWR | os.O_CLOEXEC)
            self.own = os.read(self.score, 16)
        except OSError:
            self.score = -1  # a kernel without it

    def queue_last(self, last: bool) -> None:
        """Last in line for the disk, or in the place that we came with."""
        if last != self.last and IOPRIO_SET is not None:
            self.last = last
            _libc.syscall(IOPRIO_SET, IOPRIO_WHO_PROCESS, 0, IOPRIO_LAST if last else self.place, 0)

    def go_first(self, first: bool) -> None:
        """The first to be killed for lack of memory, or as likely as we came."""
        if self.score >= 0:
            try:
                os.write(self.score, b"300" if first else self.own)
            except OSError:
                pass  # this user may not: then it is as it was


_OOM_FILE = find_oom_file()
_PLACE = 0 if IOPRIO_GET is None else _libc.syscall(IOPRIO_GET, IOPRIO_WHO_PROCESS, 0, None, 0)
"""Our place at the disk, which workers and tasks are born with."""


class Group:
    """The control group (v2) of one worker, in which its tasks are born: it bounds them, and counts who dies of that.

    None of it is a condition: a worker that can't have it works without.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.said = {"memory.max": "max", "memory.swap.max": "max", "cpu.weight": "100"}  # as it is when it is made

    def write(self, name: str, text: str) -> bool:
        """Whether the kernel took it; the file is beside our own ones where `name` says so."""
        try:
            fd = os.open(f"{self.path}/{name}", os.O_WRONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            os.write(fd, text.encode())
        except OSError:
            return False
        finally:
            os.close(fd)
        return True

    def enter(self) -> bool:
        return self.write("cgroup.procs", "0")

    def bound(self, bounds: dict[str, str]) -> None:
        """Has it say this from now on."""
        for name, text in bounds.items():
            if self.said.get(name) != text:
                self.said[name] = text
                self.write(name, text)

    def kill(self) -> None:
        """Ends all in it but ourselves, in one go that nothing can fork away from (Linux ≥ 5.14)."""
        if os.access(self.path + "/cgroup.kill", os.W_OK) and self.write("../daemon/cgroup.procs", "0"):
            self.write("cgroup.kill", "1")
            self.enter()


class FencedError(Exception):
    """Another daemon has taken over this run folder: nothing may be started here any more."""


class Journal:
    """The append-only record of one worker."""

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        self.end = 0  # where our own last record ends; more in the file than that is a fence
        self.reserved = 0
        self.torn = False  # the last write was cut short by a full disk

    def reserve(self) -> None:
        """Sets room aside for a claim and its exit; raises OSError when there is none."""
        if self.end + RECORD_ROOM > self.reserved:
            self.reserved = max(self.reserved, self.end)
            if _libc.fallocate(self.fd, FALLOC_FL_KEEP_SIZE, self.reserved, JOURNAL_STEP):
                code = ctypes.get_errno()
                if code not in (errno.EOPNOTSUPP, errno.ENOSYS):
                    raise OSError(code, os.strerror(code), "journal")
            self.reserved += JOURNAL_STEP

    def append(self, *bodies: bytes) -> None:
        """Writes records at once; raises FencedError when somebody else wrote since our last one."""
        line = b"\n" * self.torn + b"".join(map(sealed, bodies))
        written = os.write(self.fd, line)
        self.torn = written != len(line)
        position = os.lseek(self.fd, 0, os.SEEK_CUR)
        fenced = position != self.end + written
        self.end = position
        if self.torn:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "journal")
        if fenced:
            raise FencedError


def rename(source: str, target: str) -> None:
    """Moves a file, into a folder that is made if need be."""
    try:
        os.rename(source, target)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(target), 0o700, exist_ok=True)
        os.rename(source, target)


class Output:
    """A file that takes what tasks write: given from one task to the next until one has written into it.

    Files are what dispatch costs; a task that writes nothing makes none. Where the last one of a job has written, the
    next one's file is made under its final name at once.
    """

    def __init__(self, run: str, kind: str) -> None:
        self.run, self.kind = run, kind
        self.fd = -1
        self.serial = 0  # of how many files it has been the latest
        self.path = ""
        self.filled = ""  # the folder of the last file, if something was written into that

    def open(self, logs: str = "", name: str = "") -> int:
        """Its descriptor; the empty file of the task before is used again. `logs` and `name` say what it is likely to
        be called."""
        if self.fd < 0:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            if logs and logs == self.filled:
                try:
                    self.path = f"{logs}/{name}.{self.kind}"
                    self.fd = os.open(self.path, flags, 0o600)
                except OSError:
                    pass  # there is one of that name, or no folder: it is renamed as ever
            if self.fd < 0:
                self.path = f"{self.run}/{self.kind}"
                self.fd = os.open(self.path, flags, 0o600)
            self.serial += 1
        return self.fd

    def begin(self, folder: str, name: str, key: str, most: int, now: float) -> None:
        """Belongs to task `key` from now on, will be of this name in that folder, and may hold `most` bytes (0: no
        limit)."""
        target = f"{folder}/{name}.{self.kind}"
        self.folder, self.target, self.key, self.most = folder, target, key, most
        self.named = self.path == target
        self.born = self.seen_at = now
        self.look = now if most else None  # when its size is looked at next
        self.seen = 0
        self.cut = 0  # bytes left out of it
        self.mark = 0  # bytes of the line that says so

    def name(self) -> None:
        """Gives it its final name, while the task runs or afterwards."""
        self.named = True
        try:
            rename(self.path, self.target)
            self.path = self.target
        except OSError:
            kept = f"{self.run}/{self.kind}.{self.key}"  # kept where it can be; the daemon moves it later
            os.rename(self.path, kept)
            self.path = kept

    def take_back(self) -> bool:
        """Belongs to no task any more, after one that has written nothing into it: the next one can have it.

        To remove it and make another costs more than all else that is done for a task, on some file systems.
        """
        if self.named:
            try:
                os.rename(self.path, f"{self.run}/{self.kind}")
            except OSError:
                return False
            self.named = False
            self.path = f"{self.run}/{self.kind}"
        return True

    def keep(self) -> str:
        """The path of what the task wrote, or "" when it wrote nothing. The task and all its children are gone."""
        written = os.fstat(self.fd).st_size
        self.filled = self.folder if written else ""
        if written > self.most > 0:
            self.bound(time.monotonic())
        if not written and self.take_back():
            return ""
        if not written:
            os.unlink(self.path)
            os.close(self.fd)
            self.fd = -1
            return ""
        if not self.named:
            self.name()
        os.close(self.fd)
        self.fd = -1
        return self.path

    def bound(self, now: float) -> None:
        """Looks at its size, cuts its middle out where that passes the limit, plans the next look."""
        size = os.fstat(self.fd).st_size
        if size > self.most:
            try:
                self.cut_middle(size)
            except OSError:
                pass  # no descriptor, no room even for less: the next look tries again
            size = os.fstat(self.fd).st_size
        growth = (size - self.seen) / max(1e-3, now - self.seen_at)
        pause = (self.most - size) / growth / 2 if growth > 0 else now - self.born  # half the way to the limit
        self.seen, self.seen_at = size, now
        self.look = now + min(LOG_LOOKS[1], max(LOG_LOOKS[0], pause))

    def cut_middle(self, size: int) -> None:
        """Keeps the first half of the limit and the newest lines, with a line between them that says what is gone.

        The file is cut back and written on, since the task holds it open for appending. What the task writes in the
        moment between the two is newer than what is kept, and is put behind it: readers find the line by its place.
        """
        head, tail = self.most // 2, min(LOG_TAIL, self.most // 4)
        file = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)  # writes where it is told
        try:
            end = os.pread(file, tail, size - tail)
            end = end[end.find(b"\n") + 1 :]
            size = os.fstat(file).st_size
            os.ftruncate(self.fd, head)  # at once: what is written between these two is lost and not counted
            self.cut += size - head - len(end) - self.mark
            line = b"\n[gristmill: %d bytes left out here: limits.log = %d]\n" % (self.cut, self.most)
            self.mark = len(line)
            os.write(self.fd, line + end)
            if os.pread(file, len(line), head) != line:
                found = os.pread(file, tail + LOG_TAIL, head)
                if (between := found.find(line + end)) > 0:
                    os.pwrite(file, line + end + found[:between], head)
        finally:
            os.close(file)


class Terminal:
    """A terminal for a task that wants to see one: what is written to it goes into a log.

    Nobody's controlling terminal, and nothing is ever typed: who asks for a password on /dev/tty finds none. Lines end
    as they were ended, progress bars rewrite theirs by carriage returns, colours stay; other control sequences go.
    """

    def __init__(self, output: Output) -> None:
        self.output = output
        self.fd, self.slave = os.openpty()
        os.set_blocking(self.fd, False)
        modes = termios.tcgetattr(self.slave)
        modes[1] &= ~termios.OPOST
        modes[3] &= ~(termios.ECHO | termios.ICANON)
        termios.tcsetattr(self.slave, termios.TCSANOW, modes)
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, array.array("H", [*PTY_SIZE, 0, 0]))
        self.begun = b""  # of a control sequence whose end is yet to come

    def begin(self) -> None:
        """The task has its end."""
        os.close(self.slave)
        self.slave = -1

    def take(self, most: int = PTY_ROUND) -> bool:
        """Moves what was written into the log; False when nobody is left to write."""
        while most > 0:
            try:
                data = os.read(self.fd, 1 << 16)
            except BlockingIOError:
                return True
            except OSError:
                return False
            most -= len(data)
            self.write(self.begun + data)
        return True

    def write(self, data: bytes) -> None:
        begun = PTY_BEGUN.search(data, max(0, len(data) - 4200))
        self.begun = b"" if begun is None else begun[0]
        text = PTY_SIGNS.sub(b"", data[: len(data) - len(self.begun)])
        try:
            while text:
                text = text[os.write(self.output.fd, text) :]
        except OSError:
            pass  # no room: what a task writes to a full disk itself is gone as well

    def close(self) -> None:
        """Takes what is left."""
        if self.slave >= 0:
            self.begin()
        self.take(1 << 24)  # the buffer of a terminal is far less; one who has it open still may write on
        os.close(self.fd)


def is_our_link(path: str, log: str) -> bool:
    """Whether it is a link to a log beside this one, or of another job."""
    try:
        return os.path.dirname(os.path.dirname(os.readlink(path))) == os.path.dirname(os.path.dirname(log))
    except OSError:
        return False


def link_log(log: str, target: str) -> None:
    """Has the log of a task that begins found where its script says; a file that was there gives way, as ever."""
    try:
        os.makedirs(os.path.dirname(target) or ".", exist_ok=True)
        if os.path.exists(log) and os.path.exists(target) and os.path.samefile(log, target):
            return  # there it is
        plain = os.path.isfile(target) and not os.path.islink(target)
        if plain or not os.path.lexists(target) or is_our_link(target, log):
            os.symlink(log, target + ".new~")
            os.rename(target + ".new~", target)
    except OSError:
        pass  # the copy at its end tells of it


def copy_log(path: str, target: str, log: str, append: bool) -> None:
    """Copies what a task wrote (at `path`, "" for nothing) to where its script says, as its batch system would have.
    `log` is what its log was to be called."""
    os.makedirs(os.path.dirname(target) or ".", exist_ok=True)
    if is_our_link(target, log):
        os.unlink(target)
    if path and os.path.exists(target) and os.path.samefile(path, target):
        return
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe that nobody reads is no place for it
    file = os.open(target, flags | (os.O_APPEND if append else os.O_TRUNC), 0o666)
    with os.fdopen(file, "wb", 0) as out:
        if path and stat.S_ISREG(os.fstat(file).st_mode):
            with open(path, "rb", 0) as source:
                while block := source.read(1 << 20):
                    view = memoryview(block)
                    while view:
                        view = view[out.write(view) or 0 :]


class Task:
    """The task in hand."""

    copies: tuple[str, ...] = ()  # where its outputs are copied to when it has ended, "" for nowhere
    copies_append = False
    announced = False
    yield_at: float | None = None  # when its session is made to go last
    yields = 0  # how often that was tried
    why: str | None = None  # "timeout", "cancel" or "evict" once its end was asked for
    stopped_at: float | None = None  # since when it is stopped
    stopped = 0.0  # seconds that it was stopped before
    lease = 0.0  # when it goes on by itself
    frozen: frozenset[tuple[int, int]] = frozenset()  # processes that we stopped: what the task stops itself stays so
    sweep_at: float | None = None  # when some are looked for that were not reached yet
    sweeps = 0
    kill_at: float | None = None
    status: int | None = None
    said: dict[str, Any] | None = None  # what goes into the record of its exit beside the usual
    cpu = 0.0
    rss = 0

    def __init__(self, key: str, pid: int, context: dict[str, Any], outputs: list[Output], ago: float = 0.0) -> None:
        """It began to be started so many seconds ago: one that sleeps for three seconds takes no less than that."""
        self.key = key
        self.pid = pid
        self.grace = context["grace"]
        self.nice = context["nice"]
        self.wait = context.get("wait", False)  # for what the task leaves running, rather than end it
        self.started = time.time() - ago
        self.born = time.monotonic() - ago
        self.deadline = None if context["timeout"] is None else self.born + context["timeout"]
        name = key.split(".", 1)[1]
        self.result_path = f"{context['results']}/{name}.json"
        self.outputs = outputs
        for output in outputs:
            output.begin(context["logs"], name, key, context.get("most") or 0, self.born)


class Worker:
    """One slot of the pool: runs one task after another until the daemon closes its socket or it is fenced."""

    birth: Birth
    """Made before the fork (`settle`): each that made its own would copy the pages that this takes, for a third of a
    millisecond."""
    first_count: tuple[int | None, float] = (None, -COUNT_EVERY)
    """What the spawner has counted for those that it forks."""

    def __init__(self, sock: socket.socket, run: str, slot: int) -> None:
        self.sock, self.run, self.slot = sock, run, slot
        self.lock = os.open(run + "/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.lockf(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.journal = Journal(run + "/journal")
        self.contexts: dict[int, dict[str, Any]] = {}
        self.waiting: collections.deque[dict[str, Any]] = collections.deque()
        self.task: Task | None = None
        self.inbox = b""
        self.outbox: list[bytes] = []
        self.staged: tuple[bytes, ...] = ()  # an exit that goes into the journal with the next claim, in one write
        self.unwritten: collections.deque[bytes] = collections.deque()  # exits that the disk has no room for
        self.write_at = 0.0
        self.ooms, self.counted = self.first_count  # kills for lack of memory, anybody's, and when they were counted
        self.birthright = Birthright()
        self.outfit: tuple[dict[str, Any], Environment] | None = None  # the job of the last task, and what all have
        self.group: Group | None = None  # of this worker alone
        self.oom_file = _OOM_FILE
        self.yielded = 0  # the process whose session goes last by now: one that makes many calls is asked for once
        self.out, self.err = Output(run, "log"), Output(run, "err")
        self.null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        self.poll = select.poll()
        self.terminals: dict[int, Terminal] = {}  # of the task in hand, by descriptor
        self.wake = -1  # where signals wait for it
        self.flushed = 0.0
        self.orphaned = False  # the daemon is gone
        self.retiring = False  # finish, then leave

    # ── the loop ──────────────────────────────────────────────────────────────────────────────────────────────

    def serve(self, wake: int) -> None:
        """Runs until there is nothing left to do. `wake` is where signals wait (see `listen_to_signals`)."""
        self.wake = wake
        poll, daemon = self.poll, self.sock.fileno()
        poll.register(daemon, select.POLLIN)
        poll.register(wake, select.POLLIN)
        try:
            self.journal.append(b'{"v":%d,"stops":true}' % VERSION)
        except FencedError:
            self.orphaned = True  # given up on before it came to be
        except OSError:
            pass  # no room: the first claim meets the same, and says so
        self.outbox.append(b'{"ready":%d}\n' % os.getpid())
        while True:
            self.start_next()
            if not self.busy():
                self.flush()
                os.chdir("/")  # of a folder that is left like this a file system can be unmounted
                if (self.orphaned or self.retiring) and not self.unwritten:
                    return
            if self.staged:
                self.write_staged()  # nothing was claimed after it
            for fd, _ in poll.poll(self.patience()):
                if fd == wake:
                    self.hear_signals()
                elif fd == daemon:
                    self.read_socket()
                    if self.orphaned:
                        poll.unregister(daemon)
                else:
                    self.hear_task(fd)
            self.look_after()

    def busy(self) -> bool:
        """Whether there is something to be ended before it may leave."""
        return self.task is not None

    def patience(self) -> int | None:
        """Milliseconds until something is due, None for as long as nothing happens."""
        task = self.task
        due = [self.write_at] if self.unwritten else []
        if task is None and not due:
            return None
        now = time.monotonic()
        if task is not None:
            until = task.deadline if task.stopped_at is None else task.lease
            moments = (until, task.kill_at, task.sweep_at, task.outputs[0].look)
            due += [moment for moment in moments if moment is not None]
            due += self.courtesies(task)
        return max(0, int((min(due) - now) * 1000) + 1) if due else None

    @staticmethod
    def courtesies(task: Task) -> list[float]:
        """When a task in hand is told of, when its session is to go last, and when its log gets its name."""
        due = []
        if not task.announced:
            due.append(task.born + EXIT_FIRST)
        if task.yield_at is not None:
            due.append(task.yield_at)
        if not task.outputs[0].named:
            due.append(task.born + NAME_LOG_AFTER)
        return due

    def look_after(self) -> None:
        """Reaps, and does what the time asks for."""
        if self.unwritten and time.monotonic() >= self.write_at:
            self.write_again()
        if self.task is not None:
            self.reap(self.task)
        task = self.task
        if task is None:
            return
        now = time.monotonic()
        if not task.announced and now >= task.born + EXIT_FIRST:
            self.announce(task)
        if task.yield_at is not None and now >= task.yield_at:
            self.yield_to_others(task)
        for output in task.outputs:
            if not output.named and now >= task.born + NAME_LOG_AFTER:
                output.name()
            if output.look is not None and now >= output.look:
                output.bound(now)
        if task.stopped_at is not None and now >= task.lease:
            self.go_on(task)  # who wanted it stopped says so no more
        if task.sweep_at is not None and now >= task.sweep_at:
            self.sweep(task)
        if task.deadline is not None and task.stopped_at is None and now >= task.deadline:
            self.end_task("timeout")
        if task.kill_at is not None and now >= task.kill_at:
            self.kill_tree()
            task.kill_at = now + KILL_EVERY

    def hear_task(self, fd: int) -> None:
        """What a task says itself: a command writes to its terminal, a call speaks (see `caller`)."""
        if not self.terminals[fd].take():
            self.poll.unregister(fd)  # nobody can write there any more; it is closed when the task has ended

    # ── talking to the daemon ─────────────────────────────────────────────────────────────────────────────────

    def say(self, message: dict[str, Any]) -> None:
        self.outbox.append(encode(message) + b"\n")

    def flush(self) -> None:
        self.write_staged()
        if self.outbox and not self.orphaned:
            try:
                self.sock.sendall(b"".join(self.outbox))
            except OSError:
                self.orphaned = True  # its records are in the journal; poll drops the socket at EOF
        self.outbox.clear()
        self.flushed = time.monotonic()

    def read_socket(self) -> None:
        try:
            data = self.sock.recv(READ_MOST)
        except OSError:
            data = b""
        if not data:
            self.orphaned = True  # what is not claimed by now is the next daemon's
            if self.task is not None:
                self.go_on(self.task)
            return
        *lines, self.inbox = (self.inbox + data).split(b"\n")
        for line in lines:
            self.obey(self.understand(line))

    def understand(self, line: bytes) -> dict[str, Any]:
        message: dict[str, Any] = _decoder.raw_decode(line.decode())[0]
        return message

    def obey(self, message: dict[str, Any]) -> None:
        if "do" in message:
            self.waiting.append(message)
        elif "context" in message:
            self.contexts[message["job"]] = message["context"]
            message["context"]["job"] = message["job"]
        elif "forget" in message:  # jobs that are over
            for number in message["forget"]:
                self.contexts.pop(number, None)
        elif "drop" in message:
            self.give_back(list(self.waiting))
        elif "end" in message and (found := [one for one in self.waiting if one["do"] == message["end"]]):
            self.give_back(found)  # came with the task itself: it is canceled before it has begun
        elif "quit" in message:
            self.retiring = True
        else:
            for word, order in (("end", "cancel"), ("stop", "stop"), ("go", "go"), ("evict", "evict")):
                if word in message and self.task is not None and self.task.key == message[word]:
                    self.handle(self.task, order)

    def give_back(self, messages: list[dict[str, Any]]) -> None:
        """Returns tasks that were not begun."""
        self.say({"dropped": [message["do"] for message in messages]})
        for message in messages:
            self.waiting.remove(message)
        self.flush()

    def hear_signals(self) -> None:
        """A later daemon's orders. One that speaks to us over the socket gives but the oldest of them like this."""
        for number in os.read(self.wake, 32 * SIGNAL_BYTES)[::SIGNAL_BYTES]:
            order = ORDERS.get(number)
            if order is not None and self.task is not None and (self.orphaned or order == "cancel"):
                self.handle(self.task, order)

    def handle(self, task: Task, order: str) -> None:
        """What is to be done with the task in hand."""
        if order == "stop":
            self.stop(task)
        elif order == "go":
            self.go_on(task)
        elif order == "cancel":
            self.end_task("cancel")
        else:
            self.evict(task)

    # ── starting ──────────────────────────────────────────────────────────────────────────────────────────────

    def start_next(self) -> None:
        """Claims and starts the next waiting task, if none is in hand."""
        while self.task is None and self.waiting and not self.orphaned:
            self.start(self.waiting.popleft())
        self.retire_in_time()

    def start(self, message: dict[str, Any]) -> None:
        key = message["do"]
        try:
            self.journal.reserve()
            outputs = self.open_outputs(self.context(key), key)
            staged, self.staged = self.staged, ()
            try:
                self.journal.append(*staged, claim(key, time.time()))
            except OSError:
                self.keep_unwritten(*staged)
                raise
        except FencedError:
            self.orphaned = True
            self.waiting.clear()
            return
        except OSError as error:
            self.say({"n": key, "errno": error.errno, "text": str(error)})
            return
        try:
            self.spawn(key, message, outputs)
        except (OSError, ValueError) as error:
            self.not_spawned(key, error)

    def open_outputs(self, context: dict[str, Any], key: str = "") -> list[Output]:
        """The files for what the next task writes, which is called `key` where that is known."""
        outputs = [self.out, self.err] if context.get("err") else [self.out]
        for output in outputs:
            output.open(context["logs"], key.split(".", 1)[1]) if key else output.open()
        return outputs

    def retire_in_time(self) -> None:
        """Asks to be replaced when the journal has become long."""
        if self.journal.end > JOURNAL_LIMIT and not self.retiring and not self.orphaned:
            self.retiring = True
            self.say({"retiring": True, "dropped": [waiting["do"] for waiting in self.waiting]})
            self.waiting.clear()

    def context(self, key: str) -> dict[str, Any]:
        """What all tasks of a task's job share."""
        return self.contexts[int(key.split(".", 1)[0])]

    def spawn(self, key: str, message: dict[str, Any], outputs: list[Output]) -> None:
        context = self.context(key)
        self.count_kills()
        environment = self.environment(context, message["env"])
        argv = plain_bytes(message["argv"])
        self.bound(context, message)
        os.chdir(context["cwd"])
        stdin = self.null
        if message.get("stdin") is not None:
            stdin = input_file(message["stdin"])
        takes = self.open_terminals(outputs) if context.get("pty") else [output.fd for output in outputs]
        self.birthright.queue_last(context.get("ionice", False))
        self.birthright.go_first(True)
        before = time.monotonic()
        try:
            self.birth.give((stdin, takes[0], takes[-1]))
            variables = environment.dress(message["env"])
            program = argv[0]
            if b"/" not in program:
                path = message["env"].get("PATH", environment.path)
                program = os.fsencode(find_program(message["argv"][0], path))
            try:
                pid = self.birth.spawn(program, argv, variables)
            except OSError as error:
                if error.errno != errno.ENOEXEC:
                    raise
                pid = self.birth.spawn(b"/bin/sh", [b"/bin/sh", program, *argv[1:]], variables)  # as execvp does
        finally:
            if stdin != self.null:
                os.close(stdin)
            self.birthright.go_first(False)
            for terminal in self.terminals.values():
                terminal.begin()
        self.task = Task(key, pid, context, outputs, time.monotonic() - before)
        if "copy" in message:
            self.task.copies = tuple(os.path.join(context["cwd"], path) if path else "" for path in message["copy"])
            self.task.copies_append = message.get("append", False)
            for output, copy in zip(outputs, self.task.copies):  # noqa: B905 - Python 3.8
                if copy and not self.task.copies_append:
                    link_log(output.target, copy)
        make_nice(pid, context["nice"])
        if context.get("space"):
            confine(pid, context["space"])

    def environment(self, context: dict[str, Any], own: dict[str, str]) -> Environment:
        """What the tasks of a job find in their environment, made once for all that have variables of these names."""
        if self.outfit is None or self.outfit[0] is not context or self.outfit[1].names != tuple(own):
            self.outfit = context, Environment(context["env"], own, self.own_variables())
        return self.outfit[1]

    def bound(self, context: dict[str, Any], message: dict[str, Any]) -> None:
        """Holds what is started next to what it claims, where there is a group for that."""
        if self.group is not None and "bounds" in context:
            self.group.bound({**context["bounds"], **message.get("bounds", {})})

    def own_variables(self) -> dict[str, str]:
        """What all tasks of this worker have in their environment."""
        return {
            "GRIST_WORKER": str(self.slot),
            "GRIST_RESULT": self.run + "/result",
            "GRIST_PROGRESS": self.run + "/progress",
        }

    def not_spawned(self, key: str, error: Exception) -> None:
        """A start that failed: the machine's "not now" goes back, the task's own fault is its exit."""
        self.close_terminals()
        if isinstance(error, OSError) and error.errno in NOT_STARTED:
            record: dict[str, Any] = {"n": key, "errno": error.errno, "text": str(error)}
        else:
            code = 127 if isinstance(error, FileNotFoundError) else 126
            now = time.time()
            record = {"e": key, "code": code, "signal": None, "why": None, "t0": now, "t": now, "cpu": 0.0, "rss": 0}
            record["text"] = f"cannot start: {error}"
        self.record(record)

    def announce(self, task: Task) -> None:
        task.announced = True
        if task.nice and task.pid != self.yielded:
            task.yield_at = task.born  # a shorter task is over before it could be in anybody's way
        record, shown = {"s": task.key, "pid": task.pid, "t": task.started}, self.shown_pid(task)
        if shown != task.pid:
            record["shown"] = shown
        try:
            record["k"] = read_stat(task.pid)[1]
        except OSError:
            pass  # it has just ended, or no descriptor is left: less is known about the task, that is all
        try:
            self.journal.append(encode(record))
        except FencedError:
            self.orphaned = True
        except OSError:
            pass  # a full disk: the claim says enough
        self.say({**record, "pid": shown})
        self.flush()

    def shown_pid(self, task: Task) -> int:
        """The process that a task is for those who look."""
        return task.pid

    def yield_to_others(self, task: Task) -> None:
        """Has the task's session go last, or asks for it again later."""
        if yield_session(task.pid, task.nice):
            task.yield_at, self.yielded = None, task.pid
        else:
            first, last = YIELD_AGAIN
            task.yield_at = time.monotonic() + min(first * 2**task.yields, last)
            task.yields += 1

    # ── stopping ──────────────────────────────────────────────────────────────────────────────────────────────

    def stop(self, task: Task) -> None:
        """Stops the whole tree, or keeps it stopped, until the lease is over; its timeout stands still."""
        if task.why is not None or task.kill_at is not None:
            return  # it is ending: that frees more
        now = time.monotonic()
        task.lease = now + STOP_LEASE
        if task.stopped_at is not None:
            return
        if not task.announced:
            self.announce(task)  # whoever hears that it is stopped has heard of it
        task.stopped_at = now
        task.sweeps = 0
        self.freeze(task)
        self.say({"paused": task.key})
        self.flush()

    def go_on(self, task: Task) -> None:
        """Lets a stopped tree go on, and its timeout with it."""
        if task.stopped_at is None:
            return
        self.count_stop(task)
        self.thaw(task)
        try:
            self.journal.append(encode({"p": task.key, "stopped": round(task.stopped, 3)}))
        except FencedError:
            self.orphaned = True
        except OSError:
            pass  # a full disk: should this worker be killed as well, a timeout counts some time too much
        self.say({"resumed": task.key})
        self.flush()

    @staticmethod
    def count_stop(task: Task) -> None:
        """The task runs again, or ends: the time that it was stopped is over."""
        if task.stopped_at is not None:
            span = time.monotonic() - task.stopped_at
            task.stopped_at = None
            task.stopped += span
            if task.deadline is not None:
                task.deadline += span

    def freeze(self, task: Task) -> None:
        """Stops every process of the task, also those that are made while others are being stopped.

        A process that is seen stopped makes no more children, and those that it made are in the next look: two looks
        in a row in which nothing moves have seen all there is. One that waits for a disk, or for a child of vfork,
        stops only afterwards: it is looked for later, a few times.
        """
        still = 0
        try:
            for _ in range(SWEEPS):
                moving = [one for one in descendants(os.getpid()) if one[2] not in b"TtZX"]
                still = 0 if moving else still + 1
                if still == 2:
                    task.sweep_at = None
                    return
                for pid, start, _ in moving:
                    if send_signal(pid, start, signal.SIGSTOP):
                        task.frozen |= {(pid, start)}
        except OSError:
            pass  # no descriptor left to look with
        first, most = SWEEP_AGAIN
        task.sweep_at = time.monotonic() + first * 2**task.sweeps if task.sweeps < most else None
        task.sweeps += 1

    def thaw(self, task: Task) -> None:
        """Lets go on what we have stopped; whom no descriptor is left for is tried again until all have heard."""
        task.frozen = frozenset(one for one in task.frozen if not send_signal(*one, signal.SIGCONT))
        task.sweep_at = time.monotonic() + KILL_EVERY if task.frozen else None

    def sweep(self, task: Task) -> None:
        if task.stopped_at is None:
            self.thaw(task)
        else:
            self.freeze(task)

    # ── ending ────────────────────────────────────────────────────────────────────────────────────────────────

    def reap(self, task: Task) -> None:
        """Collects what has ended; when nothing of the task is left, its exit is recorded."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                if task.status is not None and task.kill_at is None and not task.wait:
                    self.kill_tree()  # what a task leaves running ends with it
                    task.kill_at = time.monotonic() + KILL_EVERY
                return
            task.cpu += usage.ru_utime + usage.ru_stime
            task.rss = max(task.rss, usage.ru_maxrss * 1024)
            if pid == task.pid:
                task.status = status
        self.close_task(task)

    def evict(self, task: Task) -> None:
        """Ends the task to make room in memory, to be run again.

        Of a stopped task that has no handler for TERM not one instruction runs any more; one that has gets a moment
        to put its files in order, in which it hardly takes more memory than it frees.
        """
        self.reap(task)
        if self.task is not task or (task.status is not None and not task.wait):
            return  # it has ended by itself just now: that is what counts
        if task.why is None:
            self.end_task("evict")
        elif task.kill_at is not None:
            task.kill_at = min(task.kill_at, time.monotonic() + EVICT_GRACE)  # its end was asked for: only faster now

    def end_task(self, why: str) -> None:
        """Asks the whole tree to end: TERM now, KILL after the grace."""
        task = self.task
        if task is None or task.why is not None:
            return
        task.why = why
        self.count_stop(task)
        task.deadline = task.sweep_at = None
        task.frozen = frozenset()
        task.kill_at = time.monotonic() + (min(task.grace, EVICT_GRACE) if why == "evict" else task.grace)
        self.signal_tree(signal.SIGTERM, signal.SIGCONT)  # a stopped process could not hear the TERM

    def kill_tree(self) -> None:
        """Ends what lives of the task."""
        if self.group is not None:
            self.group.kill()
        self.signal_tree(signal.SIGKILL)

    def signal_tree(self, *numbers: int) -> None:
        try:
            for pid, start, _ in offspring(os.getpid()):
                for number in numbers:
                    send_signal(pid, start, number)
        except OSError:
            pass  # no descriptor left to look with: the next sweep finds what lives

    def close_task(self, task: Task) -> None:
        self.task = None
        code = signum = None
        assert task.status is not None  # all children were waited for, the task's own process among them
        if os.WIFSIGNALED(task.status):
            signum = os.WTERMSIG(task.status)
        else:
            code = os.WEXITSTATUS(task.status)
        self.count_stop(task)  # killed by somebody else
        self.close_terminals()
        now = time.time()
        began = now - (time.monotonic() - task.born)  # counted back: a clock that was set does not change its length
        record: dict[str, Any] = {
            "e": task.key, "code": code, "signal": signum, "why": task.why, "t0": began, "t": now,
            "cpu": round(task.cpu, 6), "rss": task.rss,
        }
        record.update(task.said or {})
        kept = [output.keep() for output in task.outputs]
        log = kept[0]
        cut = sum(output.cut for output in task.outputs)
        own = self.group is not None  # who died for lack of memory in it was of this task
        bad = task.why is None and bool(code or signum)
        short = (own or bad) and self.memory_ran_out() and bad
        if short and (own or signum == signal.SIGKILL or code == 128 + signal.SIGKILL):  # a shell tells of its child so
            record["oom"] = True
        notes = self.notes(task, short and "oom" not in record, cut)
        if self.group is not None and "oom" in record and self.group.said["memory.max"] != "max":
            notes.append("held to what it claims")
        for path, copy, output in zip(kept, task.copies, task.outputs):  # noqa: B905 - Python 3.8
            try:
                if copy and task.why != "evict":
                    copy_log(path, copy, output.target, task.copies_append)
            except OSError as error:
                notes.append(f"its log was not copied to {copy}: {error.strerror}")
        if notes:
            record["text"] = "; ".join(notes)
        if log:
            record["log"] = log
        if task.stopped:
            record["stopped"] = round(task.stopped, 3)
        if task.why == "evict":
            record["v"] = VERSION_EVICTED
            record.pop("value", None)
        if os.access(self.run + "/result", os.F_OK):
            self.keep_result(task, record)
        self.forget_progress()
        self.record(record)

    def open_terminals(self, outputs: list[Output]) -> list[int]:
        """A terminal before each of the files, and the ends of them that the task gets."""
        for output in outputs:
            terminal = Terminal(output)
            self.terminals[terminal.fd] = terminal
            self.poll.register(terminal.fd, select.POLLIN)
        return [terminal.slave for terminal in self.terminals.values()]

    def close_terminals(self) -> None:
        """What the task wrote last is in its log."""
        for fd, terminal in self.terminals.items():
            try:
                self.poll.unregister(fd)
            except KeyError:
                pass  # nobody had it open any more
            terminal.close()
        self.terminals.clear()

    @staticmethod
    def notes(task: Task, short: bool, cut: int) -> list[str]:
        """What else is to be said of a task that has ended; of its log `cut` bytes are gone."""
        notes = []
        if short:
            notes.append("the kernel killed a process for lack of memory meanwhile")
        if task.stopped >= 1:
            notes.append(f"it was stopped for {task.stopped:.0f} s meanwhile")
        if cut:
            notes.append(f"{cut / 1e6:.1f} MB of its log were left out (limits.log)")
        return notes

    def forget_progress(self) -> None:
        """Removes what the task said of its progress, before anybody takes it for the next one's."""
        told = self.run + "/progress"
        if os.access(told, os.F_OK, follow_symlinks=False):  # most tasks say nothing
            try:
                os.unlink(told)
            except OSError:
                pass  # it made a folder of it: nothing is read of that

    def keep_result(self, task: Task, record: dict[str, Any]) -> None:
        """Moves a result to where the daemon reads it; that of an evicted task, which is run again, goes."""
        if task.why == "evict" or "value" in record:  # what a call returned comes before what it wrote
            os.unlink(self.run + "/result")
            return
        try:
            rename(self.run + "/result", task.result_path)
            record["result"] = task.result_path
        except OSError:
            os.rename(self.run + "/result", f"{self.run}/result.{task.key}")  # the daemon finds it here
            record["result"] = f"{self.run}/result.{task.key}"

    def count_kills(self) -> None:
        """Before a task begins: whoever was killed for lack of memory by now was none of it."""
        if time.monotonic() > self.counted + COUNT_EVERY:
            self.memory_ran_out()

    def memory_ran_out(self) -> bool:
        """Whether the kernel has killed anything for lack of memory since this was last asked."""
        before, self.counted = self.ooms, time.monotonic()
        self.ooms = kills_counted(self.oom_file)
        return before is not None and self.ooms is not None and self.ooms > before

    def record(self, record: dict[str, Any]) -> None:
        """Journal first, then the socket; many short tasks share one message."""
        body = exit_record(record)
        self.write_staged()
        self.staged = (body,)
        self.outbox.append(body + b"\n")
        if not self.waiting or time.monotonic() - self.flushed > EXIT_FIRST:
            self.flush()

    def write_staged(self) -> None:
        """Writes down an exit that was to wait for the next claim."""
        if self.staged:
            staged, self.staged = self.staged, ()
            try:
                self.journal.append(*staged)
            except FencedError:
                self.orphaned = True
            except OSError:
                self.keep_unwritten(*staged)

    def keep_unwritten(self, *bodies: bytes) -> None:
        """The disk has no room, and none could be set aside (NFS): this worker stays until they are written down."""
        self.unwritten.extend(bodies)
        self.write_at = time.monotonic() + WRITE_AGAIN

    def write_again(self) -> None:
        """Writes down what the disk had no room for."""
        try:
            while self.unwritten:
                self.journal.append(self.unwritten[0])
                self.unwritten.popleft()
        except FencedError:
            self.orphaned = True
            self.unwritten.popleft()
        except OSError:
            self.write_at = time.monotonic() + WRITE_AGAIN


def work(
    hire: Callable[[socket.socket, str, int], Worker], sock: socket.socket, run: str, slot: int, group: str = ""
) -> None:
    """The life of a worker process, from the fork on."""
    home = Group(group) if group else None
    entered = home is not None and home.enter()
    os.setsid()
    name_process(f"grist-{slot}")
    become_subreaper()
    worker = hire(sock, run, slot)
    if entered:
        worker.group = home
        if os.access(group + "/memory.events", os.R_OK):
            worker.oom_file = group + "/memory.events"
            worker.counted = -COUNT_EVERY  # of this group alone
    worker.serve(listen_to_signals())
    os.fsync(worker.journal.fd)


class Spawner:
    """Forks workers on request and reaps them; a packet of the daemon's carries the new worker's socket."""

    def __init__(self, sock: socket.socket, hire: Callable[[socket.socket, str, int], Worker] = Worker) -> None:
        self.sock, self.hire = sock, hire
        self.guarded: list[list[int]] = []  # processes, by pid and start, that the daemon has stopped itself
        self.wakes = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def serve(self) -> None:
        wake, wake_write = self.wakes
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        poll.register(wake, select.POLLIN)
        while True:
            for fd, _ in poll.poll():
                if fd == wake:
                    os.read(wake, 4096)
                    self.reap()
                elif not self.obey():
                    for pid, start in self.guarded:
                        send_signal(pid, start, signal.SIGCONT)
                    return

    def obey(self) -> bool:
        """Does what a packet asks for; False when the daemon is gone. Its workers find that out by themselves."""
        room = socket.CMSG_SPACE(array.array("i").itemsize)
        try:
            packet, ancillary, _, _ = self.sock.recvmsg(1 << 16, room)
        except OSError:
            packet = b""
        if not packet:
            return False
        order = json.loads(packet)
        if "guard" in order:
            self.guarded = order["guard"]
        elif "find" in order:
            self.find(order["find"])
        else:
            self.fork(order, ancillary)
        return True

    def find(self, question: dict[str, Any]) -> None:
        """Commands need no function; one for calls answers."""

    def fork(self, order: dict[str, Any], ancillary: list[Any]) -> None:
        self.count_kills()
        sock = socket.socket(fileno=array.array("i", ancillary[0][2])[0])
        os.set_inheritable(sock.fileno(), False)
        try:
            pid = os.fork()
        except OSError as error:
            sock.close()
            self.sock.send(encode({"failed": order["run"], "errno": error.errno, "text": str(error)}))
            return
        if pid == 0:
            status = 1
            try:
                self.sock.close()
                signal.set_wakeup_fd(-1)
                for fd in self.wakes:
                    os.close(fd)
                work(self.hire, sock, order["run"], order["slot"], order.get("group", ""))
                status = 0
            finally:
                if status and os.path.isdir(order["run"]):  # if not, a later daemon has removed it: nothing is lost
                    sys.excepthook(*sys.exc_info())
                os._exit(status)
        sock.close()

    @staticmethod
    def count_kills() -> None:
        """For the workers that are forked next: no call that one makes before its first task costs as much."""
        now = time.monotonic()
        if now > Worker.first_count[1] + COUNT_EVERY:
            Worker.first_count = kills_counted(_OOM_FILE), now

    def reap(self) -> None:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass  # its socket has told the daemon
        except ChildProcessError:
            pass


def settle() -> None:
    """Makes a process fit to be what workers are forked from."""
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    for order in (signal.SIGCHLD, *ORDERS):  # here, for a worker's own doing is paid for in pages that it copies
        signal.signal(order, lambda *_: None)
    os.chdir("/")
    Worker.birth = Birth()
    gc.collect()
    gc.freeze()  # keeps the collector from touching, and so copying, pages that all workers share
    gc.set_threshold(100_000)  # next to nothing here is in cycles, and each collection is time that a task waits


def main() -> None:
    """Runs the spawner on the socket whose descriptor is the only argument."""
    name_process("grist-spawner")
    settle()
    Spawner(socket.socket(fileno=int(sys.argv[1]))).serve()


if __name__ == "__main__":
    main()
