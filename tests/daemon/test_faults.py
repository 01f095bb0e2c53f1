"""Bad input and faults: one clear line each, nothing lost, the daemon goes on."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.mill import DEADLINE, Mill
from tests.processes import alive, children, slay


def refusal(mill: Mill, name: str) -> str:
    """The reasons beside a rejected file, once it is there."""
    path = mill.jobs / "rejected" / f"{name}.error"
    mill.until(lambda: path.exists() and (mill.jobs / "rejected" / name).exists(), f"{name} was not rejected")
    return path.read_text()


def test_every_error_of_a_broken_file_is_named_with_line_column_and_mend(turning: Mill) -> None:
    turning.drop("bad.toml", 'command = "echo {lr}"\nprioritty = 3\ntimeout = "-5m"\n[retry]\nattempts = "many"\n')
    lines = refusal(turning, "bad.toml").splitlines()
    assert len(lines) == 4
    assert all(line.startswith("bad.toml:") and " – " in line for line in lines)
    assert any(line.startswith("bad.toml:2:1:") and "did you mean priority?" in line for line in lines)
    turning.drop("good.toml", 'command = "true"\n')
    assert turning.ended("good")["state"] == "done"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('command = "true"\nvenv = "no/such/venv"\n', "bad.toml:2:"),
        ('command = "true"\nconda = "no-such-env"\n', "bad.toml:2:"),
        ('command = ["no-such-program", "-x"]\n', "no-such-program"),
        ('command = "true"\ncwd = "no/such/folder"\n', "bad.toml:2:"),
        ("command = [\n", "bad.toml:"),
        ('command = "true"\n[grid]\na = {range = [0, 1_000_000]}\nb = {range = [0, 1_000_000]}\n', "bad.toml:"),
    ],
)
def test_what_can_not_run_is_rejected_at_once_and_not_failed_later(turning: Mill, text: str, words: str) -> None:
    turning.drop("bad.toml", text)
    reason = refusal(turning, "bad.toml")
    assert words in reason
    assert " – " in reason
    assert turning.ask("status")["jobs"] == []
    (turning.base / "bad.toml").write_text(text)
    assert words.removeprefix("bad.toml") in turning.grist("check", str(turning.base / "bad.toml"), code=2)


def test_a_symlink_is_rejected_and_what_it_points_to_is_left_alone(turning: Mill) -> None:
    target = turning.base / "target.toml"
    target.write_text('command = "touch ran"\n')
    (turning.jobs / "link.toml").symlink_to(target)
    assert "symbolic link" in refusal(turning, "link.toml")
    assert target.exists()
    assert not (turning.base / "ran").exists()


def test_a_file_that_is_being_written_is_taken_whole(turning: Mill) -> None:
    with open(turning.jobs / "slow.toml", "w") as writer:
        writer.write('command = "echo who')
        writer.flush()
        os.mkfifo(turning.jobs / "pipe.toml")  # comes without a hint, and so is looked at once it has held still
        refusal(turning, "pipe.toml")
        writer.write('le"\n')
    turning.ended("slow")
    assert turning.grist("log", "slow") == "whole\n"


def test_a_second_daemon_on_the_same_folder_is_refused_with_the_pid_of_the_first(turning: Mill) -> None:
    assert turning.process is not None
    words = turning.grist("daemon", "--allow-root", code=2)
    assert f"a daemon runs already for this folder (pid {turning.process.pid})" in words
    elsewhere = subprocess.run(
        [*turning.command("daemon")[:4], "--jobs", str(turning.jobs), "--state", str(turning.base / "other")],
        capture_output=True, text=True, env=turning.env, check=False,
    )
    assert elsewhere.returncode == 2
    assert "runs already" in elsewhere.stderr


def test_a_folder_that_is_missing_or_open_to_others_is_refused(mill: Mill) -> None:
    mill.jobs.chmod(0o777)
    assert "others may write to it" in mill.grist("daemon", "--allow-root", code=2)
    mill.jobs.chmod(0o755)
    mill.jobs.rmdir()
    assert "mkdir" in mill.grist("daemon", "--allow-root", code=2)


def test_a_folder_opened_to_others_or_taken_away_holds_the_intake_until_it_is_mended(turning: Mill) -> None:
    turning.jobs.chmod(0o777)
    turning.drop("first.toml", 'command = "true"\n')
    turning.until(lambda: "others may write" in turning.grist("status"), "the fault is not shown")
    assert turning.ask("status")["jobs"] == []
    turning.jobs.chmod(0o755)
    turning.ended("first")
    moved = turning.base / "moved"
    turning.jobs.rename(moved)
    turning.until(lambda: "No such file" in turning.grist("status"), "the fault is not shown")
    turning.jobs.mkdir(mode=0o755)
    turning.drop("second.toml", 'command = "true"\n')
    turning.ended("second")
    assert turning.status()["daemon"]["state"] == "ok"


def test_commands_without_a_daemon_say_how_to_start_one(mill: Mill) -> None:
    for words in (["status"], ["cancel", "1"], ["limit", "3"], ["wait"], ["log", "1"]):
        assert "no daemon runs for this jobs folder – start one: grist up" in mill.grist(*words, code=3)
    assert "left in" in mill.grist("add", "--", "touch", "made")
    mill.start()
    mill.until((mill.base / "made").exists, "the job added without a daemon did not run")


def test_a_full_disk_holds_dispatch_with_its_reason_and_is_left_by_itself(mill: Mill) -> None:
    free = os.statvfs(mill.base).f_bavail * os.statvfs(mill.base).f_frsize
    mill.start("--disk-reserve", f"{free * 4} B")
    mill.drop("job.toml", 'command = "true"\n')
    mill.until(lambda: mill.job("job"), "not accepted")
    daemon = mill.until(lambda: (d := mill.status()["daemon"])["state"] == "held" and d, "not held")
    assert daemon["reason"].startswith("disk: ")
    assert "free some space" in daemon["reason"]
    assert mill.job("job")["state"] == "queued"
    mill.kill(signal.SIGTERM)
    mill.start()
    assert mill.ended("job")["state"] == "done"


# ── the daemon goes, the tasks stay ───────────────────────────────────────────────────────────────────────────────


def test_a_killed_daemon_stops_no_task_and_the_next_one_takes_over(turning: Mill) -> None:
    turning.drop_claimed("six.toml", """command = "echo {i} >> begun; while ! test -e go; do sleep 0.05; done; exit {i}"
