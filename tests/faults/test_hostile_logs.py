"""Logs as no reader expects them, seen through a real terminal: one endless line, commands to it, a middle cut out."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from fcntl import ioctl
from typing import Any

import pytest

from tests.faults.witness import memory
from tests.mill import DEADLINE, Mill

OSC52 = "\\033]52;c;ZWNobyBwd25lZA==\\007"
HOSTILE = f"""command = '''
printf 'begin\\0\\0{OSC52}\\033[2J\\033[31mred\\033[0m\\233c1\\302\\2332J\\033]0;title\\007\\033c\\n'
head -c 100000000 /dev/zero | tr '\\0' x
printf '\\0{OSC52}'
head -c 3000000 /dev/zero
printf '\\nthe end\\n'
'''
"""
FORBIDDEN = (b"\x1b]", b"\x1b[2J", b"\x1bc", b"\x00", b"\x9bc1", b"\xc2\x9b", b"\x07")


@contextlib.contextmanager
def terminal(mill: Mill, *words: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A command on a terminal of 160×45; the process, and the terminal's other end."""
    master, slave = pty.openpty()
    ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 45, 160, 0, 0))
    env = {**mill.env, "TERM": "xterm-256color"}
    for size in ("COLUMNS", "LINES"):  # set in xdist's workers, and believed rather than the terminal
        env.pop(size, None)
    try:
        process = subprocess.Popen(
            mill.command(*words), env=env, cwd=mill.base, stdin=slave, stdout=slave, stderr=slave,
            start_new_session=True,
        )
    finally:
        os.close(slave)
    try:
        yield process, master
    finally:
        process.kill()
        process.wait()
        os.close(master)


def read(master: int, until: Callable[[bytes], object]) -> bytes:
    """What reached the terminal until that is true of all of it, or the program has left."""
    seen = bytearray()
    end = time.monotonic() + DEADLINE
    while not until(bytes(seen[-20_000:])):
        assert time.monotonic() < end, bytes(seen[-3000:])
        if not select.select([master], [], [], 1)[0]:
            continue
        try:
            seen += os.read(master, 1 << 16)
        except OSError:  # EIO: nobody writes to it any more
            break
    return bytes(seen)


def shown(*parts: bytes) -> Callable[[bytes], object]:
    """For `read`: whether each of these has come by now; a screen draws what does not change once."""
    left = set(parts)

    def over(tail: bytes) -> bool:
        left.difference_update([part for part in left if part in tail])
        return not left

    return over


@pytest.fixture
def hostile(turning: Mill) -> Mill:
    """A mill with a finished task that printed all of that."""
    turning.drop("hostile.toml", HOSTILE)
    assert turning.ended("hostile")["state"] == "done"
    return turning


def test_a_terminal_gets_no_command_of_a_log_and_the_reader_stays_small(hostile: Mill) -> None:
    with terminal(hostile, "log", "hostile") as (process, master):
        most = 0

        def over(tail: bytes) -> bool:
            nonlocal most
            with contextlib.suppress(AssertionError, FileNotFoundError):
                most = max(most, memory(process.pid))
            return b"the end" in tail

        seen = read(master, over)
        assert process.wait(DEADLINE) == 0
    assert seen.count(b"x") > 99_000_000
    assert b"begin^@^@^[]52;c;ZWNobyBwd25lZA==^G^[[2J\x1b[31mred\x1b[0m" in seen
    for command in FORBIDDEN:
        assert command not in seen
    print(f"grist log: {most / 1e6:.0f} MB at most")
    assert most < 48 << 20


def test_a_pipe_gets_the_bytes_as_they_are(hostile: Mill) -> None:
    said = hostile.grist("log", "-n", "1", "hostile")
    assert said == "the end\n"
    done = subprocess.run(hostile.command("log", "hostile"), env=hostile.env, capture_output=True, check=True)
    assert len(done.stdout) > 103_000_000
    assert b"\x1b]52;c;ZWNobyBwd25lZA==\x07" in done.stdout
    assert done.stdout.endswith(b"\nthe end\n")


