"""The spawner of calls, its workers and runners, in every Python that is found here, spoken to as the daemon does."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gristmill.supervisor.core import journal
from gristmill.supervisor.edge import program
from gristmill.supervisor.edge.runs import Runs
from tests.edge.test_worker import Worker, log_of, log_path, wait_for
from tests.processes import alive
from tests.waiting import DEADLINE, until

SCRIPT = program.PROGRAM / program.WARM
VERSIONS = [f"3.{minor}" for minor in range(8, 15)]
OURS = f"{sys.version_info.major}.{sys.version_info.minor}"

MODULE = '''
import atexit, gc, os, random, signal, sys, threading, time

STATE = []
atexit.register(lambda: open("atexit-ran", "a").close())

def load():
    print("loaded")
    STATE.append("loaded")

def load_numpy():
    import numpy.random
    numpy.random.seed(1)
    random.seed(1)

def slow_load():
    thread = threading.Thread(target=time.sleep, args=(600,), name="watcher", daemon=True)
    thread.start()

def deafen():
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)

def give(value=None, index=None):
    print("given", value, index)
    STATE.append(value)
    return STATE

def look(what):
    return eval(what)

def end(how):
    exec(how)

def burn(seconds):
    begun = time.process_time()
    while time.process_time() < begun + seconds:
        pass

class Maker:
    @staticmethod
    def make():
        return "made"
'''


def interpreter(version: str) -> str:
    """A Python of this version, as a user would name it."""
    if version == OURS:
        return sys.executable
    found = shutil.which(f"python{version}")
    if found is None or subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode:
        pytest.skip(f"no python{version} on PATH that runs")
    return found


class Warm(Worker):
    """The daemon's end of a spawner of calls, and of one worker of it, without a daemon."""

    def __init__(
        self, base: Path, python: str = sys.executable, call: str = "lab:give", script: Path = SCRIPT,
        places: tuple[str, ...] = (), names: tuple[str, ...] = (), **more: Any,
    ) -> None:
        (base / "lab.py").write_text(MODULE)
        self.runs = Runs(base)
        self.base = base
        self.words = base / "import.log"
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.settimeout(DEADLINE)
        with open(base / "daemon.log", "ab") as log, open(self.words, "ab") as words, theirs:
            self.question = {"n": 0, "call": call, "places": places, "names": names}
            setup = {"module": call.partition(":")[0], "find": [self.question], "preload": None, "cwd": str(base),
                     "daemon": os.getpid(), "output": log.fileno(), **more}
            self.spawner = subprocess.Popen(
                [python, str(script), str(theirs.fileno())], stdin=subprocess.PIPE, stdout=words, stderr=words,
                cwd=base, pass_fds=[theirs.fileno(), log.fileno()], start_new_session=True,
            )
            assert self.spawner.stdin is not None
            with self.spawner.stdin as given:
                given.write(json.dumps(setup).encode())
        self.first = self.packet()
        if "found" in self.first and "unfit" not in self.first:
            self.first = self.packet()
        self.sock = self.control  # until there is a worker
        if "warm" in self.first:
            self.hire()

    def packet(self) -> dict[str, Any]:
        """What the spawner says next."""
        data = self.control.recv(1 << 16)
        assert data, self.words.read_text()
        said: dict[str, Any] = json.loads(data)
        return said

    def hire(self) -> None:
        """Has a worker made."""
        self.run = self.runs.create()
        self.sock, end = socket.socketpair()
        order = json.dumps({"run": str(self.runs.path(self.run)), "slot": 3}).encode()
        socket.send_fds(self.control, [order], [end.fileno()])
        end.close()
        self.inbox = b""
        self.pid = self.hear("ready")["ready"]
        self.tell()

    def tell(self, recycle: list[int | None] | None = None, **more: Any) -> None:
        """Says what all calls share: each a process of its own, or as `recycle` says."""
        self.context = {
            "cwd": str(self.base), "env": {"GRIST_JOB": "1"}, "timeout": None, "grace": 0.3, "nice": 0,
            "logs": str(self.base / "logs" / "1"), "results": str(self.base / "results" / "1"),
            "call": self.question["call"],
            "once": recycle is None, "recycle": recycle, **more,
        }
        self.say({"context": self.context, "job": 1})

    def call(self, number: int, *args: Any, **kwargs: Any) -> None:
        env = {"GRIST_TASK": str(number), f"OF_{number}": "yes"}
        self.say({"do": f"1.{number}.1", "env": env, "args": args, "kwargs": kwargs})

    def made(self, number: int, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """How a call ended."""
        self.call(number, *args, **kwargs)
        end = self.hear("e")
        assert end["e"] == f"1.{number}.1"
        return end

    def value(self, number: int, *args: Any, **kwargs: Any) -> Any:
        """What a call returned."""
        end = self.made(number, *args, **kwargs)
        assert end["code"] == 0, end
        return json.loads(end["value"]) if "value" in end else None

    def close(self) -> None:
        self.sock.close()
        self.control.close()
        self.spawner.wait(DEADLINE)


Make = Callable[..., Warm]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes spawners of calls, and ends them."""
    made: list[Warm] = []

    def start(*args: Any, **more: Any) -> Warm:
        made.append(Warm(tmp_path, *args, **more))
        return made[-1]

    yield start
    for one in made:
        one.close()


NEVER: list[int | None] = [None, None]
ALL = pytest.mark.parametrize("version", VERSIONS)
BOTH = pytest.mark.parametrize("recycle", [None, NEVER], ids=["fork", "reuse"])


# ── in every Python ───────────────────────────────────────────────────────────────────────────────────────────────


@ALL
def test_every_python_calls_in_fresh_processes_that_share_what_was_loaded(make: Make, version: str) -> None:
    warm = make(interpreter(version), preload="lab:load")
    assert warm.words.read_text() == "loaded\n"
    assert warm.value(0, value="a") == ["loaded", "a"]
    assert warm.value(1, value="b") == ["loaded", "b"]
    assert log_of(warm, 1) == "given b None\n"
    end = warm.made(2, 1, 2, 3)
    assert (end["code"], end["raised"].startswith("TypeError: give() takes")) == (1, True)


@ALL
def test_every_python_calls_again_and_again_in_one_process(make: Make, version: str) -> None:
    warm = make(interpreter(version), preload="lab:load")
    warm.tell(recycle=[3, 1 << 30])
    assert warm.value(0, value="a") == ["loaded", "a"]
    assert warm.value(1, value="b") == ["loaded", "a", "b"]
    assert warm.value(2, value="c") == ["loaded", "a", "b", "c"]
    assert warm.value(3, value="d") == ["loaded", "d"]
    assert [log_of(warm, number) for number in range(4)] == [f"given {value} None\n" for value in "abcd"]


@ALL
@BOTH
def test_every_python_tells_ends_apart(make: Make, version: str, recycle: list[int | None] | None) -> None:
    warm = make(interpreter(version), call="lab:end", places=("what",))
    warm.tell(recycle=recycle)
    ends = {
        "pass": (0, None, None),
        "raise ValueError('bad\\nfold')": (1, None, "ValueError: bad"),
        "sys.exit(3)": (3, None, None),
        "sys.exit('words')": (1, None, None),
        "sys.exit(-1)": (255, None, None),
        "os._exit(4)": (4, None, None),
        "os.kill(os.getpid(), 9)": (None, 9, None),
        "os.abort()": (None, signal.SIGABRT, None),
        "raise KeyboardInterrupt": (1, None, "KeyboardInterrupt"),
        "print('well')": (0, None, None),
    }
    for number, (how, (code, signum, raised)) in enumerate(ends.items()):
        end = warm.made(number, how)
        assert (end["code"], end["signal"], end.get("raised")) == (code, signum, raised), how
    assert log_of(warm, 1).startswith("Traceback (most recent call last):\n  File")
    assert log_of(warm, 1).endswith("\nValueError: bad\nfold\n")
    assert log_of(warm, 3) == "words\n"
    assert "Fatal Python error: Aborted" in log_of(warm, 7)
    assert not (warm.base / "atexit-ran").exists()


@ALL
def test_every_python_tells_what_can_not_be_imported(make: Make, version: str) -> None:
    warm = make(interpreter(version), call="no_such_module:f")
    assert warm.first["unfit"] == "ModuleNotFoundError: No module named 'no_such_module'"
    assert warm.spawner.wait(DEADLINE) == 0


@pytest.mark.parametrize("version", ["3.6", "3.7"])
def test_a_python_that_is_too_old_ends_with_a_word_about_it(tmp_path: Path, version: str) -> None:
    python = interpreter(version)
    done = subprocess.run(
        [python, SCRIPT, "0"], check=False, capture_output=True, text=True, timeout=DEADLINE, cwd=tmp_path
    )
    assert done.returncode == 1
    assert "calls need 3.8 or newer" in done.stderr or "future feature annotations" in done.stderr


# ── a call is a task like any other ───────────────────────────────────────────────────────────────────────────────


@pytest.fixture(params=[None, NEVER], ids=["fork", "reuse"])
def looker(make: Make, request: pytest.FixtureRequest) -> Warm:
    """A worker whose calls evaluate what they are given."""
    warm = make(call="lab:look", places=("what",))
    warm.tell(recycle=request.param)
    return warm


def test_a_call_has_a_session_its_folder_its_variables_and_nothing_of_its_workers(looker: Warm) -> None:
    assert looker.value(0, "os.getsid(0) == os.getpid()") is True
    assert looker.value(1, "os.getcwd()") == str(looker.base)
    variables = "{name: os.environ[name] for name in ('GRIST_JOB', 'GRIST_TASK', 'GRIST_WORKER', 'GRIST_RESULT')}"
    run = looker.runs.path(looker.run)
    assert looker.value(2, variables) == {
        "GRIST_JOB": "1", "GRIST_TASK": "2", "GRIST_WORKER": "3", "GRIST_RESULT": f"{run}/result"
    }
    assert looker.value(3, "sorted(name for name in os.environ if name.startswith('OF_'))") == ["OF_3"]
    opened = "[os.readlink(f'/proc/self/fd/{fd}') for fd in range(3, 100) if os.path.lexists(f'/proc/self/fd/{fd}')]"
    assert looker.value(4, "os.readlink('/proc/self/fd/0')") == "/dev/null"
    found = [name for name in looker.value(5, opened) if not name.startswith("/proc/")]
    ways = [name for name in found if name.startswith(("socket:", "pipe:"))]
    own = [] if looker.context["once"] else [f"{run}/journal", f"{run}/log"]  # what a runner that is used again writes
    assert (len(ways), sorted(set(found) - set(ways))) == (2 if own else 1, own), "files of the worker are open"


def test_signals_mean_in_a_call_what_they_mean_in_python(looker: Warm) -> None:
    handlers = "[str(signal.getsignal(n)) for n in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR1)]"
    assert [name.rpartition(".")[2] for name in looker.value(0, handlers)] in (
        ["SIG_DFL"] * 4, ["0"] * 4  # as Python 3.11 and later say it
    )
    assert looker.value(1, "signal.getsignal(signal.SIGINT) is signal.default_int_handler") is True
    assert looker.value(2, "[gc.isenabled(), gc.get_threshold()[0] < 10_000]") == [True, True]


def test_the_variables_of_a_job_are_not_there_for_the_next_one(looker: Warm) -> None:
    """Nor are those of a call; and what the interpreter had, it has again."""
    recycle, home = looker.context["recycle"], os.environ["HOME"]
    found = "[os.environ.get(name) for name in ('HOME', 'FIRST', 'SECOND', 'OF_0', 'OF_2', 'GRIST_WORKER')]"
    assert looker.value(0, found) == [home, None, None, "yes", None, "3"]
    looker.tell(recycle=recycle, env={"HOME": "/elsewhere", "FIRST": "1"})
    assert looker.value(1, found) == ["/elsewhere", "1", None, None, None, "3"]
    looker.tell(recycle=recycle, env={"SECOND": "2"})
    assert looker.value(2, found) == [home, None, "2", None, "yes", "3"]
    looker.tell(recycle=NEVER if recycle is None else None)
    assert looker.value(3, found) == [home, None, None, None, None, "3"]


def test_input_is_fed_to_one_call_and_not_to_the_next(looker: Warm) -> None:
    looker.say({"do": "1.0.1", "env": {}, "args": ["sys.stdin.readline()"], "kwargs": {}, "stdin": "0,16\nmore"})
    assert json.loads(looker.hear("e")["value"]) == "0,16\n"
    assert looker.value(1, "sys.stdin.read()") == ""


def test_a_value_is_kept_inline_or_as_a_file_and_comes_before_what_was_written(looker: Warm) -> None:
    assert looker.value(0, "None") is None
    assert looker.value(1, "{'a': (1, 2.5, None, True), 2: 'ä'}") == {"a": [1, 2.5, None, True], "2": "ä"}
    assert looker.value(2, "[float('nan'), {'x': float('-inf')}, 1.0]") == [None, {"x": None}, 1.0]
    end = looker.made(3, "'x' * 100_000")
    assert "value" not in end
    assert json.loads(Path(end["result"]).read_text()) == "x" * 100_000
    written = "open(os.environ['GRIST_RESULT'], 'w').write('[1]')"
    assert json.loads(Path(looker.made(4, f"[{written}, None][1]")["result"]).read_text()) == [1]
    end = looker.made(5, f"[{written}, 7][1]")
    assert (end["value"], "result" in end) == ("7", False)
    assert looker.made(6, "2 ** 100")["value"] == str(2**100)
    end = looker.made(7, "object()")
    assert (end["code"], end["raised"]) == (1, "what it returned is not JSON: a object in it has no place there")


def test_what_has_a_tolist_becomes_one(looker: Warm) -> None:
    array = "type('Array', (), {'tolist': lambda self: [1.5, float('nan')]})()"
    assert looker.value(0, f"{{'scores': {array}}}") == {"scores": [1.5, None]}


def test_a_call_that_takes_too_long_is_ended_with_all_that_it_started_and_the_next_is_well(looker: Warm) -> None:
    starts = "print(__import__('subprocess').Popen(['sleep', '600'], start_new_session=True).pid)"
    for number, seconds in enumerate((0.3, 3.0, 30.0)):  # on a busy machine that alone may take longer than it is given
        looker.tell(recycle=looker.context["recycle"], timeout=seconds)
        end = looker.made(number, f"[{starts}, sys.stdout.flush(), time.sleep(600)]")
        if log_path(looker, number).exists() and log_of(looker, number).endswith("\n"):
            break
    assert (end["why"], end["signal"]) == ("timeout", signal.SIGTERM)
    assert not alive(int(log_of(looker, number)))
    assert looker.value(number + 1, "1 + 1") == 2


def test_what_a_call_leaves_running_ends_with_it(looker: Warm) -> None:
    pid = looker.value(0, "__import__('subprocess').Popen(['setsid', 'sleep', '600']).pid")
    assert not alive(pid)
    assert looker.value(1, "1 + 1") == 2


def test_what_a_call_leaves_running_is_waited_for_where_the_job_says_so(looker: Warm) -> None:
    looker.tell(recycle=looker.context["recycle"], wait=True)
    script = "read line; echo $line"
    os.mkfifo(looker.base / "gate")
    looker.call(0, f"[__import__('subprocess').Popen(['sh', '-c', 'read line < gate; echo $line']), {script!r}][1]")
    looker.hear("s")
    with open(looker.base / "gate", "w") as gate:
        gate.write("late words\n")
    assert json.loads(looker.hear("e")["value"]) == script
    assert log_of(looker, 0) == "late words\n"
    assert looker.value(1, "1 + 1") == 2


def test_a_child_that_comes_back_from_the_function_answers_nothing(looker: Warm) -> None:
    assert looker.value(0, "os.fork() and 'parent'") == "parent"
    assert looker.value(1, "1 + 1") == 2


def test_a_canceled_call_ends_and_the_next_is_well(looker: Warm) -> None:
    looker.call(0, "time.sleep(600)")
    looker.hear("s")
    looker.say({"end": "1.0.1"})
    assert looker.hear("e")["why"] == "cancel"
    assert looker.value(1, "1 + 1") == 2


def test_a_call_is_stopped_and_goes_on_and_an_evicted_one_leaves_nothing(looker: Warm) -> None:
    os.mkfifo(looker.base / "gate")
    looker.call(0, "open('gate').read()")
    pid = looker.hear("s")["pid"]
    looker.say({"stop": "1.0.1"})
    looker.hear("paused")
    until(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T", "it does not stop")
    looker.say({"go": "1.0.1"})
    (looker.base / "gate").write_text("rested")
    assert json.loads(looker.hear("e")["value"]) == "rested"
    looker.call(1, "time.sleep(600)")
    looker.hear("s")
    looker.say({"evict": "1.1.1"})
    end = looker.hear("e")
    assert (end["why"], "value" in end, "result" in end) == ("evict", False, False)
    assert looker.value(2, "1 + 1") == 2


def test_memory_that_was_there_before_is_no_calls_own(make: Make) -> None:
    warm = make(call="lab:look", places=("what",))
    rss = warm.made(0, "None")["rss"]
    taken = warm.made(1, "len(bytearray(100_000_000))")["rss"]
    assert 95e6 < taken - rss < 120e6
    assert rss < 12e6, "the interpreter, which is shared, counts as a call's"


def test_the_process_that_is_told_of_is_the_one_that_the_function_runs_in(looker: Warm) -> None:
    """Where it is there by then: on a busy machine that may be late."""
    os.mkfifo(looker.base / "gate")
    told: list[int] = []
    while True:
        looker.call(len(told), "[open('gate').read(), os.getpid()][1]")
        told.append(looker.hear("s")["pid"])
        with open(looker.base / "gate", "w"):
            pass
        if json.loads(looker.hear("e")["value"]) == told[-1]:
            break
        assert len(told) < 20


# ── a process for each call ───────────────────────────────────────────────────────────────────────────────────────


def test_a_call_that_takes_its_end_well_ends_as_it_likes(make: Make) -> None:
    """What forks it hears no TERM, and tells how it went."""
    warm = make(call="lab:end", places=("how",))
    os.mkfifo(warm.base / "gate")
    warm.tell(grace=600)
    waits = "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]); open('gate').close()"
    warm.call(0, f"{waits}; signal.sigwait([signal.SIGTERM]); sys.exit(7)")
    warm.hear("s")
    with open(warm.base / "gate", "w"):
        pass  # it has come that far
    warm.say({"end": "1.0.1"})
    end = warm.hear("e")
    assert (end["why"], end["code"], end["signal"]) == ("cancel", 7, None)
    assert warm.made(1, "0")["code"] == 0


def test_how_a_call_ended_is_known_where_its_module_ignores_the_ends_of_children(make: Make) -> None:
    warm = make(call="lab:look", places=("what",), preload="lab:deafen")
    assert warm.value(0, "signal.getsignal(signal.SIGCHLD)") == signal.SIG_IGN
    assert warm.made(1, "os._exit(3)")["code"] == 3


def test_a_call_does_not_outlive_both_its_worker_and_the_process_that_the_journal_names(make: Make) -> None:
    warm = make(call="lab:look", places=("what",))
    warm.call(0, "[os.symlink(str(os.getpid()), 'pid'), time.sleep(600)]")
    warm.hear("s")
    until(lambda: os.path.lexists(warm.base / "pid"), "it does not run")
    call = int(os.readlink(warm.base / "pid"))
    (start,) = journal.read((warm.runs.path(warm.run) / "journal").read_bytes()).running.values()
    assert start.pid not in (None, call)
    os.kill(warm.pid, signal.SIGKILL)
    assert alive(call)
    os.kill(start.pid or 0, signal.SIGKILL)
    until(lambda: not alive(call), "it lives on")


# ── one process for many calls ────────────────────────────────────────────────────────────────────────────────────


def test_a_process_that_grows_is_replaced(make: Make) -> None:
    warm = make(call="lab:look", places=("what",))
    warm.tell(recycle=[None, 20_000_000])
    grow = "[STATE.append(bytearray(8_000_000)), os.getpid()][1]"
    pids = [warm.value(number, grow) for number in range(8)]
    assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [4, 4]  # past what the first left, 24 MB are too much


def test_a_process_that_was_killed_while_it_had_nothing_to_do_fails_no_call(make: Make) -> None:
    warm = make(call="lab:look", places=("what",))
    warm.tell(recycle=NEVER)
    for number in range(5):
        pid = warm.value(2 * number, "os.getpid()")
        os.kill(pid, signal.SIGKILL)
        assert warm.value(2 * number + 1, "os.getpid()") != pid


def test_a_call_is_charged_for_its_own_time_alone(make: Make) -> None:
    warm = make(call="lab:look", places=("what",))
    warm.tell(recycle=NEVER)
    assert 0.28 < warm.made(0, "burn(0.3)")["cpu"] < 0.6
    assert warm.made(1, "None")["cpu"] < 0.1
    assert warm.made(2, "os._exit(1)")["cpu"] < 0.1


@BOTH
def test_the_time_of_all_calls_comes_to_light_above_when_their_worker_leaves(
    make: Make, recycle: list[int | None] | None
) -> None:
    """Else what was used in the last second would be taken for other people's."""
    warm = make(call="lab:burn", places=("seconds",))
    warm.tell(recycle)
    warm.made(0, 0.3)
    warm.say({"quit": True})
    until(lambda: ended_s(warm.spawner.pid) >= 0.29, "it went to nobody of ours")


def ended_s(pid: int) -> float:
    """CPU seconds of the children that a process has waited for, and of theirs."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def test_jobs_of_both_manners_and_of_another_niceness_use_one_worker_in_turn(make: Make) -> None:
    warm = make(call="lab:look", places=("what",))
    warm.tell(recycle=NEVER)
    first = warm.value(0, "os.getpid()")
    warm.tell(recycle=None)
    assert warm.value(1, "os.getpid()") != first
    warm.tell(recycle=NEVER, nice=7)
    second = warm.value(2, "[os.getpid(), os.getpriority(os.PRIO_PROCESS, 0)]")
    warm.tell(recycle=NEVER, nice=7, err=True)
    assert warm.value(3, "[os.getpid(), sys.stderr.write('apart'), print('out')][0]") == second[0]
    assert second[1] >= 7
    assert log_of(warm, 3) == "out\n"
    assert (warm.base / "logs" / "1" / "3.1.err").read_text() == "apart"


# ── what is told of an import ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("setup", "words"),
    [
        ({"call": "lab:gone"},
         "lab has no gone – it has Maker, burn, deafen, end, give, load, load_numpy, look, slow_load"),
        ({"call": "lab:STATE"}, "lab:STATE is no function, but a list"),
        ({"call": "lab:load", "names": ("a",)},
         "lab:load() is called with (a): got an unexpected keyword argument 'a'"),
        ({"call": "lab:load", "places": ("start", "count")},
         "lab:load() is called with (start, count): too many positional arguments"),
        ({"call": "lab:load", "preload": "lab:end"},
         "lab:end(how) is called with (): missing a required argument: 'how'"),
        ({"call": "lab:load", "preload": "lab:Maker.gone"}, "lab has no Maker.gone – it has make"),
    ],
)
def test_a_function_that_can_not_be_called_so_is_named_with_the_reason(
    make: Make, setup: dict[str, Any], words: str
) -> None:
    first = make(**setup).first
    assert (first["unfit"], first["trace"]) == (words, "")


@BOTH
def test_functions_of_one_module_are_called_where_it_was_imported_once(
    make: Make, recycle: list[int | None] | None
) -> None:
    """Also by a worker that was there before anybody asked for the second one; and one that is unfit is told of."""
    warm = make(preload="lab:load")
    warm.tell(recycle)
    assert warm.value(0, value="a") == ["loaded", "a"]
    for number, target in enumerate(("lab:look", "lab:gone"), 1):
        question = {"n": number, "call": target, "places": ["what"], "names": []}
        warm.control.send(json.dumps({"find": question}).encode())
    said = [warm.packet() for _ in range(2)]
    assert [(answer["found"], answer.get("unfit", "")[:16]) for answer in said] == [(1, ""), (2, "lab has no gone ")]
    assert str(warm.base / "lab.py") in [path for path, _, _ in said[0]["files"]]
    warm.tell(recycle, call="lab:look")
    assert warm.value(1, "[STATE, sys.argv[0]]") == [["loaded"] + ["a"] * (recycle is not None), "lab:give"]
    warm.tell(recycle, call="lab:gone")
    end = warm.made(2)
    assert (end["code"], end["raised"][:23]) == (1, "UnfitError: lab has no ")


def test_what_is_preloaded_is_there_also_where_the_first_that_was_asked_for_can_not_be_called(make: Make) -> None:
    warm = make(call="lab:gone", preload="lab:load")
    assert (warm.first["unfit"][:16], "warm" in warm.packet()) == ("lab has no gone ", True)
    warm.control.send(json.dumps({"find": {"n": 1, "call": "lab:give", "places": [], "names": []}}).encode())
    assert "unfit" not in warm.packet()
    warm.question["call"] = "lab:give"
    warm.hire()
    assert warm.value(0, value="a") == ["loaded", "a"]


def test_the_program_is_what_it_was_when_the_daemon_began(make: Make, tmp_path: Path) -> None:
    installed = tmp_path / "installed"
    shutil.copytree(program.PROGRAM, installed, ignore=shutil.ignore_patterns("__pycache__"))
    kept = program.Program(tmp_path / "kept", installed)
    for file in installed.iterdir():
        file.write_text("raise SystemExit('replaced')\n")
    assert make(script=kept.place(), call="lab:Maker.make").value(0) == "made"
    shutil.rmtree(tmp_path / "kept")
    assert make(script=kept.place(), call="lab:Maker.make").value(0) == "made"


def test_threads_that_an_import_left_running_are_named(make: Make) -> None:
    assert make(preload="lab:slow_load").first["threads"] == ["watcher"]
    assert make(preload="lab:load").first["threads"] == []


def test_a_method_and_a_function_written_in_c_can_be_called(make: Make) -> None:
    assert make(call="lab:Maker.make").value(0) == "made"
    assert make(call="math:hypot", places=("x", "y")).value(0, 3, 4) == 5.0


def test_names_of_our_own_files_are_left_to_modules_of_the_user(make: Make, tmp_path: Path) -> None:
    names = [file.stem for file in program.PROGRAM.glob("*.py") if file.stem.isalpha()]
    for name in names:
        (tmp_path / f"{name}.py").write_text(f"NAME = 'my {name}'\n")
    imports = "\n".join(f"import {name}" for name in names)
    (tmp_path / "mine.py").write_text(f"{imports}\ndef f():\n    return [{', '.join(f'{n}.NAME' for n in names)}]\n")
    assert make(call="mine:f").value(0) == [f"my {name}" for name in names]


def test_a_spawner_whose_daemon_is_gone_leaves_and_its_worker_ends_the_call_in_hand(make: Make) -> None:
    warm = make(call="lab:look", places=("what",))
    os.mkfifo(warm.base / "gate")
    warm.call(0, "[open('gate').read(), print('ended')][0]")
    warm.hear("s")
    warm.sock.shutdown(socket.SHUT_RDWR)
    warm.control.shutdown(socket.SHUT_RDWR)
    assert warm.spawner.wait(DEADLINE) == 0
    with open(warm.base / "gate", "w") as gate:
        gate.write("go")
    warm.gone()
    fates = journal.read((warm.runs.path(warm.run) / "journal").read_bytes())
    assert [end.value for end in fates.ended.values()] == ['"go"']
    assert wait_for(warm.base / "logs" / "1" / "0.1.log") == "ended\n"


def test_the_journal_names_a_runner_before_its_first_call_begins(looker: Warm) -> None:
    journal_now = "open(os.environ['GRIST_RESULT'].replace('/result', '/journal')).read()"
    text = looker.value(0, journal_now)
    assert f'"r":{looker.value(1, "os.getpid()")}' in text or looker.context["once"]
    fates = journal.read(text.encode())
    (start,) = fates.running.values()
    assert start.pid is not None and start.ticks is not None


@BOTH
def test_each_process_has_random_numbers_of_its_own(make: Make, recycle: list[int | None] | None) -> None:
    pytest.importorskip("numpy")
    warm = make(call="lab:look", places=("what",), preload="lab:load_numpy")
    drawn = []
    for number in range(4):
        warm.tell(recycle=recycle and [1, None])
        drawn.append(warm.value(number, "[random.random(), __import__('numpy').random.random()]"))
    assert len({own for own, _ in drawn}) == len({own for _, own in drawn}) == 4