[grid]
i = { range = [0, 6] }
""")
    pids = {task["pid"] for task in turning.running("six", 2)}
    turning.kill()
    assert all(Path("/proc", str(pid)).exists() for pid in pids)
    turning.start("--limit", "2")
    assert {task["pid"] for task in turning.running("six", 2)} == pids
    assert any(worker.get("adopted") for worker in turning.status()["workers"])
    (turning.base / "go").touch()
    job = turning.ended("six")
    assert (job["items_done"], job["items_failed"]) == (1, 5)
    assert [task["exit_code"] for task in turning.tasks("six")] == list(range(6))
    assert [task["attempts"] for task in turning.tasks("six")] == [1] * 6
    assert sorted((turning.base / "begun").read_text().split()) == list("012345")


def test_a_task_that_ends_while_no_daemon_runs_is_known_afterwards(turning: Mill) -> None:
    turning.drop("late.toml", 'command = "while ! test -e go; do sleep 0.05; done; echo done > ended; exit 9"\n')
    turning.running("late")
    turning.kill()
    (turning.base / "go").touch()
    turning.until((turning.base / "ended").exists, "the task did not go on")
    turning.until(lambda: not any_worker_of(turning), "the worker did not leave")
    turning.start()
    turning.ended("late")
    (task,) = turning.tasks("late")
    assert (task["state"], task["exit_code"], task["attempts"]) == ("failed", 9, 1)


def any_worker_of(mill: Mill) -> bool:
    from gristmill.supervisor.edge.locks import holder

    return any(holder(path / "lock") is not None for path in (mill.state / "runs").iterdir())


def test_an_adopted_task_can_be_canceled(turning: Mill) -> None:
    turning.drop("long.toml", 'command = "exec sleep 1000"\n')
    (task,) = turning.running("long")
    turning.kill()
    turning.start()
    turning.running("long")
    turning.grist("cancel", "long")
    assert turning.ended("long")["state"] == "canceled"
    assert not Path("/proc", str(task["pid"])).exists()


def test_a_cancel_is_kept_even_if_the_daemon_is_killed_right_after(turning: Mill) -> None:
    turning.drop_claimed("deaf.toml", 'command = "trap \'\' TERM; while :; do sleep 0.1; done"\ngrace = "2s"\n'
                              "[items]\ntotal = 5\nper_task = 1\n")
    turning.running("deaf", 2)
    turning.grist("cancel", "deaf")
    turning.kill()
    turning.start()
    assert turning.ended("deaf")["state"] == "canceled"


def test_a_killed_worker_costs_only_its_own_task(turning: Mill) -> None:
    turning.drop_claimed(
        "two.toml", 'command = "while ! test -e go; do sleep 0.05; done"\n[items]\ntotal = 4\nper_task = 1\n'
    )
    turning.running("two", 2)
    victim = next(w for w in turning.status()["workers"] if w.get("task") == f"{turning.job('two')['id']}/0")
    parent = int(Path(f"/proc/{victim['pid']}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(parent, signal.SIGKILL)
    turning.until(lambda: "its worker was killed" in turning.tasks("two")[0]["reason"], "the loss is not shown")
    assert turning.tasks("two")[0]["state"] == "running"
    (turning.base / "go").touch()
    job = turning.ended("two")
    assert (job["state"], job["items_done"], job["items_failed"]) == ("failed", 3, 1)
    assert [task["state"] for task in turning.tasks("two")] == ["lost", "done", "done", "done"]


def test_a_killed_spawner_is_replaced_and_costs_nothing(turning: Mill) -> None:
    assert turning.process is not None
    turning.drop_claimed(
        "long.toml", 'command = "while ! test -e go; do sleep 0.05; done"\n[items]\ntotal = 4\nper_task = 1\n'
    )
    turning.running("long", 2)
    (spawner,) = children(turning.process.pid)
    os.kill(spawner, signal.SIGKILL)
    (turning.base / "go").touch()
    assert turning.ended("long")["items_done"] == 4


def living(daemon: int) -> int:
    """The spawner of a daemon; 0 while that which was killed is not replaced."""
    return next(filter(alive, children(daemon)), 0)


def test_killed_workers_and_spawner_cost_attempts_and_nothing_else(turning: Mill) -> None:
    turning.drop("tiny.toml", """command = "echo {index} >> out; sleep 0.005"
