"""What an executor of ours does beyond the standard one: it can be seen, outlives daemons, leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent import futures
from pathlib import Path

import pytest

from gristmill import Client, Executor, NoDaemonError, WorkerDiedError
from tests.mill import DEADLINE, Mill
from tests.python import work
from tests.python.conftest import CLAIMED
from tests.python.test_semantics import wait_until


def test_without_a_daemon_the_mend_is_said(mill: Mill) -> None:
    with pytest.raises(NoDaemonError, match="start one: grist up"):
        Client(mill.jobs, mill.state)
    with pytest.raises(NoDaemonError, match="start one: grist up"):
        Executor(mill.jobs)


def test_calls_are_tasks_of_a_job_that_can_be_seen(turning: Mill, client: Client) -> None:
    with Executor(client, name="mine", max_workers=1, job=CLAIMED) as calls:
        pid = calls.submit(work.say, "hello").result(DEADLINE)
        with pytest.raises(work.OddError):
            calls.submit(work.fail, "odd").result(DEADLINE)
        assert pid != os.getpid()
        job = turning.job("mine")
        assert (job["id"], job["state"], job["items"], job["items_done"]) == (calls.job, "running", 2, 1)
        assert turning.grist("log", "mine/0") == "hello\nhello again\n"
        assert "OddError" in turning.grist("log", "mine/1")
        assert [task["state"] for task in turning.tasks("mine")] == ["done", "failed"]
    assert turning.ended("mine")["state"] == "failed"


def test_a_function_of_main_a_lambda_and_an_inner_one_go_by_value(turning: Mill, client: Client) -> None:
    factor = 3
    with Executor(client, job=CLAIMED) as calls:
        assert list(calls.map(lambda x: factor * x, range(4), timeout=DEADLINE)) == [0, 3, 6, 9]
    script = turning.base / "program.py"
    script.write_text(f"""
from gristmill import Client, Executor
class Point:
    def __init__(self, x): self.x = x
def double(point): return Point(2 * point.x)
if __name__ == "__main__":
    with Executor(Client({str(turning.jobs)!r}, {str(turning.state)!r}), job={CLAIMED!r}) as calls:
        found = calls.submit(double, Point(4)).result(60)
        print(found.x, isinstance(found, Point))
""")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert (done.stdout, done.stderr) == ("8 True\n", "")


def test_workers_find_the_modules_that_the_program_finds(turning: Mill, tmp_path: Path) -> None:
    folder = tmp_path / "library"
    folder.mkdir()
    (folder / "mine.py").write_text("WORD = 'found'\ndef word():\n    return WORD\n")
    script = tmp_path / "program.py"
    script.write_text(f"""
import sys
sys.path.insert(0, {str(folder)!r})
import mine
from gristmill import Client, Executor
with Executor(Client({str(turning.jobs)!r}, {str(turning.state)!r}), job={CLAIMED!r}) as calls:
    print(calls.submit(mine.word).result(60))
""")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert (done.stdout, done.stderr) == ("found\n", "")


def test_calls_see_the_variables_of_their_program_and_no_job_file_does(
    turning: Mill, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["TOKEN", "MODE", "GRIST_JOBS", "OMP_NUM_THREADS", "ODD"]
    for name, value in zip(names, ["s3cret", "own", "/nowhere", "7", "a\nb=c"], strict=True):
        monkeypatch.setenv(name, value)
    with Executor(client, name="mine", job={**CLAIMED, "env": {"MODE": "job's"}}) as calls:
        found = [calls.submit(work.variable, name) for name in names]
        assert [future.result(DEADLINE) for future in found] == ["s3cret", "job's", None, "1", "a\nb=c"]
    monkeypatch.setenv("TOKEN", "another")
    with Executor(client, job={**CLAIMED, "env": {"MODE": "job's"}}) as calls:
        assert calls.submit(work.variable, "TOKEN").result(DEADLINE) == "another"
    turning.ended("mine")
    told = b"".join(path.read_bytes() for path in turning.jobs.rglob("*.toml"))
    assert b"mine" in told and b"s3cret" not in told
    assert not list((turning.state / "calls").rglob("greeting"))


def test_calls_share_processes_or_have_one_each(client: Client) -> None:
    with Executor(client, max_workers=1, job=CLAIMED) as calls:
        assert len({calls.submit(os.getpid).result(DEADLINE) for _ in range(4)}) == 1
    with Executor(client, max_workers=1, job={**CLAIMED, "isolation": "fork"}) as calls:
        assert len({calls.submit(os.getpid).result(DEADLINE) for _ in range(4)}) == 4


def test_a_worker_that_dies_says_how_and_concerns_its_call_alone(calls: Executor) -> None:
    futures_ = [calls.submit(work.die), calls.submit(work.vanish, 5), calls.submit(work.same, 1)]
    with pytest.raises(WorkerDiedError, match="SIGKILL"):
        futures_[0].result(DEADLINE)
    with pytest.raises(WorkerDiedError, match="exit 5"):
        futures_[1].result(DEADLINE)
    assert futures_[2].result(DEADLINE) == 1


def test_a_call_that_runs_too_long_is_a_timeout(client: Client, tmp_path: Path) -> None:
    with Executor(client, job={**CLAIMED, "timeout": "300ms", "grace": "100ms"}) as calls:
        future = calls.submit(work.wait_for, str(tmp_path / "never"))
        with pytest.raises(TimeoutError, match=r"ran longer than 0\.3 s"):
            future.result(DEADLINE)
        assert future.done()


def test_a_killed_daemon_loses_no_call_and_runs_none_twice(turning: Mill, calls: Executor, tmp_path: Path) -> None:
    gate, ran = tmp_path / "gate", tmp_path / "ran"
    held = calls.submit(work.wait_for, str(gate))
    wait_until(held.running)
    before = [calls.submit(work.append, str(ran), str(n)) for n in range(10)]
    turning.kill()
    meanwhile = [calls.submit(work.append, str(ran), str(n)) for n in range(10, 15)]
    gate.touch()
    turning.start("--limit", "2")
    after = [calls.submit(work.append, str(ran), str(n)) for n in range(15, 20)]
    assert held.result(DEADLINE) == str(gate)
    assert [future.result(DEADLINE) for future in [*before, *meanwhile, *after]] == [str(n) for n in range(20)]
    assert sorted(map(int, ran.read_text().split())) == list(range(20))


def test_a_daemon_that_is_gone_for_good_breaks_what_waits(turning: Mill, tmp_path: Path) -> None:
    client = Client(turning.jobs, turning.state, patience=0.5)
    calls = Executor(client, job=CLAIMED)
    future = calls.submit(work.wait_for, str(tmp_path / "gate"))
    wait_until(future.running)
    turning.kill()
    with pytest.raises(futures.BrokenExecutor, match="the daemon went away"):
        future.result(DEADLINE)
    with pytest.raises(futures.BrokenExecutor):
        calls.submit(work.same, 1)
    calls.shutdown()
    (tmp_path / "gate").touch()
    turning.start("--limit", "2")


def test_a_job_that_its_user_cancels_cancels_its_calls(turning: Mill, client: Client, tmp_path: Path) -> None:
    calls = Executor(client, name="mine", max_workers=1, job=CLAIMED)
    runs = calls.submit(work.wait_for, str(tmp_path / "gate"))
    wait_until(runs.running)
    waits = calls.submit(work.same, 1)
    turning.grist("cancel", "mine")
    assert futures.wait([runs, waits], DEADLINE).not_done == set()
    assert waits.cancelled()
    with pytest.raises(futures.CancelledError, match="canceled"):
        runs.result()
    with pytest.raises(futures.BrokenExecutor, match="canceled by the user"):
        calls.submit(work.same, 2)
    calls.shutdown()


PROGRAM = """
import sys
from gristmill import Client, Executor
from tests.python import work
calls = Executor(Client(sys.argv[1], sys.argv[2]), name="mine", max_workers=1, detach={detach},
                 job={{"resources": {{"memory": "30 MB"}}}})
