"""The daemon's socket among hostile, broken and too many clients: they get one line each, everybody else is served."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import resource
import select
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gristmill.supervisor.core.errors import GristError, NoDaemonError
from gristmill.supervisor.edge.client import Client
from tests.faults.witness import Witness, cpu_s, memory
from tests.mill import DEADLINE, Mill

STATUS = b'{"id": 1, "op": "status"}\n'
SOON_S = 0.5
"""Within this others are answered as a rule, whatever somebody does, also on a machine that is busy."""
NOBODY = 65534


@contextlib.contextmanager
def line(mill: Mill) -> Iterator[socket.socket]:
    """A bare connection."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(DEADLINE)
        sock.connect(str(mill.state / "socket"))
        yield sock


def answers(sock: socket.socket) -> list[dict[str, Any]]:
    """Every line until the daemon hangs up."""
    with sock.makefile("rb") as file:
        said = []
        with contextlib.suppress(ConnectionResetError):  # it hung up with some of ours unread
            while text := file.readline():
                said.append(json.loads(text))
        return said


def pid_of(mill: Mill) -> int:
    assert mill.process is not None
    return mill.process.pid


def crowd(mill: Mill, number: int, room: contextlib.ExitStack) -> list[socket.socket]:
    """So many clients that have connected and said nothing."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < number + 200:
        pytest.skip(f"this user may open only {hard} files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, number + 200), hard))
    room.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
    return [room.enter_context(line(mill)) for _ in range(number)]


# ── who may speak ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_socket_and_folder_are_for_their_user_alone_whatever_the_umask(mill: Mill) -> None:
    old = os.umask(0)
    try:
        mill.start()
    finally:
        os.umask(old)
    status = os.lstat(mill.state / "socket")
    assert stat.S_ISSOCK(status.st_mode)
    assert stat.S_IMODE(status.st_mode) == 0o600
    assert stat.S_IMODE(os.stat(mill.state).st_mode) == 0o700
    (mill.state / "socket").unlink()  # and the one that is bound anew is as private
    mill.until((mill.state / "socket").exists, "not bound anew")
    assert stat.S_IMODE(os.lstat(mill.state / "socket").st_mode) == 0o600


AS_NOBODY = """
import os, socket, sys
os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
sock = socket.socket(socket.AF_UNIX)
sock.settimeout(60)
try:
    sock.connect(sys.argv[1])
except PermissionError:
    sys.exit("no entrance")
try:
    sock.sendall(b'{"id": 1, "op": "shutdown"}\\n')
except BrokenPipeError:
    pass
data = b""
try:
    while part := sock.recv(4096):
        data += part
except ConnectionResetError:
    pass
