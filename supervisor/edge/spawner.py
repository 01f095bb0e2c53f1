"""The daemon's ends of the spawner and of its workers: sockets, and what comes over them.

Owns the spawner process and one `Line` for each worker; who gets which task is the pool's. The processes themselves
are the program in `supervisor/worker`, run by path in an interpreter without site-packages.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import json
import logging
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from gristmill.supervisor.core.tools import Function, Tools

log = logging.getLogger(__name__)

COLD = Path(__file__).parents[1] / "worker" / "cold.py"
FROM_CACHE = """
import sys, _frozen_importlib_external as files
del sys.argv[0]
__file__ = sys.argv[0]
exec(files.SourceFileLoader("__main__", sys.argv[0]).get_code("__main__"))
"""
"""Runs a file as `python FILE` does, but compiled beforehand where it can be: compiling it leaves the process, and each
worker that is forked from it, 2 MB larger."""
SPAWNER_LEAVES_S = 2.0
"""How long a spawner that was hung up on may take to leave."""
PACKET_MOST = 1 << 16
"""Bytes that the spawner takes at a time."""


def encode(message: dict[str, Any]) -> bytes:
    """A message in JSON. Odd bytes in names, which no UTF-8 can carry, go as escapes."""
    try:
        return msgspec.json.encode(message)
    except UnicodeEncodeError:
        return json.dumps(message, separators=(",", ":")).encode()


def decode(line: bytes) -> dict[str, Any]:
    """A message of JSON, odd bytes in names as they were."""
    try:
        message: dict[str, Any] = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        message = json.loads(line)
    return message


class Line(asyncio.Protocol):
    """The daemon's end of one worker's socket: JSON messages both ways, a batch in one write."""

    def __init__(self, hear: Callable[[list[dict[str, Any]]], None], lost: Callable[[], None]) -> None:
        self._hear, self._lost = hear, lost
        self._inbox = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a stream socket's transport is a Transport

    def data_received(self, data: bytes) -> None:
        *lines, self._inbox = (self._inbox + data).split(b"\n")
        self._hear([decode(line) for line in lines])

    def connection_lost(self, _: Exception | None) -> None:
        self._lost()

    def send(self, messages: list[dict[str, Any]]) -> None:
        """Sends them in one write; one to a worker that has just died goes nowhere, and `lost` follows."""
        if self._transport is not None:
            self._transport.write(b"".join(encode(message) + b"\n" for message in messages))

    def close(self) -> None:
        """Hangs up: the worker finishes what it has in hand, writes it down and leaves."""
        if self._transport is not None:
            self._transport.close()


@dataclass(frozen=True, slots=True)
class Calls:
    """What a spawner of calls has of its own: its tools, the functions that it looks for first, by number, the file
    that it runs, and one for what the import prints."""

    tools: Tools
    functions: Mapping[int, Function]
    program: Path
    words: Path


class Spawner:
    """The process that workers are forked from; `tell` hears of forks, failures and ends, `gone` of its death."""

    def __init__(
        self, log: int, tell: Callable[[dict[str, Any]], None], gone: Callable[[str], None],
        calls: Calls | None = None,
    ) -> None:
        """With `calls` it is one for those, in a user's interpreter."""
        self._log, self._tell, self._gone = log, tell, gone
        self._calls = calls
        self._files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]  # what tasks get, whatever the daemon takes
        self.since = 0.0
        """When the process was started, by the monotonic clock."""
        self._process: subprocess.Popen[bytes] | None = None
        self._sock: socket.socket | None = None
        self._unsent: collections.deque[tuple[bytes, list[socket.socket]]] = collections.deque()
        """Packets for which its socket had no room as yet, each with the sockets that go along."""

    @property
    def pid(self) -> int | None:
        """The spawner's pid while it lives."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Starts the process; raises OSError when the machine has no room for it."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with contextlib.ExitStack() as open_files:
            open_files.enter_context(theirs)
            try:
                self._process = self._spawn(theirs.fileno(), open_files)
            except OSError:
                ours.close()
                raise
        _give_files(self._process.pid, self._files)
        ours.setblocking(False)
        self._sock = ours
        self.since = time.monotonic()
        asyncio.get_running_loop().add_reader(ours.fileno(), self._read)

    def _spawn(self, sock: int, open_files: contextlib.ExitStack) -> subprocess.Popen[bytes]:
        """Starts the process on this socket. One for calls finds on its standard input what it is to import."""
        if self._calls is None:
            command = [sys.executable, "-I", "-S", "-c", FROM_CACHE, os.fspath(COLD), str(sock)]
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, cwd="/", pass_fds=[sock],
                start_new_session=True,
            )
        tools = self._calls.tools
        setup = {
            "module": tools.module, "preload": tools.preload, "cwd": tools.cwd, "path": tools.path,
            "find": [_question(*asked) for asked in self._calls.functions.items()],
            "daemon": os.getpid(), "output": self._log,
        }
        given = open_files.enter_context(os.fdopen(os.memfd_create("setup", os.MFD_CLOEXEC), "r+b"))
        given.write(json.dumps(setup).encode())
        given.seek(0)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        words = os.open(self._calls.words, flags, 0o600)
        open_files.callback(os.close, words)
        return subprocess.Popen(
            [tools.python, os.fspath(self._calls.program), str(sock)], stdin=given, stdout=words, stderr=words,
            cwd=tools.cwd, env=dict(tools.env), pass_fds=[sock, self._log], start_new_session=True,
        )

    def fork(self, run: Path, slot: int, group: str = "") -> socket.socket:
        """Asks for a worker on run folder `run`, in the control group at path `group` unless that is empty; returns the
        daemon's end of its socket. OSError when it can't."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        try:
            self._post({"run": os.fspath(run), "slot": slot, "group": group}, theirs)
        except OSError:
            ours.close()
            theirs.close()
            raise
        return ours

    def find(self, number: int, function: Function) -> None:
        """Asks one for calls, which has imported its module, for one more function; it answers by that number. OSError
        when it can't be asked."""
        self._post({"find": _question(number, function)})

    def guard(self, processes: list[tuple[int, int]]) -> None:
        """Names the processes, by pid and start, that it is to let go on when we are gone: stopped ones without a
        worker. OSError when it can't be told."""
        self._post({"guard": processes})

    def _post(self, message: dict[str, Any], *along: socket.socket) -> None:
        """Sends a message, and sockets along with it, which are closed here then; OSError when it can't be sent. A
        socket that is full is no refusal: hundreds of workers may be asked for at once, and it is read as they come."""
        if self._sock is None:
            raise OSError("the spawner is not running")
        packet = json.dumps(message, separators=(",", ":")).encode()
        if len(packet) > PACKET_MOST:
            raise OSError("a message is too long for the spawner")
        if self._unsent or not self._send(packet, along):
            self._unsent.append((packet, list(along)))
            asyncio.get_running_loop().add_writer(self._sock.fileno(), self._catch_up)

    def _send(self, packet: bytes, along: Iterable[socket.socket]) -> bool:
        """Sends a packet; False when there is no room for it now."""
        assert self._sock is not None
        try:
            socket.send_fds(self._sock, [packet], [one.fileno() for one in along])
        except BlockingIOError:
            return False
        for one in along:
            one.close()
        return True

    def _catch_up(self) -> None:
        """There is room in the socket again."""
        assert self._sock is not None
        while self._unsent:
            packet, along = self._unsent[0]
            try:
                if not self._send(packet, along):
                    return
            except OSError as error:  # it has just died, which its end of the socket tells; or the kernel has no memory
                log.warning("the spawner can't be asked for a worker: %s", error)
                for one in along:
                    one.close()  # its line is lost, and what was to run there goes elsewhere
            self._unsent.popleft()
        asyncio.get_running_loop().remove_writer(self._sock.fileno())

    def _hang_up(self) -> None:
        """Workers that were asked for and are not there never come: their lines are lost with their sockets."""
        sock, self._sock = self._sock, None
        if sock is None:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(sock.fileno())
        loop.remove_writer(sock.fileno())
        sock.close()
        while self._unsent:
            for one in self._unsent.popleft()[1]:
                one.close()

    def close(self) -> str:
        """Hangs up; the spawner leaves, its workers stay until they have finished. Returns how it ended."""
        self._hang_up()
        process, self._process = self._process, None
        if process is None:
            return "was not running"
        try:
            code = process.wait(SPAWNER_LEAVES_S)
        except subprocess.TimeoutExpired:
            process.kill()  # it holds no task, only its own duty
            code = process.wait()
        return f"signal {-code}" if code < 0 else f"exit {code}"

    def end(self) -> None:
        """Ends one for calls at once, whatever its module does now, and does not wait; its workers stay."""
        self._hang_up()
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            asyncio.get_running_loop().run_in_executor(None, process.wait)  # it may have much memory to give back

    def _read(self) -> None:
        if self._sock is None:
            return
        try:
            packet = self._sock.recv(PACKET_MOST)
        except BlockingIOError:
            return
        except OSError:
            packet = b""
        if packet:
            self._tell(json.loads(packet))
            return
        self._gone(self.close())


def _give_files(pid: int, files: int) -> None:
    """Lets a process open so many files, or as many as it may by now: nobody raises what was lowered for him."""
    most = resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]
    endless = resource.RLIM_INFINITY
    fits = most == endless or endless != files <= most
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (files if fits else most, most))


def _question(number: int, function: Function) -> dict[str, Any]:
    return {"n": number, "call": function.target, "places": function.places, "names": function.names}
