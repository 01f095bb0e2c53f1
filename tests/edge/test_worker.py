"""The spawner and its workers as real processes, spoken to over their sockets as the daemon does."""

from __future__ import annotations

import ctypes
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gristmill.supervisor.core.journal import Key
from gristmill.supervisor.edge import spawner
from gristmill.supervisor.edge.runs import Runs
from gristmill.supervisor.worker.journal import claim, encode
from gristmill.supervisor.worker.manners import make_nice
from gristmill.supervisor.worker.processes import descendants, offspring
from gristmill.supervisor.worker.task import Task
from tests.processes import alive
from tests.waiting import DEADLINE, until


class Worker:
    """The daemon's end of one worker, without a daemon."""

    def __init__(self, base: Path, group: str = "") -> None:
        self.runs = Runs(base)
        self.run = self.runs.create()
        self.base = base
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-I", "-S", str(spawner.COLD), str(theirs.fileno())]
        self.spawner = subprocess.Popen(command, pass_fds=[theirs.fileno()], start_new_session=True)
        theirs.close()
        self.sock, end = socket.socketpair()
        order = json.dumps({"run": str(self.runs.path(self.run)), "slot": 3, "group": group}).encode()
        socket.send_fds(self.control, [order], [end.fileno()])
        end.close()
        self.inbox = b""
        self.pid = self.hear("ready")["ready"]
        context: dict[str, Any] = {
            "cwd": str(base), "env": {"PATH": os.environ["PATH"]}, "timeout": None, "grace": 0.3, "nice": 0,
            "logs": str(base / "logs" / "1"), "results": str(base / "results" / "1"),
        }
        self.context = context
        self.say({"context": context, "job": 1})

    def say(self, *messages: dict[str, Any]) -> None:
        self.sock.sendall(b"".join(json.dumps(message).encode() + b"\n" for message in messages))

    def do(self, number: int, *argv: str, **more: Any) -> None:
        self.say({"do": f"1.{number}.1", "argv": list(argv), "env": {}} | more)

    def sh(self, number: int, script: str, **more: Any) -> None:
        self.do(number, "/bin/sh", "-c", script, **more)

    def hear(self, kind: str) -> dict[str, Any]:
        """The next message of this kind; others before it are passed over."""
        self.sock.settimeout(DEADLINE)
        while True:
            while b"\n" in self.inbox:
                line, self.inbox = self.inbox.split(b"\n", 1)
                message: dict[str, Any] = json.loads(line)
                if kind in message:
                    return message
            data = self.sock.recv(1 << 16)
            assert data, f"the worker hung up before it said {kind!r}"
            self.inbox += data

    def gone(self) -> None:
        """Waits until the worker process has ended."""
        try:
            fd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            assert select.select([fd], [], [], DEADLINE)[0], "the worker is still there"
        finally:
            os.close(fd)

    def close(self) -> None:
        self.sock.close()
        self.control.close()
        self.spawner.wait(DEADLINE)


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    made = Worker(tmp_path)
    yield made
    made.close()


def log_of(worker: Worker, number: int) -> str:
    return log_path(worker, number).read_text()


def log_path(worker: Worker, number: int) -> Path:
    return worker.base / "logs" / "1" / f"{number}.1.log"


def wait_for(path: Path) -> str:
    """The text of a file once a task has written whole lines; of some that are moved on there may be half a one."""


    def lines() -> str:
        text = path.read_text() if path.exists() else ""
        return text if text.endswith("\n") else ""

    return until(lines, f"{path} was not written")


@pytest.mark.parametrize("code", [0, 1, 137, 255])
def test_exit_codes_arrive_as_they_are(worker: Worker, code: int) -> None:
    worker.sh(0, f"exit {code}")
    end = worker.hear("e")
    assert (end["code"], end["signal"]) == (code, None)