def test_the_screens_open_such_a_log_safely_and_stay_small(hostile: Mill) -> None:
    with terminal(hostile, "tui") as (process, master):
        seen = read(master, shown(b"hostile", b"the end"))
        before = memory(process.pid)
        os.write(master, b"l")
        seen += read(master, shown(b"lines", b"the end"))
        for keys in (b"g", b"\x1b[6~" * 20, b"w", b"\x1b[6~" * 20, b"\x1b[C" * 50, b"G", b"/"):
            os.write(master, keys)
        seen += read(master, lambda tail: b"lower case finds both" in tail)
        os.write(master, b"xxx\r")
        seen += read(master, lambda tail: re.search(rb"/xxx \d+/", tail))  # found, and gone to
        os.write(master, b"g")
        seen += read(master, lambda tail: b"begin^@^@^[]52" in tail)
        after = memory(process.pid)
        os.write(master, b"q")
        seen += read(master, lambda _: process.poll() is not None)
        assert process.wait(DEADLINE) == 0
    print(f"screens: {before / 1e6:.0f} MB before, {after / 1e6:.0f} MB after")
    assert after - before < 24 << 20
    for command in (b"\x1b]52", b"\x1b]0;title", b"\x1bc", b"\x00", b"\x9bc1", b"\xc2\x9b"):
        assert command not in seen


# ── limits.log ────────────────────────────────────────────────────────────────────────────────────────────────────

LINES = 20_000
CHATTY = f"""command = '''
for i in $(seq 100000 {100_000 + LINES - 1}); do
    echo "<$i>"
    case $i in *000) sleep 0.1;; esac
done
while ! test -e go; do sleep 0.02; done; echo over
'''
[limits]
log = "64 KiB"
"""
TORRENT = """
import os
for number in range(400_000):
    os.write(1, b"<%06d>\\n" % number)
"""


def follow(mill: Mill, *words: str, **how: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(mill.command("log", "-f", *words), env=mill.env, stdout=subprocess.PIPE, **how)


def was_cut(mill: Mill) -> None:
    """Waits until the log is as short as its limit says."""
    path = mill.ask("log", task="chatty")["path"]
    mill.until(lambda: os.stat(path).st_size <= 64 << 10, "the log is longer than limits.log allows")


def test_a_follower_goes_on_where_the_middle_is_left_out(turning: Mill) -> None:
    turning.drop("chatty.toml", CHATTY)
    turning.running("chatty")
    with follow(turning, "chatty") as reader:
        assert reader.stdout is not None
        seen = b""
        last = b"<%d>\n" % (100_000 + LINES - 1)
        while last not in seen:
            part = os.read(reader.stdout.fileno(), 1 << 16)
            assert part, seen[-1000:]
            seen += part
        was_cut(turning)
        (turning.base / "go").touch()
        seen += reader.stdout.read()
        assert reader.wait(DEADLINE) == 0
    numbers = [int(number) for number in re.findall(rb"<(\d{6})>\n", seen)]
    assert numbers[0] == 100_000
    assert numbers == sorted(set(numbers)), "something came twice"
    assert len(numbers) == LINES or b"bytes left out here: limits.log = 65536]" in seen
    assert seen.endswith(b"over\n")
    print(f"{len(numbers)} of {LINES} lines seen")
    now = turning.grist("log", "chatty")
    assert len(now) <= 65_536 + 200
    assert now.count("bytes left out here") == 1


def test_a_follower_of_a_task_that_never_stops_printing_sees_nothing_twice(turning: Mill) -> None:
    (turning.base / "torrent.py").write_text(TORRENT)
    turning.drop("torrent.toml", f'command = ["{sys.executable}", "torrent.py"]\n[limits]\nlog = "64 KiB"\n')
    turning.running("torrent")
    with follow(turning, "torrent", stderr=subprocess.PIPE) as reader:
        seen, said = reader.communicate()
        assert reader.returncode == 0
    assert said == b""
    numbers = [int(number) for number in re.findall(rb"<(\d{6})>\n", seen)]
    assert numbers == sorted(set(numbers))
    assert len(numbers) == 400_000 or b"bytes left out here: limits.log = 65536]" in seen
    assert seen.endswith(b"<399999>\n")


def test_a_frozen_follower_goes_on_as_well(turning: Mill) -> None:
    turning.drop("chatty.toml", CHATTY.replace("'''\nfor i", "'''\nwhile ! test -e begin; do sleep 0.02; done; for i"))
    turning.running("chatty")
    with follow(turning, "chatty") as reader:
        assert reader.stdout is not None
        reader.send_signal(signal.SIGSTOP)
        (turning.base / "begin").touch()
        last = f"<{100_000 + LINES - 1}>"
        turning.until(lambda: last in turning.grist("log", "-n", "2", "chatty"), "the task does not print")
        was_cut(turning)
        reader.send_signal(signal.SIGCONT)
        (turning.base / "go").touch()
        seen = reader.stdout.read()
        assert reader.wait(DEADLINE) == 0
    numbers = [int(number) for number in re.findall(rb"<(\d{6})>\n", seen)]
    assert numbers == sorted(set(numbers))
    assert b"bytes left out here: limits.log = 65536]" in seen
    assert seen.endswith(b"over\n")
