"""Open jobs, as a program sees them over the socket: items come while the job runs, and ends go back."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gristmill.supervisor import hopper
from gristmill.supervisor.core.errors import GristError
from gristmill.supervisor.edge.client import Client
from tests.mill import DEADLINE, Mill

OPEN = """command = "echo {index} >> out; test {index} -ne 2"
[items]
open = "cancel"
[resources]
memory = "4 MiB"
"""


@pytest.fixture
def line(turning: Mill) -> Iterator[Client]:
    """A connection of the program that sends items."""
    with Client(turning.state / "socket") as made:
        yield made


def opened(line: Client, text: str = OPEN) -> int:
    number = int(line.ask("add", file="open.toml", text=text)["id"])
    line.ask("attach", job=number, awaits=[])
    return number


def heard(line: Client, job: int, count: int) -> dict[int, list[Any]]:
    """The ends of `count` tasks, by number."""
    found: dict[int, list[Any]] = {}
    while len(found) < count:
        for end in line.ask("ends", job=job, timeout=10)["ended"]:
            assert end[0] not in found
            found[end[0]] = end[1:]
    return found


def over(line: Client, job: int) -> dict[str, str]:
    """How the job ended, once it has."""
    while not (found := line.ask("ends", job=job, timeout=10)["over"]):
        pass
    return dict(found)


def test_items_run_as_they_come_and_the_job_ends_when_it_is_closed(turning: Mill, line: Client) -> None:
    job = opened(line)
    assert (turning.job("open")["items"], turning.job("open")["state"]) == (0, "queued")
    assert line.ask("append", job=job, first=0, count=2) == {"total": 2}
    assert {number: end[0] for number, end in heard(line, job, 2).items()} == {0: "done", 1: "done"}
    assert turning.job("open")["state"] == "running"
    assert line.ask("append", job=job, first=2, count=1) == {"total": 3}
    assert heard(line, job, 1)[2][:2] == ["failed", "exit 1"]
    line.ask("seal", job=job)
    assert over(line, job) == {"state": "failed", "reason": "1 of 3 items failed"}
    assert turning.ended("open")["items"] == 3
    with pytest.raises(GristError, match="takes no more items"):
        line.ask("append", job=job, first=3, count=1)


def test_an_append_that_is_said_twice_counts_once_and_one_with_a_gap_not_at_all(turning: Mill, line: Client) -> None:
    turning.grist("limit", "0")
    job = opened(line)
    for _ in range(2):
        assert line.ask("append", job=job, first=0, count=3) == {"total": 3}
    assert line.ask("append", job=job, first=1, count=4) == {"total": 5}
    assert line.ask("append", job=job, first=0, count=3) == {"total": 5}
    with pytest.raises(GristError, match="has 5 items: the next is item 5"):
        line.ask("append", job=job, first=6, count=1)
    assert turning.job("open")["items"] == 5


def test_what_waits_can_be_taken_back_and_what_runs_can_not(turning: Mill, line: Client) -> None:
    job = opened(line, OPEN.replace('"echo', '"test {index} -gt 1 || exec sleep 1000; echo'))
    line.ask("append", job=job, first=0, count=6)
    turning.running("open", 2)
    assert line.ask("withdraw", job=job, numbers=[0, 3, 5, 17]) == {"withdrawn": [3, 5]}
    assert line.ask("withdraw", job=job, numbers=[3]) == {"withdrawn": []}
    turning.grist("cancel", f"{job}/0", f"{job}/1")
    ends = heard(line, job, 6)
    assert [ends[number][0] for number in (0, 1, 3, 5)] == ["canceled"] * 4
    assert ends[3][1] == "canceled by its program"


def test_a_new_daemon_tells_what_ended_meanwhile(turning: Mill, line: Client) -> None:
    job = opened(line, OPEN.replace('"echo', f'"while ! test -e {turning.base}/gate; do sleep 0.02; done; echo'))
    line.ask("append", job=job, first=0, count=4)
    turning.running("open", 2)
    turning.kill()
    (turning.base / "gate").touch()
    out = turning.base / "out"
    turning.until(lambda: out.exists() and len(out.read_text().split()) == 2, "they did not go on")
    turning.start("--limit", "2")
    with Client(turning.state / "socket") as again:
        with pytest.raises(GristError, match="not attached"):
            again.ask("ends", job=job, timeout=0)
        assert again.ask("attach", job=job, awaits=[[0, 4]])["total"] == 4
        states = {number: end[0] for number, end in heard(again, job, 4).items()}
        assert states == {0: "done", 1: "done", 2: "failed", 3: "done"}
        again.ask("seal", job=job)
    assert turning.ended("open")["items_done"] == 3
    assert sorted(out.read_text().split()) == ["0", "1", "2", "3"]


def test_a_job_whose_program_ends_is_closed_and_the_rest_of_it_canceled(turning: Mill) -> None:
    program = f"""
import sys
from gristmill.supervisor.edge.client import Client
with Client({str(turning.state / "socket")!r}) as line:
    job = line.ask("add", file="open.toml", text={OPEN!r})["id"]
    line.ask("attach", job=job, awaits=[])
    print(line.ask("append", job=job, first=0, count=5), flush=True)
    sys.stdin.read()
"""
    turning.grist("limit", "0")
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as sender:
        assert sender.stdout is not None
        sender.stdout.readline()
        assert turning.job("open")["state"] == "queued"
        sender.send_signal(signal.SIGKILL)
        sender.wait(DEADLINE)
    killed = time.time()
    job = turning.ended("open")
    assert job["ended_at"] - killed < hopper.GRACE_S / 2  # it was seen to end, not missed after a while
    assert (job["state"], job["reason"]) == ("canceled", "the program that sent its items ended")
    assert {task["state"] for task in turning.tasks("open")} == {"canceled"}
    turning.until((turning.jobs / "failed" / "open.toml").exists, "its file was not filed")


def test_what_is_wrong_with_a_request_is_said(line: Client) -> None:
    job = opened(line)
    for words, request in {
        "count: a whole number": {"op": "append", "job": job, "first": 0, "count": -1},
        "numbers: a list of whole numbers": {"op": "withdraw", "job": job, "numbers": ["1"]},
        "awaits: a list": {"op": "attach", "job": job, "awaits": 3},
        "job 99 has ended": {"op": "append", "job": 99, "first": 0, "count": 1},
        "no job 99": {"op": "attach", "job": 99, "awaits": []},
    }.items():
        with pytest.raises(GristError, match=words):
            line.ask(str(request.pop("op")), **request)


def test_a_file_says_that_its_job_is_open_or_what_is_wrong_with_that(turning: Mill, tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(OPEN.replace('"cancel"', '"maybe"\nper_task = 4\ntotal = 3'))
    said = turning.grist("check", str(file), code=2)
    assert 'bad.toml:3:1: items.open is the text "maybe" – write "cancel" or "keep"' in said
    file.write_text(OPEN.replace('"cancel"', '"keep"\nper_task = 4'))
    assert "items that come one by one are tasks of their own" in turning.grist("check", str(file), code=2)