def test_a_task_has_begun_before_its_start_came_back(tmp_path: Path) -> None:
    """On a busy machine that may be long after its program runs: a sleep of three seconds took less than three."""
    context = {"grace": 1.0, "nice": 0, "timeout": 9.0, "results": str(tmp_path), "logs": str(tmp_path)}
    now, clock = time.time(), time.monotonic()
    task = Task("1.0.1", 1, context, [], ago=2.0)
    assert now <= task.started + 2.0 <= time.time()
    assert clock <= task.born + 2.0 <= time.monotonic()
    assert task.deadline == task.born + 9.0


def test_a_signal_is_a_signal(worker: Worker) -> None:
    worker.sh(0, "kill -9 $$")
    end = worker.hear("e")
    assert (end["code"], end["signal"]) == (None, 9)


def test_each_task_has_variables_of_its_own_and_none_takes_the_place_of_the_workers(worker: Worker) -> None:
    """What all tasks share is prepared once, also while the names of what is their own change."""
    wanted = 'echo "$A-$B-$PATH-${GRIST_RESULT##*/}"'
    for number, env in enumerate(({"A": "1"}, {"A": "ü"}, {"B": "3", "PATH": "/x"}, {"GRIST_RESULT": "/y"}, {})):
        worker.do(number, "/bin/sh", "-c", wanted, env=env)
        worker.hear("e")
    path = os.environ["PATH"]
    assert [log_of(worker, number) for number in range(5)] == [
        f"1--{path}-result\n", f"ü--{path}-result\n", "-3-/x-result\n", f"--{path}-result\n", f"--{path}-result\n",
    ]


@pytest.mark.parametrize("bad", [{"env": {"A": "1\0B=2"}}, {"env": {"A=B": "1"}}, {"argv": ["/bin/echo", "1\0"]}])
def test_what_the_kernel_would_cut_short_is_not_started(worker: Worker, bad: dict[str, Any]) -> None:
    worker.say({"do": "1.0.1", "argv": ["/bin/echo"], "env": {}, **bad})
    end = worker.hear("e")
    assert end["code"] == 126 and end["text"].startswith("cannot start: ")
    worker.sh(1, "exit 3")
    assert worker.hear("e")["code"] == 3


def test_between_silent_and_speaking_tasks_each_has_what_it_wrote_and_no_more(worker: Worker) -> None:
    """After one that has written the next one's file has its final name from the start; what lies there gives way."""
    logs = worker.base / "logs" / "1"
    for number, word in enumerate(("a", "b", "", "c", "", "", "d", "e")):
        if word == "e":
            log_path(worker, number).write_text("of an attempt that nobody knows of any more")
        worker.sh(number, f"test -z '{word}' || echo {word}")
        end = worker.hear("e")
        assert end.get("log") == (str(log_path(worker, number)) if word else None)
    assert {path.name: path.read_text() for path in logs.iterdir()} == {
        f"{number}.1.log": f"{word}\n" for number, word in ((0, "a"), (1, "b"), (3, "c"), (6, "d"), (7, "e"))
    }


def test_an_exit_is_in_the_journal_before_the_daemon_hears_of_it(worker: Worker) -> None:
    """Also where it went there together with the claim of the next task."""
    worker.say(*({"do": f"1.{number}.1", "argv": ["/bin/true"], "env": {}} for number in range(20)))
    for number in range(20):
        assert worker.hear("e")["e"] == f"1.{number}.1"
        assert Key(1, number, 1) in worker.runs.survey(worker.run)[0].ended


def test_stdout_and_stderr_are_in_the_log_and_silence_leaves_none(worker: Worker) -> None:
    worker.sh(0, "echo out; echo err >&2")
    assert worker.hear("e")["log"] == str(worker.base / "logs" / "1" / "0.1.log")
    assert log_of(worker, 0) == "out\nerr\n"
    worker.do(1, "true")
    assert "log" not in worker.hear("e")
    worker.sh(2, "echo again")
    worker.hear("e")
    assert log_of(worker, 2) == "again\n"
    assert sorted(os.listdir(worker.base / "logs" / "1")) == ["0.1.log", "2.1.log"]