calls.submit(work.wait_for, sys.argv[3])
for number in range(3):
    calls.submit(work.append, sys.argv[4], str(number))
print("submitted", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("detach", [False, True])
def test_when_its_program_is_killed_what_runs_goes_on_and_what_waits_goes_or_stays(
    turning: Mill, tmp_path: Path, detach: bool
) -> None:
    gate, ran = tmp_path / "gate", tmp_path / "ran"
    ran.touch()
    words = [str(turning.jobs), str(turning.state), str(gate), str(ran)]
    root = Path(__file__).parents[2]
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(detach=detach), *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True, cwd=root, env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert program.stdin is not None and program.stdout is not None
    with program.stdin, program.stdout:
        assert program.stdout.readline() == "submitted\n"
        turning.running("mine")
        turning.until(lambda: turning.job("mine")["items"] == 4, "not all were sent")
        program.send_signal(signal.SIGKILL)
        program.wait(DEADLINE)
    gone = "ended" if detach else "canceled"
    turning.until(lambda: detach or turning.job("mine")["state"] == "canceled", f"{gone}: the job was not closed")
    gate.touch()
    job = turning.ended("mine")
    states = [task["state"] for task in turning.tasks("mine")]
    if detach:
        assert (job["state"], states) == ("done", ["done"] * 4)
        assert ran.read_text().split() == ["0", "1", "2"]
    else:
        assert (job["state"], states) == ("canceled", ["done"] + ["canceled"] * 3)
        assert "the program that sent its items ended" in job["reason"]
        assert ran.read_text() == ""


def test_a_program_that_ends_waits_for_its_calls(turning: Mill, tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(f"""
from gristmill import Client, Executor
from tests.python import work
calls = Executor(Client({str(turning.jobs)!r}, {str(turning.state)!r}), name="mine", job={CLAIMED!r})
calls.submit(work.append, {str(tmp_path / "ran")!r}, "here").add_done_callback(lambda done: print(done.result()))
""")
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=DEADLINE, check=False, cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert (done.stdout, done.stderr) == ("here\n", "")
    assert turning.ended("mine")["state"] == "done"


def test_an_executor_that_nobody_holds_closes_its_job(turning: Mill, client: Client) -> None:
    Executor(client, name="mine", job=CLAIMED).submit(work.same, 1).result(DEADLINE)
    assert turning.ended("mine")["state"] == "done"


def test_files_go_when_they_are_not_needed_any_more(turning: Mill, client: Client) -> None:
    big = bytes(1 << 20)
    with Executor(client, job=CLAIMED) as calls:
        folder = turning.state / "calls" / str(calls.job)
        assert calls.submit(work.size, big).result(DEADLINE) == (1 << 20, big)
        wait_until(lambda: [path.name for path in folder.iterdir()] == ["greeting"])
    assert not folder.exists()


def test_a_thousand_small_calls_go_out_in_few_requests(turning: Mill, client: Client) -> None:
    turning.grist("limit", "0")
    with Executor(client, job=CLAIMED) as calls:
        waiting = [calls.submit(work.same, n) for n in range(1000)]
        turning.until(lambda: client.job(calls.job).items == 1000, "not all were sent")
        parcels = list((turning.state / "calls" / str(calls.job)).iterdir())
        assert len(parcels) < 100
        calls.shutdown(wait=False, cancel_futures=True)
        assert all(future.cancelled() for future in waiting)