print(data.decode())
"""


def test_another_user_finds_the_door_shut_and_behind_it_a_refusal(turning: Mill) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can speak as another user")
    command = [shutil.which("python3", path="/usr/bin:/bin") or sys.executable, "-I", "-c", AS_NOBODY]
    path = turning.state / "socket"
    folder = os.open(turning.state, os.O_PATH)  # a way to it for one whom the folders above would stop already
    try:
        through = f"/proc/self/fd/{folder}/socket"
        done = subprocess.run([*command, through], capture_output=True, text=True, pass_fds=[folder], check=False)
        assert done.stderr.strip() == "no entrance"
        path.chmod(0o666)
        turning.state.chmod(0o755)
        done = subprocess.run([*command, through], capture_output=True, text=True, pass_fds=[folder], check=False)
    finally:
        os.close(folder)
        turning.state.chmod(0o700)
    (said,) = done.stdout.splitlines()[:1] or [done.stderr]
    refused = json.loads(said)
    assert (refused["ok"], refused["error"]) == (False, "this daemon answers to its own user alone")
    assert turning.status()["daemon"]["state"] == "ok"


def test_the_daemon_listens_on_no_network_and_under_no_abstract_name(turning: Mill) -> None:
    mine = set()
    for entry in Path(f"/proc/{pid_of(turning)}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            mine.add(os.readlink(entry))
    inodes = {name[8:-1] for name in mine if name.startswith("socket:[")}
    assert inodes
    for kind in ("tcp", "tcp6", "udp", "udp6"):
        table = Path(f"/proc/{pid_of(turning)}/net/{kind}")
        if table.exists():
            assert inodes.isdisjoint(row.split()[9] for row in table.read_text().splitlines()[1:])
    rows = [row.split() for row in Path(f"/proc/{pid_of(turning)}/net/unix").read_text().splitlines()[1:]]
    names = {row[7] for row in rows if row[6] in inodes and len(row) > 7}
    assert names == {str(turning.state / "socket")}


# ── nonsense ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "nonsense",
    [b"\n", b"\0\n", b"\0" * 5000 + b"\n", b"GET / HTTP/1.1\r\n", b"\xff\xfe\xfd\n", b'{"op": "status"\n',
     b"1" * 5000 + b"\n", b'{"op": "\\ud800"}\n', b"[" * 500_000 + b"\n",
     b'{"id":' * 100_000 + b"\n", b'"' + b"x" * 900_000 + b'"\n',
     b'{"id": [[[]]], "op": {"a": 1}}\n', b'{"op": null}\n', b"null\n", b"[1]\n", b'{"op": ["status"]}\n'],
    ids=["nothing", "NUL", "NULs", "HTTP", "bytes", "half an object", "a number", "a surrogate", "deep lists",
         "deep objects", "a long word", "odd values", "no operation", "null", "a list", "a list of operations"],
)  # fmt: skip
def test_nonsense_gets_one_line_and_is_forgiven(turning: Mill, nonsense: bytes) -> None:
    with line(turning) as sock, sock.makefile("rb") as file:
        sock.sendall(nonsense)
        refused = json.loads(file.readline())
        assert refused["ok"] is False
        assert refused["error"]
        assert "could not do it" not in refused["error"]
        sock.sendall(STATUS)
        assert json.loads(file.readline())["ok"] is True
    assert "Traceback" not in (turning.state / "daemon.log").read_text()


VALUES: list[Any] = [
    None, True, False, -1, 0, 1, 2**31, 2**63, -(2**63), 10**30, 0.01, -0.5, 1e308, "", "1", "0", "-1", "1/0", "1/1",
    "1/", "/", "//", "1/x", "x/0", "last", "last/0", "no such", "a\0b", "\n", "\x1b]52;c;aGk=\x07", "ö" * 300, "9" * 30,
    "running", "lost", "done", [], ["1"], ["1/0"], [[]], [None], [{}], {}, {"a": {}}, [1, "1", None],
]  # fmt: skip
KEYS = ("job", "task", "offset", "limit", "state", "after", "ids", "failed", "workers", "file", "text", "timeout", "id")


def test_every_operation_answers_every_shape_with_one_line(turning: Mill, chance: random.Random, full: bool) -> None:
    turning.drop("known.toml", 'command = "echo hi"\n[grid]\na = [1, 2]\n')
    turning.ended("known")
    with pytest.raises(GristError, match="known: ") as refused:
        turning.ask("no such operation")
    table = str(refused.value).partition("known: ")[2].split(", ")
    assert {"status", "tasks", "log", "cancel", "add", "limit"} <= set(table)
    table.remove("shutdown")  # does what it says, whatever else is said
    wrong: dict[str, str] = {}
    with line(turning) as sock, sock.makefile("rb") as file:
        for number in range(20_000 if full else 1500):
            keys = chance.sample(KEYS, chance.randrange(5))
            request = {key: chance.choice(VALUES) for key in keys} | {"op": chance.choice(table), "id": number}
            if request["op"] == "changed" and request.get("timeout", 1) == 1:
                request["timeout"] = 0.001  # it waits as long as it is told
            sock.sendall(json.dumps(request).encode() + b"\n")
            while "ok" not in (answer := json.loads(file.readline())):
                assert answer["event"] in ("snapshot", "delta")
            assert answer["id"] == number
            assert answer["ok"] or answer["error"]
            if "could not do it" in answer.get("error", ""):
                wrong.setdefault(f"{request['op']}: {answer['error']}", json.dumps(request))
    assert not wrong, "\n".join(f"{error}\n    {request}" for error, request in wrong.items())


@pytest.mark.parametrize(("op", "key"), [
    ("tasks", "offset"), ("tasks", "limit"), ("job", "offset"), ("results", "after"),
])  # fmt: skip
def test_a_number_that_the_record_can_not_hold_is_refused_by_its_name(turning: Mill, op: str, key: str) -> None:
    turning.drop("known.toml", 'command = "echo hi"\n')
    turning.ended("known")
    for state in ("", "done"):
        with pytest.raises(GristError, match=f"^{key} is a whole number from -?[01] to 9223372036854775807$"):
            turning.ask(op, job="known", state=state, **{key: 2**63})
        turning.ask(op, job="known", state=state, **{key: 2**63 - 1})


@pytest.mark.alone
def test_a_line_of_256_mb_ends_with_a_word_and_costs_no_memory(turning: Mill) -> None:
    before, sent = memory(pid_of(turning)), 0
    with Witness(turning.state / "socket") as others, line(turning) as sock:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for _ in range(256):
                sent += sock.send(b"x" * (1 << 20))
        (said,) = answers(sock)
    assert sent < 8 << 20
    assert said["ok"] is False
    assert "1 MiB at most" in said["error"]
    assert memory(pid_of(turning)) - before < 8 << 20
    assert others.usual < SOON_S


def test_the_client_hears_why_its_line_was_too_long(turning: Mill) -> None:
    with Client(turning.state / "socket") as client, pytest.raises(GristError, match="1 MiB at most"):
        client.ask("add", file="x.toml", text="x" * (3 << 20))


def test_half_a_line_is_waited_for_and_one_left_half_harms_nobody(turning: Mill) -> None:
    with line(turning) as sock, sock.makefile("rb") as file:
        sock.sendall(STATUS[:10])
        with Witness(turning.state / "socket"):
            assert not select.select([sock], [], [], 0.3)[0]
        sock.sendall(STATUS[10:])
        assert json.loads(file.readline())["ok"] is True
    with line(turning) as sock:
        sock.sendall(b'{"op": "shutdown"')
        sock.shutdown(socket.SHUT_WR)
        (said,) = answers(sock)
        assert said["error"].startswith("not understood")
    assert turning.status()["daemon"]["state"] == "ok"


# ── too slow, too many ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.alone
def test_a_client_that_never_reads_is_answered_no_further_and_holds_nobody_up(turning: Mill) -> None:
    before = memory(pid_of(turning))
    with line(turning) as deaf, Witness(turning.state / "socket") as others:
        deaf.sendall(STATUS * 50)
        left = 400
        while left and select.select([], [deaf], [], 0.5)[1]:
            deaf.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                deaf.send(b'{"id": "%s"}\n' % (b"x" * 100_000))  # an answer has the id of its request
            left -= 1
        assert left, "it is heard out, however little it reads"
        turning.until(lambda: len(others.waits) > 50, "others are not served")
        used = cpu_s(pid_of(turning))
        turning.until(lambda: len(others.waits) > 100, "others are not served")
        assert cpu_s(pid_of(turning)) - used < 1.0
    assert memory(pid_of(turning)) - before < 16 << 20
    assert others.usual < SOON_S


EAGER = """
import socket, sys, threading
sock = socket.socket(socket.AF_UNIX)
sock.connect(sys.argv[1])
threading.Thread(target=sock.sendall, args=(b"\\n" * 300_000,), daemon=True).start()
left = 300_000
while left:
    left -= sock.recv(1 << 18).count(b"\\n")