def test_a_log_is_copied_to_where_a_script_says(worker: Worker) -> None:
    there = worker.base / "there"
    there.write_text("before\n")
    worker.sh(0, "echo one", copy=["out/a.0", ""])
    assert "text" not in worker.hear("e")
    assert (worker.base / "out" / "a.0").read_text() == log_of(worker, 0) == "one\n"
    worker.sh(1, "true", copy=["out/a.1", ""])
    worker.hear("e")
    assert (worker.base / "out" / "a.1").read_bytes() == b""
    worker.sh(2, "echo two", copy=[str(there), ""])
    worker.hear("e")
    worker.sh(3, "echo three", copy=[str(there), ""], append=True)
    worker.hear("e")
    assert there.read_text() == "two\nthree\n"


def test_a_log_is_found_there_while_the_task_runs(worker: Worker) -> None:
    (worker.base / "a").write_text("of yesterday")
    worker.sh(0, "echo one; while [ ! -e go ]; do sleep 0.05; done; echo two", copy=["a", ""])
    assert wait_for(log_path(worker, 0)) == "one\n"
    assert (worker.base / "a").is_symlink() and (worker.base / "a").read_text() == "one\n"
    (worker.base / "go").touch()
    worker.hear("e")
    assert not (worker.base / "a").is_symlink()
    assert (worker.base / "a").read_text() == log_of(worker, 0) == "one\ntwo\n"
    worker.sh(1, "true", copy=["a", ""])
    worker.hear("e")
    assert not (worker.base / "a").is_symlink() and (worker.base / "a").read_text() == ""
    assert log_of(worker, 0) == "one\ntwo\n"


def test_a_link_of_the_users_own_is_written_through(worker: Worker) -> None:
    (worker.base / "mine").write_text("old")
    (worker.base / "link").symlink_to("mine")
    worker.sh(0, "echo new", copy=["link", ""])
    worker.hear("e")
    assert (worker.base / "link").is_symlink()
    assert (worker.base / "mine").read_text() == "new\n"


def test_a_copy_that_can_not_be_made_is_told_of_and_harms_nothing(worker: Worker) -> None:
    os.mkfifo(worker.base / "pipe")
    (worker.base / "full").write_text("a file")
    for number, path in enumerate(("pipe", "full/log", "")):
        worker.sh(number, "echo one", copy=[path, ""])
        end = worker.hear("e")
        assert end["code"] == 0
        assert ("was not copied" in end.get("text", "")) is bool(path)
        assert log_of(worker, number) == "one\n"
    worker.sh(3, "echo one", copy=[str(worker.base / "logs" / "1" / "3.1.log"), ""])
    worker.hear("e")
    assert log_of(worker, 3) == "one\n"


def test_standard_error_has_a_copy_of_its_own(worker: Worker) -> None:
    worker.say({"context": {**worker.context, "err": True}, "job": 1})
    worker.sh(0, "echo out; echo err >&2", copy=["o", "e"])
    worker.hear("e")
    assert ((worker.base / "o").read_text(), (worker.base / "e").read_text()) == ("out\n", "err\n")


def test_the_log_of_a_longer_task_has_its_name_while_it_runs(worker: Worker) -> None:
    worker.sh(0, "echo begun; exec sleep 60")
    assert wait_for(worker.base / "logs" / "1" / "0.1.log") == "begun\n"
    worker.say({"end": "1.0.1"})
    assert worker.hear("e")["why"] == "cancel"


def test_the_task_gets_its_session_its_folder_its_input_and_nothing_else(worker: Worker) -> None:
    script = 'cat; pwd; test $(ps -o sid= -p $$) = $$ && echo session; echo "$GRIST_WORKER"; ls /proc/self/fd | wc -l'
    worker.sh(0, script, stdin="0,16\n")
    worker.hear("e")
    assert log_of(worker, 0).split() == ["0,16", str(worker.base), "session", "3", "4"]


def test_signals_have_their_default_meaning_in_the_task(worker: Worker) -> None:
    worker.sh(0, "grep -E 'Sig(Ign|Blk)' /proc/self/status")
    worker.hear("e")
    glibc_own = 1 << 31 | 1 << 32  # signals 32 and 33, which its posix_spawn leaves ignored
    for line in log_of(worker, 0).splitlines():
        assert int(line.split()[1], 16) & ~glibc_own == 0, line


