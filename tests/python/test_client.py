"""`Client`: job files, questions and results for programs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gristmill import Client, GristError, JobFileError
from tests.mill import DEADLINE, Mill

SQUARES = {
    "name": "squares",
    "command": "echo {x}; echo '{{\"square\": '$(({x} * {x}))'}}' > $GRIST_RESULT",
    "grid": {"x": [1, 2, 3]},
}


def test_a_job_as_a_dict_runs_and_gives_its_results_back(client: Client) -> None:
    number = client.submit(SQUARES)
    job = client.wait(number, DEADLINE)
    assert (job.id, job.name, job.state, job.items_done) == (number, "squares", "done", 3)
    assert [row["result"] for row in client.results(number)] == [{"square": 1}, {"square": 4}, {"square": 9}]
    assert list(client.table("squares")) == [{"item": n, "x": n + 1, "square": (n + 1) ** 2} for n in range(3)]
    assert client.log("squares/2") == "3\n"
    assert [(task.number, task.params) for task in client.tasks(job)] == [(n, {"x": n + 1}) for n in range(3)]
    assert [job.name for job in client.status()] == ["squares"]


def test_a_job_as_a_file_and_as_text(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "hello.sh"
    file.write_text("#!/bin/sh\necho hello\n")
    with client:
        client.wait(client.submit(file), DEADLINE)
        client.wait(client.submit('command = "echo again"', name="text"), DEADLINE)
    assert (client.log("hello"), client.log("text")) == ("hello\n", "again\n")


def test_what_is_wrong_is_said_with_its_place_and_mend(client: Client, tmp_path: Path) -> None:
    with pytest.raises(GristError, match=r"bad\.toml:2:1: unknown key timout – did you mean timeout\?"):
        client.submit('command = "true"\ntimout = 3', name="bad")
    with pytest.raises(GristError, match=r"none\.toml: can't be read"):
        client.submit(tmp_path / "none.toml")
    with pytest.raises(TypeError, match=r"grid\.x: a object can't stand in a job file"):
        client.submit({"command": "true", "grid": {"x": object()}})
    with pytest.raises(GristError, match="no job 'nothing'"):
        client.job("nothing")
    assert issubclass(JobFileError, GristError)


def test_waiting_ends_in_time(client: Client) -> None:
    number = client.submit({"command": "exec sleep 1000"}, name="long")
    with pytest.raises(TimeoutError, match="long"):
        client.wait(number, 0.2)
    assert "canceled" in client.cancel(number)
    assert client.wait("long", DEADLINE).state == "canceled"


def test_waiting_outlives_the_daemon(turning: Mill, client: Client, tmp_path: Path) -> None:
    number = client.submit({"command": f"while ! test -e {tmp_path}/gate; do sleep 0.05; done"}, name="gated")
    turning.running("gated")
    program = """
import sys
from gristmill import Client
client = Client(*sys.argv[1:3])
print("waiting", flush=True)
print(client.wait(sys.argv[3], 60).state)
"""
    words = [sys.executable, "-c", program, str(turning.jobs), str(turning.state), str(number)]
    waiting = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert waiting.stdout is not None and waiting.stdout.readline() == "waiting\n"
    turning.kill()
    turning.start("--limit", "2")
    (tmp_path / "gate").touch()
    out, _ = waiting.communicate(timeout=DEADLINE)
    assert out == "done\n"


def test_what_failed_can_be_tried_again(client: Client, tmp_path: Path) -> None:
    number = client.submit({"command": f"test -e {tmp_path}/there"}, name="picky")
    assert client.wait(number, DEADLINE).state == "failed"
    assert [task.state for task in client.tasks(number, "failed")] == ["failed"]
    (tmp_path / "there").touch()
    assert "1 task queued again" in client.retry(number, failed=True)
    assert client.wait(number, DEADLINE).state == "done"