"""


@pytest.mark.alone
def test_a_client_that_asks_without_end_does_not_keep_others_waiting(turning: Mill) -> None:
    with Witness(turning.state / "socket") as others:
        command = [sys.executable, "-c", EAGER, str(turning.state / "socket")]
        subprocess.run(command, check=True, timeout=3 * DEADLINE)
    assert others.usual < SOON_S


@pytest.mark.alone
def test_watchers_that_never_read_cost_little_and_hold_nobody_up(turning: Mill) -> None:
    before = memory(pid_of(turning))
    with contextlib.ExitStack() as room:
        deaf = crowd(turning, 20, room)
        for sock in deaf:
            sock.sendall(b'{"id": 1, "op": "subscribe"}\n')
        with Witness(turning.state / "socket") as others:
            for number in range(20):
                turning.drop(f"job{number}.toml", 'command = "true"\n')
            turning.until(
                lambda: sum(job["state"] == "done" for job in turning.ask("status")["jobs"]) == 20, "jobs are held up"
            )
    assert memory(pid_of(turning)) - before < 24 << 20
    assert others.usual < SOON_S


@pytest.mark.alone
def test_a_thousand_clients_at_once_are_all_answered(turning: Mill) -> None:
    with contextlib.ExitStack() as room:
        clients = crowd(turning, 1000, room)
        with Witness(turning.state / "socket") as others:
            for sock in clients:
                sock.sendall(STATUS)
            for sock in clients:
                with sock.makefile("rb") as file:
                    assert json.loads(file.readline())["ok"] is True
            turning.until(lambda: len(others.waits) > 20, "others are not served")
    assert others.median < SOON_S


@pytest.mark.alone
def test_a_thousand_silent_clients_give_way_to_those_who_ask(turning: Mill) -> None:
    resource.prlimit(pid_of(turning), resource.RLIMIT_NOFILE, (1024, 1024))
    with contextlib.ExitStack() as room:
        asker, watcher = crowd(turning, 2, room)
        ears = [room.enter_context(sock.makefile("rb")) for sock in (asker, watcher)]
        asker.sendall(STATUS)
        watcher.sendall(b'{"id": 1, "op": "subscribe"}\n')
        assert all(file.readline() for file in ears)
        with Witness(turning.state / "socket") as others:
            silent = crowd(turning, 1000, room)
            turning.until(lambda: len(others.waits) > 50, "others are not served")
        (said,) = answers(silent[0])
        assert "too many connections" in said["error"]
        for sock in (asker, silent[-1]):
            sock.sendall(STATUS)
            with sock.makefile("rb") as file:
                assert json.loads(file.readline())["ok"] is True
        news = (json.loads(text) for text in ears[1])
        assert any(update.get("event") == "delta" for update in itertools.islice(news, 9))
        turning.drop("job.toml", 'command = "true"\n')
        assert turning.ended("job")["state"] == "done"
    assert others.usual < SOON_S


def test_without_descriptors_the_silent_go_first_and_the_door_is_not_tried_without_end(turning: Mill) -> None:
    used = len(os.listdir(f"/proc/{pid_of(turning)}/fd"))
    resource.prlimit(pid_of(turning), resource.RLIMIT_NOFILE, (used + 4, 4096))
    with contextlib.ExitStack() as room:
        silent = crowd(turning, 60, room)
        with Witness(turning.state / "socket") as others:
            turning.until(lambda: len(others.waits) > 20, "others are not served")
        assert "too many connections" in answers(silent[0])[0]["error"]
    resource.prlimit(pid_of(turning), resource.RLIMIT_NOFILE, (used - 4, 4096))
    with socket.socket(socket.AF_UNIX) as outside:
        outside.settimeout(DEADLINE)
        outside.connect(str(turning.state / "socket"))
        outside.sendall(STATUS)
        before = cpu_s(pid_of(turning))
        assert not select.select([outside], [], [], 1.0)[0]
        assert cpu_s(pid_of(turning)) - before < 0.5
        resource.prlimit(pid_of(turning), resource.RLIMIT_NOFILE, (4096, 4096))
        with outside.makefile("rb") as file:
            assert json.loads(file.readline())["ok"] is True


# ── the socket's file ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_stale_socket_is_replaced(mill: Mill) -> None:
    mill.start()
    mill.kill()
    assert (mill.state / "socket").exists()
    with pytest.raises(NoDaemonError, match="no daemon runs"):
        mill.ask("status")
    mill.start()
    assert mill.status()["daemon"]["state"] == "ok"


@pytest.mark.parametrize("what", ["file", "folder", "link"])
def test_what_lies_in_the_sockets_place_is_left_alone_and_named(mill: Mill, what: str) -> None:
    mill.state.mkdir(mode=0o700)
    place = mill.state / "socket"
    if what == "file":
        place.write_text("mine")
    elif what == "folder":
        place.mkdir()
    else:
        place.symlink_to(mill.base / "elsewhere")
    said = mill.grist("daemon", "--allow-root", code=2)
    assert f"{place}: is in the way: it is no socket – move it elsewhere" in said
    assert "Traceback" not in said
    assert os.path.lexists(place)


def test_a_socket_that_a_cleaner_took_is_bound_anew(turning: Mill) -> None:
    (turning.state / "socket").unlink()
    turning.until(lambda: turning.ask("status"), "nobody can reach the daemon any more")
    assert "was taken away and is bound anew" in (turning.state / "daemon.log").read_text()
    (turning.state / "socket").unlink()
    (turning.state / "socket").write_text("mine")
    turning.until(lambda: "in the way" in (turning.state / "daemon.log").read_text(), "not said")
    assert (turning.state / "socket").read_text() == "mine"
    (turning.state / "socket").unlink()
    turning.until(lambda: turning.ask("status"), "nobody can reach the daemon any more")


def test_a_state_folder_too_long_for_a_socket_needs_a_runtime_folder_and_says_so(mill: Mill) -> None:
    mill.state = mill.base / ("long" * 30)
    mill.env.pop("XDG_RUNTIME_DIR", None)
    said = mill.grist("daemon", "--allow-root", code=2)
    assert "name another, shorter folder with --state" in said
    mill.env["XDG_RUNTIME_DIR"] = str(mill.base / "missing")
    said = mill.grist("daemon", "--allow-root", code=2)
    assert "No such file or directory" in said
    assert "Traceback" not in said
    with tempfile.TemporaryDirectory(prefix="grist-") as short:  # its name and a socket's must fit into 108 bytes
        runtime = Path(short)
        runtime.chmod(0o755)
        mill.env["XDG_RUNTIME_DIR"] = short
        assert "is not yours alone" in mill.grist("daemon", "--allow-root", code=2)
        runtime.chmod(0o700)
        mill.start()
        assert json.loads(mill.grist("status", "--json"))["daemon"]["state"] == "ok"
        mill.grist("shutdown")
        assert not list(runtime.iterdir())