def test_a_result_is_kept_under_the_tasks_name(worker: Worker) -> None:
    worker.sh(0, 'echo "[1, 2]" > "$GRIST_RESULT"')
    assert Path(worker.hear("e")["result"]).read_text() == "[1, 2]\n"
    worker.do(1, "true")
    assert "result" not in worker.hear("e")


def test_a_missing_program_and_a_missing_folder_are_the_tasks_own_fault(worker: Worker) -> None:
    worker.do(0, "no-such-program")
    end = worker.hear("e")
    assert end["code"] == 127
    assert "command not found" in end["text"]
    worker.say({"context": {**worker.context, "cwd": "/no/such/folder"}, "job": 1})
    worker.do(1, "true")
    assert "/no/such/folder" in worker.hear("e")["text"]


def test_a_program_without_shebang_is_run_by_the_shell(worker: Worker) -> None:
    program = worker.base / "plain"
    program.write_text("echo from the shell\n")
    program.chmod(0o755)
    worker.do(0, str(program))
    worker.hear("e")
    assert log_of(worker, 0) == "from the shell\n"


def timed_out(worker: Worker, script: str) -> tuple[int, dict[str, Any]]:
    """How a task ended that took too long, and its number. It makes the file `ready` before: on a busy machine that
    alone may take longer than it is given, and then it is given more."""
    for number, seconds in enumerate((0.3, 3.0, 30.0)):
        worker.say({"context": {**worker.context, "timeout": seconds}, "job": 1})
        worker.sh(number, script)
        end = worker.hear("e")
        if (worker.base / "ready").exists():
            return number, end
    raise AssertionError("it did not begin")


def test_a_timeout_ends_a_task_that_is_deaf_to_term_with_its_children(worker: Worker) -> None:
    child = "setsid sh -c 'echo $$; touch ready; exec sleep 100'"
    number, end = timed_out(worker, f"trap '' TERM; {child} & while :; do sleep 100; done")
    assert (end["why"], end["signal"]) == ("timeout", 9)
    assert not alive(int(log_of(worker, number)))


def test_what_a_task_leaves_running_ends_with_it(worker: Worker) -> None:
    worker.sh(0, "env -i setsid sleep 100 & echo $!")
    worker.hear("e")
    assert not alive(int(log_of(worker, 0)))


def test_a_silent_task_that_lived_for_a_while_leaves_its_log_to_the_next(worker: Worker) -> None:
    worker.sh(0, "sleep 0.7")
    assert "log" not in worker.hear("e")
    worker.sh(1, "echo mine; sleep 0.7; echo still")
    assert worker.hear("e")["log"] == str(worker.base / "logs" / "1" / "1.1.log")
    assert log_of(worker, 1) == "mine\nstill\n"
    assert os.listdir(worker.base / "logs" / "1") == ["1.1.log"]


def test_many_tasks_sent_ahead_run_once_each_in_order(worker: Worker) -> None:
    for number in range(200):
        worker.sh(number, f"echo {number} >> order")
    ends = [worker.hear("e")["e"] for _ in range(200)]
    assert ends == [f"1.{number}.1" for number in range(200)]
    assert (worker.base / "order").read_text().split() == [str(number) for number in range(200)]


def test_what_is_not_claimed_can_be_taken_back(worker: Worker) -> None:
    worker.sh(0, "exec sleep 100")
    worker.hear("s")
    worker.do(1, "true")
    worker.do(2, "true")
    worker.say({"drop": True}, {"end": "1.0.1"})
    assert worker.hear("dropped")["dropped"] == ["1.1.1", "1.2.1"]
    assert worker.hear("e")["e"] == "1.0.1"
    fates, _ = worker.runs.survey(worker.run)
    assert set(fates.ended) == {Key(1, 0, 1)}


