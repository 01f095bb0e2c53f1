"""The daemon's socket: who may speak, and that nonsense harms nobody else."""

from __future__ import annotations

import json
import os
import socket
import stat

import pytest

from tests.mill import DEADLINE, Mill


def talk(mill: Mill, *lines: bytes) -> list[dict[str, object]]:
    """What the daemon answers to raw lines on one connection, until it hangs up or has answered all."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(DEADLINE)
        sock.connect(str(mill.state / "socket"))
        with sock.makefile("rb") as file:
            answers = []
            for line in lines:
                sock.sendall(line)
                answer = file.readline()
                if not answer:
                    break
                answers.append(json.loads(answer))
            return answers


@pytest.mark.parametrize(
    "line",
    [b"nonsense\n", b"[1]\n", b"\xff\xfe\n", b"\n", b'{"op": "no such"}\n', b'{"op": ["status"]}\n',
     b'{"op": "tasks"}\n', b'{"op": "tasks", "job": {}, "offset": "x"}\n', b'{"op": "cancel", "ids": "x"}\n',
     b'{"op": "limit", "workers": 1e99}\n', b'{"op": "changed", "timeout": "x"}\n',
     b'{"op": "results", "job": "1", "after": null}\n'],
)  # fmt: skip
def test_nonsense_gets_one_line_and_the_connection_goes_on(turning: Mill, line: bytes) -> None:
    refused, status = talk(turning, line, b'{"id": 5, "op": "status"}\n')
    assert refused["ok"] is False
    assert refused["error"]
    assert (status["id"], status["ok"]) == (5, True)


def test_a_line_without_end_costs_its_connection_alone(turning: Mill) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(DEADLINE)
        sock.connect(str(turning.state / "socket"))
        try:
            for _ in range(64):
                sock.sendall(b"x" * (1 << 16))
            assert sock.recv(1) == b""
        except ConnectionError:
            pass  # hung up on while it was still talking
    assert turning.status()["daemon"]["state"] == "ok"


def test_socket_and_state_are_for_their_owner_alone(turning: Mill) -> None:
    assert stat.S_IMODE(os.lstat(turning.state / "socket").st_mode) == 0o600
    assert stat.S_IMODE(os.stat(turning.state).st_mode) == 0o700


def test_a_reader_that_does_not_read_holds_nobody_up(turning: Mill) -> None:
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.connect(str(turning.state / "socket"))
        deaf.sendall(b'{"id": 1, "op": "subscribe"}\n')
        for number in range(30):
            turning.drop(f"job{number}.toml", 'command = "true"\n')
        turning.until(
            lambda: sum(job["state"] == "done" for job in turning.ask("status")["jobs"]) == 30, "jobs are held up"
        )
