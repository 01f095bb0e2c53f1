"""Each fault of the shim really happens, in the processes that it is meant for and in no other."""

from __future__ import annotations

import errno
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.shim import Library, Shim
from tests.mill import DEADLINE, Mill

Run = Callable[[str], "subprocess.CompletedProcess[str]"]


@pytest.fixture
def tool(library: Library, tmp_path: Path) -> Shim:
    return Shim(library, tmp_path / "shim", role="worker")


@pytest.fixture
def run(tool: Shim, tmp_path: Path) -> Run:
    """Runs Python code in the role of a worker."""
    script = tmp_path / "cold.py"

    def as_worker(code: str) -> subprocess.CompletedProcess[str]:
        script.write_text(f"import os, sys, time, socket\n{code}\n")
        return subprocess.run(
            [sys.executable, "-I", "-S", str(script)], env=tool.env, capture_output=True, text=True, check=False,
            cwd=tmp_path, timeout=DEADLINE,
        )

    return as_worker


CALLS = {
    "rename": ("open('a', 'w').close()", "os.rename('a', 'b')", "not os.path.exists('a')"),
    "link": ("open('a', 'w').close()", "os.link('a', 'b')", "os.path.exists('b')"),
    "unlink": ("open('a', 'w').close()", "os.unlink('a')", "not os.path.exists('a')"),
    "mkdir": ("", "os.mkdir('a')", "os.path.isdir('a')"),
    "fsync": ("f = open('a', 'w')", "os.fsync(f.fileno())", "True"),
    "write": ("f = os.open('a', os.O_CREAT | os.O_WRONLY)", "os.pwrite(f, b'x', 0)", "os.path.getsize('a')"),
}


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("group", CALLS)
def test_a_process_dies_at_the_call_that_was_named(
    tool: Shim, run: Run, tmp_path: Path, group: str, after: bool
) -> None:
    prepare, call, done = CALLS[group]
    folder = tmp_path / "data"
    folder.mkdir()
    tool.kill_at(group, 1, below=folder, after=after)
    ended = run(f"os.chdir('data')\n{prepare}\n{call}\nprint('alive')")
    assert (ended.returncode, ended.stdout) == (-9, ""), ended.stderr
    assert tool.seen(group) == 1
    tool.clear()
    if group != "fsync":
        assert run(f"os.chdir('data')\nprint(bool({done}))").stdout.strip() == str(after)


def test_a_process_dies_at_the_nth_call_and_not_before(tool: Shim, run: Run, tmp_path: Path) -> None:
    tool.kill_at("mkdir", 3, below=tmp_path)
    assert run("for n in range(9): os.mkdir(str(n)); print(n, flush=True)").stdout.split() == ["0", "1"]


def test_a_full_disk_takes_what_fits_and_no_more(tool: Shim, run: Run, tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    fault = tool.fill(tmp_path / "small", room=100_000)
    done = run("""
f = os.open('small/a', os.O_CREAT | os.O_WRONLY)
print(os.write(f, bytes(70000)), os.write(f, bytes(70000)))
os.lseek(f, 0, 0)
print(os.write(f, bytes(70000)))  # over blocks that are there already
for attempt in (lambda: os.pwrite(f, bytes(70000), 100000), lambda: open('small/b', 'w'), lambda: os.mkdir('small/c'),
                lambda: os.posix_fallocate(f, 0, 1 << 20), lambda: os.truncate(f, 1 << 20)):
    try:
        print('done', attempt())
    except OSError as error:
        print(error.errno)
open('elsewhere', 'w').write('x' * 100000)
""")
    assert done.stdout.split() == ["70000", "30000", "70000", *[str(errno.ENOSPC)] * 5], done.stderr
    assert tool.hits(fault) == 5
    tool.heal(fault)
    assert run("os.mkdir('small/c')").returncode == 0


@pytest.mark.parametrize("call", ["os.fork()", "os.posix_spawn('/bin/true', ['true'], {})",
                                  "__import__('subprocess').run('/bin/true')"])
def test_no_process_can_be_had(tool: Shim, run: Run, call: str) -> None:
    tool.fail(errno.EAGAIN, "fork")
    assert f"[Errno {errno.EAGAIN}]" in run(call).stderr


@pytest.mark.parametrize("call", ["os.open('/dev/null', 0)", "socket.socket()", "socket.socketpair()", "os.pipe()"])
def test_no_file_can_be_had_from_some_moment_on(tool: Shim, tmp_path: Path, call: str) -> None:
    script = tmp_path / "cold.py"
    script.write_text(f"""import os, socket
for line in iter(input, "end"):
    try:
        {call}
        print("done", flush=True)
    except OSError as error:
        print(error.errno, flush=True)
""")
    command = [sys.executable, "-I", "-S", str(script)]
    with subprocess.Popen(command, env=tool.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def once_more() -> str:
            print("go", file=process.stdin, flush=True)
            assert process.stdout is not None
            return process.stdout.readline().strip()

        assert once_more() == "done"
        with tool.failing(errno.EMFILE, "open", "socket"):
            assert once_more() == str(errno.EMFILE)
        assert once_more() == "done"
        print("end", file=process.stdin, flush=True)


def test_only_the_role_that_was_named_is_touched(tool: Shim, tmp_path: Path) -> None:
    tool.fail(errno.ENOSPC, "mkdir")
    for name, fails in (("cold.py", True), ("task.py", False)):
        (tmp_path / name).write_text(f"import os; os.mkdir({name + '.d'!r})")
        done = subprocess.run([sys.executable, tmp_path / name], env=tool.env, capture_output=True, check=False,
                              cwd=tmp_path)
        assert (b"No space left" in done.stderr) is fails


def test_fsync_is_slow(tool: Shim, run: Run) -> None:
    tool.slow_sync(300)
    before = time.monotonic()
    assert run("f = open('a', 'w'); os.fsync(f.fileno())").returncode == 0
    assert time.monotonic() - before > 0.3


def test_the_wall_clock_jumps_and_the_other_does_not(tool: Shim, run: Run) -> None:
    tool.shift_clock(-86_400)
    wall, steady = map(float, run("print(time.time(), time.monotonic())").stdout.split())
    assert abs(wall - (time.time() - 86_400)) < DEADLINE
    assert abs(steady - time.monotonic()) < DEADLINE


def test_another_boot_id_is_shown(tool: Shim, run: Run) -> None:
    tool.reboot("0000-another-boot")
    assert run("print(open('/proc/sys/kernel/random/boot_id').read())").stdout.strip() == "0000-another-boot"


def test_daemon_and_workers_feel_it_and_tasks_do_not(mill: Mill, shim: Shim) -> None:
    shim.shift_clock(-86_400)
    mill.start()
    mill.drop("clock.toml", 'command = "date +%s > now"\n')
    job = mill.ended("clock")
    (task,) = mill.tasks("clock")
    now = time.time()
    assert abs(job["ended_at"] - (now - 86_400)) < 2 * DEADLINE
    assert abs(task["started_at"] - (now - 86_400)) < 2 * DEADLINE
    assert abs(int((mill.base / "now").read_text()) - now) < 2 * DEADLINE