def test_when_the_daemon_goes_the_task_in_hand_is_finished_and_the_rest_is_not_begun(worker: Worker) -> None:
    worker.sh(0, "while ! test -e go; do sleep 0.05; done; exit 7")
    worker.hear("s")
    worker.sh(1, "touch begun")
    worker.say({"stop": "1.0.1"}, {"go": "1.0.1"})
    worker.hear("resumed")  # so it has the other one as well
    worker.sock.close()
    (worker.base / "go").touch()
    worker.gone()
    fates, holder = worker.runs.survey(worker.run)
    assert holder is None
    assert fates.ended[Key(1, 0, 1)].exit_code == 7
    assert set(fates.running) == set()
    assert not (worker.base / "begun").exists()


def test_a_living_worker_holds_its_lock_and_a_killed_one_does_not(worker: Worker) -> None:
    worker.sh(0, "exec sleep 100")
    pid = worker.hear("s")["pid"]
    assert worker.runs.survey(worker.run)[1] == worker.pid
    os.kill(worker.pid, signal.SIGKILL)
    worker.gone()
    fates, holder = worker.runs.survey(worker.run)
    assert holder is None
    assert set(fates.running) == {Key(1, 0, 1)}
    os.kill(pid, signal.SIGKILL)


def test_a_fenced_worker_that_thaws_starts_nothing(worker: Worker) -> None:
    worker.sh(0, "sleep 0.2")
    worker.hear("s")
    os.kill(worker.pid, signal.SIGSTOP)
    worker.sh(1, "touch begun")
    worker.runs.fence(worker.run)
    os.kill(worker.pid, signal.SIGCONT)
    worker.gone()
    fates, _ = worker.runs.survey(worker.run)
    assert set(fates.ended) == {Key(1, 0, 1)}
    assert fates.running == {}
    assert not (worker.base / "begun").exists()


def test_an_orphaned_worker_ends_its_task_on_the_signal_of_its_next_daemon(worker: Worker) -> None:
    worker.sh(0, "exec sleep 100")
    worker.hear("s")
    worker.sock.close()
    os.kill(worker.pid, signal.SIGUSR1)
    worker.gone()
    fates, _ = worker.runs.survey(worker.run)
    end = fates.ended[Key(1, 0, 1)]
    assert (end.why, end.signal) == ("cancel", 15)


def test_a_claim_is_written_as_any_record() -> None:
    for now in (1700000000.0, 1790000000.123457, 0.1 + 0.2):
        assert claim("12.345.6", now) == encode({"c": "12.345.6", "t": now})


def test_odd_bytes_reach_a_task_and_come_back(worker: Worker) -> None:
    environment = {**worker.context["env"], "ODD": "\udcff"}
    odd = {**worker.context, "env": environment, "logs": str(worker.base / "logs\udcff")}
    order = {"do": "1.0.1", "argv": ["/bin/sh", "-c", 'printf %s "$ODD$1"', "sh", "\xfc\udcfe"], "env": {}}
    for message in ({"context": odd, "job": 1}, order):
        worker.sock.sendall(spawner.encode(message) + b"\n")
    end = spawner.decode(encode(worker.hear("e")))
    log = Path(end["log"])
    assert (log.parent.name, log.read_bytes()) == ("logs\udcff", b"\xff\xc3\xbc\xfe")


def test_hup_int_and_term_do_not_touch_a_worker(worker: Worker) -> None:
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        os.kill(worker.pid, number)
    worker.sh(0, "exit 5")
    assert worker.hear("e")["code"] == 5


def test_what_a_task_says_of_its_progress_is_gone_when_its_end_is_told(worker: Worker) -> None:
    told = worker.runs.log(Key(1, 0, 1), worker.run, "progress")
    worker.sh(0, 'echo 42% > "$GRIST_PROGRESS"; echo 50% > "$GRIST_PROGRESS"; cat')
    worker.hear("e")
    worker.sh(1, 'echo 42% > "$GRIST_PROGRESS"; exec sleep 60')
    assert wait_for(told) == "42%\n"
    worker.say({"end": "1.1.1"})
    worker.hear("e")
    assert not told.exists()
    worker.sh(2, 'mkdir "$GRIST_PROGRESS"')
    assert worker.hear("e")["code"] == 0
    worker.sh(3, "exit 3")
    assert worker.hear("e")["code"] == 3