[items]
total = 600
per_task = 1
[retry]
attempts = 9
backoff = "10ms"
on = ["lost"]
""")
    for done in (50, 150, 250, 350):
        turning.until(functools.partial(far, turning, done, "tiny"), "no progress")
        assert turning.process is not None
        daemon = turning.process.pid
        spawner = turning.until(functools.partial(living, daemon), "there is no spawner")
        for pid in (spawner, *children(spawner)):
            slay(pid)
    job = turning.ended("tiny")
    assert (job["state"], job["items_done"]) == ("done", 600)
    assert set(map(int, (turning.base / "out").read_text().split())) == set(range(600))


def far(mill: Mill, done: int, name: str = "load") -> bool:
    return bool(mill.job(name).get("items_done", 0) >= done)


def test_many_kills_under_load_lose_nothing_and_run_nothing_twice(turning: Mill) -> None:
    turning.drop("load.toml", """command = ["/bin/sh", "-c", "echo {index} >> out; sleep 0.01"]
[items]
total = 400
per_task = 1
""")
    turning.until(lambda: turning.job("load"), "not accepted")
    for done in range(40, 360, 40):
        turning.until(functools.partial(far, turning, done), "no progress")
        turning.kill()
        turning.start("--limit", "4")
    job = turning.ended("load")
    assert (job["items_done"], job["items_failed"]) == (400, 0)
    assert sorted(map(int, (turning.base / "out").read_text().split())) == list(range(400))


def test_files_claimed_before_a_kill_are_taken_up_again(mill: Mill) -> None:
    from gristmill.supervisor.edge.folder import JobsFolder

    folder = JobsFolder(mill.jobs)
    folder.prepare()
    (mill.jobs / "early.toml").write_text('command = "true"\n')
    folder.claim([b"early.toml"], "1-1-1")
    mill.start()
    assert mill.ended("early")["state"] == "done"
    mill.until((mill.jobs / "done" / "early.toml").exists, "not filed")


def test_a_state_folder_of_other_jobs_is_refused(mill: Mill) -> None:
    mill.start()
    mill.kill(signal.SIGTERM)
    other = mill.base / "others"
    other.mkdir(mode=0o755)
    done = subprocess.run(
        [*mill.command("daemon")[:4], "--jobs", str(other), "--state", str(mill.state)],
        capture_output=True, text=True, env=mill.env, check=False,
    )
    assert done.returncode == 2
    assert "holds the state of" in done.stderr
    assert "Traceback" not in done.stderr


def test_shutdown_can_drain_or_kill(turning: Mill) -> None:
    turning.drop_claimed(
        "a.toml", 'command = "while ! test -e go; do sleep 0.05; done"\n[items]\ntotal = 5\nper_task = 1\n'
    )
    turning.running("a", 2)
    drain = turning.spawn("shutdown", "--drain", stdout=subprocess.PIPE)
    assert drain.stdout is not None
    with drain.stdout:
        assert "stops when 2 running tasks have ended" in drain.stdout.readline()
    turning.until(lambda: "draining" in turning.status()["daemon"]["reason"], "draining is not shown")
    (turning.base / "go").touch()
    assert drain.wait(DEADLINE) == 0
    assert turning.process is not None
    assert turning.process.wait(DEADLINE) == 0
    assert turning.process.stdout is not None
    turning.process.stdout.close()
    turning.start("--limit", "2")
    assert turning.ended("a")["items_done"] == 5
    turning.drop("b.toml", 'command = "exec sleep 1000"\n')
    (task,) = turning.running("b")
    turning.grist("shutdown", "--kill")
    assert not Path("/proc", str(task["pid"])).exists()