CROWD = """
import subprocess, sys, threading
made = [subprocess.Popen(["sleep", "600"]) for _ in range(700)]  # more than the kernel tells at a time
made.append(subprocess.Popen(["/bin/sh", "-c", "setsid sleep 600 & sleep 600"]))
thread = threading.Thread(target=lambda: made.append(subprocess.Popen(["sleep", "600"])) or sys.stdin.read())
thread.start()
while len(made) < 702:
    pass
print(flush=True)
sys.stdin.read()
"""


def test_a_tree_is_found_by_asking_for_children_as_it_is_by_looking_at_all() -> None:
    """However many there are, whoever of a process's threads has them, in whatever session."""
    with subprocess.Popen([sys.executable, "-c", CROWD], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        until(lambda: len(descendants(process.pid)) == 704, "not all 704 have begun")
        whole = descendants(process.pid)
        found = offspring(process.pid)
        for pid, *_ in whole:
            os.kill(pid, signal.SIGKILL)
        process.stdin.close()
    assert {one[:2] for one in found} == {one[:2] for one in whole}
    assert len(found) == len(whole)


# ── politeness ────────────────────────────────────────────────────────────────────────────────────────────────────

BEST_EFFORT_LOWEST = 2 << 13 | 7
IOPRIO_GET = {"x86_64": 252, "aarch64": 31}


@pytest.fixture
def family() -> Iterator[list[int]]:
    """A process that leads its own group, and a child of it."""
    command = ["/bin/sh", "-c", "sleep 600 & echo $!; wait"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        yield [process.pid, int(process.stdout.readline())]
        os.killpg(process.pid, signal.SIGKILL)


def ionice_of(pid: int) -> int:
    number = IOPRIO_GET.get(os.uname().machine)
    if number is None:
        pytest.skip("the number of ioprio_get on this kind of machine is not known to this test")
    libc = ctypes.CDLL(None, use_errno=True)
    found: int = libc.syscall(ctypes.c_long(number), ctypes.c_int(1), ctypes.c_int(pid))
    return found


def test_a_task_is_nice_with_what_it_has_forked_before_it_was_made_so(family: list[int]) -> None:
    make_nice(family[0], 12)
    assert [os.getpriority(os.PRIO_PROCESS, pid) for pid in family] == [12, 12]


def test_a_task_is_born_last_at_the_disk_and_first_without_memory_and_its_worker_stays_as_it_was(
    worker: Worker,
) -> None:
    score = Path(f"/proc/{worker.pid}/oom_score_adj")
    own = score.read_text()
    worker.say({"context": {**worker.context, "ionice": True}, "job": 1})
    worker.sh(0, "sleep 600 & echo $$ $! > part; cat /proc/$$/oom_score_adj /proc/$!/oom_score_adj >> part; "
                 "mv part said; wait")
    pids, *scores = wait_for(worker.base / "said").splitlines()
    assert scores == ["300", "300"]
    assert [ionice_of(int(pid)) for pid in pids.split()] == [BEST_EFFORT_LOWEST] * 2
    assert score.read_text() == own != "300\n"
    worker.say({"end": "1.0.1"})
    worker.hear("e")


@pytest.mark.parametrize("argv", [["/nowhere"], ["/etc/passwd"], ["/bin/true\0"]])
def test_a_worker_stays_as_it_was_when_a_task_can_not_be_started(worker: Worker, argv: list[str]) -> None:
    score = Path(f"/proc/{worker.pid}/oom_score_adj")
    own = score.read_text()
    worker.do(0, *argv)
    worker.hear("e")
    assert score.read_text() == own != "300\n"


def test_a_task_that_may_have_so_much_memory_is_refused_more_and_fails_by_itself(worker: Worker) -> None:
    worker.say({"context": {**worker.context, "space": 256 << 20}, "job": 1})
    grab = f"{sys.executable} -I -S -c 'bytearray({{}} << 20)'"
    bound = "until grep -q 'Max address space *268435456 ' /proc/$$/limits; do sleep 0.01; done"  # set after its start
    worker.sh(0, f"{bound}; {grab.format(10)} && echo fits; {grab.format(300)} 2>&1 | tail -1")
    assert worker.hear("e")["code"] == 0
    assert log_of(worker, 0).split() == ["fits", "MemoryError"]


SESSIONS = Path("/proc/self/autogroup")


def session_nice(pid: int) -> int:
    """At which niceness the kernel shares cores out to a process's session."""
    return int(Path(f"/proc/{pid}/autogroup").read_text().split()[-1])


@pytest.mark.skipif(not SESSIONS.exists(), reason="this kernel does not share cores out by session")
def test_where_cores_go_by_session_a_task_s_goes_last_and_its_worker_s_does_not(worker: Worker) -> None:
    own = session_nice(worker.pid)
    worker.say({"context": {**worker.context, "nice": 11}, "job": 1})
    worker.sh(0, "echo $$ > part; mv part said; sleep 600")
    pid = int(wait_for(worker.base / "said"))
    # asked for when its start is told, and again where others have just asked
    until(lambda: session_nice(pid) == 11, "its session is served like any other")
    assert session_nice(worker.pid) == own
    worker.say({"end": "1.0.1"})
    worker.hear("e")


HURRIED = """
import subprocess, sys, time
from gristmill.supervisor.worker.manners import yield_session
with subprocess.Popen(["sleep", "600"], start_new_session=True) as process:
    print(all([yield_session(process.pid, nice) for nice in (3, 4, 5) * 20]))
    until = time.monotonic() + float(sys.argv[1])
    while not yield_session(process.pid, 7) and time.monotonic() < until:
        time.sleep(0.02)
    print(open(f"/proc/{process.pid}/autogroup").read().split()[-1])
    process.kill()
print(yield_session(process.pid, 5))
"""


@pytest.mark.skipif(not SESSIONS.exists(), reason="this kernel does not share cores out by session")
def test_a_wish_that_the_kernel_puts_off_is_made_again() -> None:
    drop = [] if os.geteuid() else ["setpriv", "--bounding-set=-sys_admin"]
    if drop and shutil.which("setpriv") is None:
        pytest.skip("root's wishes are never put off, and there is no setpriv to take that away")
    command = [*drop, sys.executable, "-c", HURRIED, str(DEADLINE)]
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=2 * DEADLINE)
    assert said.stdout.split() == ["False", "7", "True"]  # put off; taken; nobody is left to be polite for


REFUSED = """
import os, subprocess
from gristmill.supervisor.worker.manners import make_nice
os.nice(15)
with subprocess.Popen(["sleep", "600"], start_new_session=True) as process:
    make_nice(process.pid, 5)
    print(os.getpriority(os.PRIO_PROCESS, process.pid))
    process.kill()
"""


def test_a_niceness_that_is_refused_is_no_fault() -> None:
    drop = [] if os.geteuid() else ["setpriv", "--bounding-set=-sys_nice"]
    if drop and shutil.which("setpriv") is None:
        pytest.skip("root may set any niceness, and there is no setpriv to take that away")
    command = [*drop, sys.executable, "-c", REFUSED]
    said = subprocess.run(command, check=False, capture_output=True, text=True, timeout=DEADLINE)
    if said.stdout == "5\n":
        pytest.skip("this user may set any niceness")
    assert (said.stdout, said.stderr) == ("15\n", "")


def test_who_has_ended_already_needs_no_politeness() -> None:
    process = subprocess.Popen(["true"], start_new_session=True)
    process.wait(DEADLINE)
    make_nice(process.pid, 12)


# ── canceling ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_task_that_is_canceled_before_it_has_begun_is_given_back_and_never_begins(worker: Worker) -> None:
    def order(number: int) -> dict[str, Any]:
        return {"do": f"1.{number}.1", "argv": ["/bin/sh", "-c", "echo >> begun"], "env": {}}

    worker.say(order(0), order(1), {"end": "1.0.1"})  # in one packet: it finds no task in hand yet
    assert worker.hear("dropped")["dropped"] == ["1.0.1"]
    assert worker.hear("e")["e"] == "1.1.1"
    assert (worker.base / "begun").read_text() == "\n"
