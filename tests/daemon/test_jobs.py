"""Drop a file, and it runs: the main job, end to end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

import gristmill
from gristmill.supervisor.cli import results
from gristmill.supervisor.core.errors import GristError
from gristmill.supervisor.edge.client import Client
from tests.mill import DEADLINE, Mill


def test_a_dropped_grid_runs_every_point_once_and_its_file_moves_on(turning: Mill) -> None:
    turning.drop("sweep.toml", """command = "echo {layers} {word} >> out"
[grid]
layers = [1, 2]
word = ["a b", "$HOME"]
""")
    job = turning.ended("sweep")
    assert (job["state"], job["items_done"], job["items_failed"]) == ("done", 4, 0)
    lines = (turning.base / "out").read_text().splitlines()
    assert sorted(lines) == ["1 $HOME", "1 a b", "2 $HOME", "2 a b"]
    turning.until((turning.jobs / "done" / "sweep.toml").exists, "the file was not moved to done/")
    assert not (turning.jobs / "sweep.toml").exists()


def test_mini_batches_go_to_standard_input_as_in_the_original_program(turning: Mill) -> None:
    turning.drop("batch.toml", """command = ["tee", "-a", "out"]
stdin = "{start},{count}\\n"
[items]
total = 10
per_task = 4
""")
    assert turning.ended("batch")["items_done"] == 10
    assert sorted((turning.base / "out").read_text().split()) == ["0,4", "4,4", "8,2"]


def test_failures_are_told_apart_and_the_job_fails(turning: Mill) -> None:
    turning.drop("mixed.toml", """command = "echo last words; eval {what}"
[grid]
what = ["exit 0", "exit 137", "kill -9 $$"]
""")
    job = turning.ended("mixed")
    assert (job["state"], job["items_done"], job["items_failed"]) == ("failed", 1, 2)
    fates = [(t["state"], t["exit_code"], t["signal"], t["reason"]) for t in turning.tasks("mixed")]
    assert fates == [("done", 0, None, ""), ("failed", 137, None, "exit 137"), ("failed", None, 9, "SIGKILL")]
    assert turning.grist("log", "mixed/1") == "last words\n"
    turning.until((turning.jobs / "failed" / "mixed.toml").exists, "the file was not moved to failed/")


def test_a_line_that_is_one_program_is_one_process_whose_end_is_told_as_it_was(turning: Mill) -> None:
    code = "import os; print(open(f'/proc/{os.getppid()}/comm').read(), flush=True); os.kill(os.getpid(), 11)"
    turning.drop("lines.txt", f'python3 -c "{code}" > out\npython3 -c "{code}"; exit $?\n')
    turning.ended("lines")
    one, two = turning.tasks("lines")
    assert (one["signal"], one["exit_code"], one["reason"]) == (11, None, "SIGSEGV")
    assert (turning.base / "out").read_text().startswith("grist-")  # its parent is the worker
    assert (two["signal"], two["exit_code"]) == (None, 139)  # here the shell has more to do, and tells of its child


def test_a_script_runs_as_it_was_when_it_was_dropped(turning: Mill) -> None:
    turning.grist("limit", "0")
    turning.drop("job.sh", "#!/bin/sh\n#GRIST name = \"frozen\"\necho as dropped $GRIST_TASK\n")
    turning.until(lambda: turning.job("frozen"), "not accepted")
    (turning.jobs / "accepted" / "job.sh").write_text("echo edited\n")
    turning.grist("limit", "1")
    turning.ended("frozen")
    assert turning.grist("log", "frozen") == "as dropped 0\n"


def test_a_list_of_commands_runs_each_line(turning: Mill) -> None:
    turning.drop("list.txt", "#GRIST name = \"three\"\necho one\n\n# a comment\necho $((1 + 1))\nexit 3\n")
    job = turning.ended("three")
    assert (job["items"], job["items_done"], job["items_failed"]) == (3, 2, 1)
    assert turning.grist("log", "three/1") == "2\n"


def test_a_python_script_imports_what_lies_beside_the_jobs_folder(turning: Mill) -> None:
    (turning.base / "helper.py").write_text("WORD = 'found'\n")
    turning.drop("job.py", "import helper\nprint(helper.WORD)\n")
    assert turning.ended("job")["state"] == "done", turning.grist("log", "job")
    assert turning.grist("log", "job") == "found\n"


def test_a_million_items_are_accepted_at_once_in_a_few_rows(turning: Mill) -> None:
    turning.grist("limit", "0")
    turning.drop("million.toml", 'command = "true {index}"\n[items]\ntotal = 1_000_000\nper_task = 1\n')
    job = turning.until(lambda: turning.job("million"), "not accepted")
    assert (job["items"], job["tasks"], job["state"]) == (1_000_000, 1_000_000, "queued")
    page = turning.ask("tasks", job="million", offset=999_999, limit=5)
    assert [task["id"] for task in page["tasks"]] == [f"{job['id']}/999999"]
    assert (turning.state / "queue.db").stat().st_size < 200_000
    turning.grist("cancel", "million")
    assert turning.ended("million")["state"] == "canceled"


def test_a_failing_task_is_tried_again_after_its_backoff(turning: Mill) -> None:
    turning.drop("flaky.toml", """command = "echo try $GRIST_ATTEMPT; test $GRIST_ATTEMPT = 3"
[retry]
attempts = 3
backoff = "200ms"
""")
    job = turning.ended("flaky")
    assert job["state"] == "done"
    (task,) = turning.tasks("flaky")
    assert task["attempts"] == 3
    assert turning.grist("log", "flaky") == "try 3\n"


def test_a_timeout_ends_the_whole_tree(turning: Mill) -> None:
    turning.drop("slow.toml", 'command = "sleep 1000 & echo $!; wait"\ntimeout = "5s"\ngrace = "1s"\n')
    assert turning.ended("slow")["state"] == "failed"
    (task,) = turning.tasks("slow")
    assert (task["state"], task["reason"]) == ("timeout", "ran longer than 5 s")
    assert not Path("/proc", turning.grist("log", "slow").strip()).exists()


def test_results_come_back_one_an_item_with_their_parameters(turning: Mill) -> None:
    turning.drop("give.toml", """command = "echo '{{\\"loss\\": {x}}}' > $GRIST_RESULT"\n[grid]\nx = [1, 2]\n""")
    turning.drop("span.toml", 'command = "echo [10,11] > $GRIST_RESULT"\n[items]\ntotal = 4\nper_task = 2\n')
    turning.ended("give")
    turning.ended("span")
    rows = [json.loads(line) for line in turning.grist("results", "give", "--json").splitlines()]
    number = turning.job("give")["id"]
    assert rows == [
        {"item": 0, "params": {"x": 1}, "task": f"{number}/0", "result": {"loss": 1}},
        {"item": 1, "params": {"x": 2}, "task": f"{number}/1", "result": {"loss": 2}},
    ]
    assert turning.grist("results", "give", "--csv").splitlines() == ["item,x,loss", "0,1,1", "1,2,2"]
    assert [json.loads(line)["result"] for line in turning.grist("results", "span").splitlines()] == [10, 11, 10, 11]
    assert list((turning.state / "results").rglob("*.json")) == []


def test_results_by_name_are_of_one_job_though_another_of_that_name_comes_meanwhile(turning: Mill) -> None:
    long = '''command = "(head -c 400000 /dev/zero | tr '\\\\0' ' '; echo 7) > $GRIST_RESULT"\n'''
    turning.drop_claimed("sweep.toml", long + "[items]\ntotal = 2\n")  # a page each
    turning.ended("sweep")
    with Client(turning.state / "socket") as client:
        rows = results.fetch(client, "sweep")
        others = gristmill.Client(turning.jobs, turning.state).results("sweep")
        assert next(rows)["item"] == next(others)["item"] == 0
        turning.drop_claimed("sweep.toml", 'command = "echo 7 > $GRIST_RESULT"\n[items]\ntotal = 2\n')
        turning.until(lambda: turning.job("sweep")["id"] == 2 and turning.ended("sweep"), "the second one does not run")
        assert [row["task"] for row in rows] == [row["task"] for row in others] == ["1/1"]


@pytest.mark.parametrize("made", ["mkfifo $GRIST_RESULT", "ln -s /dev/zero $GRIST_RESULT", "mkdir $GRIST_RESULT"])
def test_a_result_that_is_no_plain_file_is_told_and_holds_nobody_up(made: str, turning: Mill) -> None:
    turning.drop("odd.toml", f'command = "{made}"\n')
    job = turning.ended("odd")
    (task,) = turning.tasks("odd")
    assert (job["state"], task["state"]) == ("done", "done")
    assert "its result is no plain file; kept as " in task["reason"]
    turning.drop("next.toml", 'command = "true"\n')
    assert turning.ended("next")["state"] == "done"


def test_a_task_that_removes_its_run_folder_is_lost_and_not_run_again(turning: Mill) -> None:
    turning.drop_claimed("rm.toml", """command = "echo once >> ran; rm -rf $(dirname $GRIST_RESULT); echo words"\n""")
    job = turning.ended("rm")
    (task,) = turning.tasks("rm")
    assert (job["state"], task["state"]) == ("failed", "lost")
    assert task["reason"] == "its run folder was removed by somebody; how it ended is not known"
    assert (turning.base / "ran").read_text() == "once\n"
    turning.drop("next.toml", 'command = "true"\n')
    assert turning.ended("next")["state"] == "done"


def test_a_result_that_is_no_json_is_kept_and_named(turning: Mill) -> None:
    deep = """python3 -c \\"print('[' * 400000 + ']' * 400000)\\" """
    turning.drop("odd.toml", f'command = "if test {{index}} = 0; then echo nonsense; else {deep}; fi > $GRIST_RESULT"\n'
                             "[items]\ntotal = 2\n")  # fmt: skip
    assert turning.ended("odd")["state"] == "done"
    for task in turning.tasks("odd"):
        assert "its result is not JSON" in task["reason"]


def test_tasks_see_what_they_are_told_about_themselves(turning: Mill) -> None:
    turning.drop("env.toml", """command = "env"
env = { MINE = "{batch}" }
[grid]
batch = [16]
[resources]
cpus = 2
""")
    job = turning.ended("env")
    seen = dict(line.split("=", 1) for line in turning.grist("log", "env").splitlines() if "=" in line)
    wanted = {
        "GRIST_JOB": str(job["id"]), "GRIST_TASK": "0", "GRIST_START": "0", "GRIST_COUNT": "1", "GRIST_ATTEMPT": "1",
        "GRIST_BATCH": "16", "MINE": "16", "OMP_NUM_THREADS": "2", "SLURM_ARRAY_TASK_ID": "0", "PYTHONUNBUFFERED": "1",
    }
    assert {key: seen.get(key) for key in wanted} == wanted
    assert os.path.exists(seen["GRIST_PYTHON"])
    assert json.loads(seen["GRIST_PARAMS"]) == {"batch": 16}


def test_cancel_ends_what_runs_and_starts_nothing_more(turning: Mill) -> None:
    turning.drop_claimed("long.toml", 'command = "exec sleep 1000"\n[items]\ntotal = 50\nper_task = 1\n')
    pids = [task["pid"] for task in turning.running("long", 2)]
    assert "canceled, 2 running tasks told to end" in turning.grist("cancel", "long")
    job = turning.ended("long")
    assert job["state"] == "canceled"
    assert not any(Path("/proc", str(pid)).exists() for pid in pids)
    states = [task["state"] for task in turning.tasks("long")]
    assert states == ["canceled"] * 50


def test_one_task_can_be_canceled_waiting_or_running(turning: Mill) -> None:
    turning.drop_claimed(
        "some.toml", 'command = "test {index} -gt 1 || exec sleep 1000"\n[items]\ntotal = 5\nper_task = 1\n'
    )
    turning.running("some", 2)
    turning.grist("cancel", "some/4")
    turning.grist("cancel", "some/0", "some/1")
    turning.ended("some")
    assert [t["state"] for t in turning.tasks("some")] == ["canceled", "canceled", "done", "done", "canceled"]
    assert "has ended already" in turning.grist("cancel", "some", code=2)
    assert "1 task queued again, 1 to do" in turning.grist("retry", "some/4")  # though no attempt of it was made
    turning.until(lambda: turning.tasks("some")[4]["state"] == "done", "what never began is not retried")


def test_tasks_are_listed_by_state_with_their_number_waiting_ones_too(turning: Mill) -> None:
    turning.drop_claimed("mix.toml", 'command = "test {index} -gt 3 && exec sleep 1000; exit {index}"\n'
                             "[items]\ntotal = 300\nper_task = 1\n")
    turning.running("mix")

    def listed(state: str, offset: int = 0, limit: int = 100) -> tuple[int, list[int]]:
        page = turning.ask("tasks", job="mix", state=state, offset=offset, limit=limit)
        return page["total"], [task["number"] for task in page["tasks"]]

    turning.until(lambda: listed("running") == (2, [4, 5]), "those before have not ended")
    assert listed("done") == (1, [0])
    assert listed("failed") == (3, [1, 2, 3])
    assert listed("failed", 1, 1) == (3, [2])
    assert listed("queued", 290) == (294, [296, 297, 298, 299])
    turning.grist("cancel", "mix/299")
    assert listed("queued", 290) == (293, [296, 297, 298])
    assert listed("canceled") == (1, [299])
    assert "mix/1" not in turning.grist("status", "mix", "--state", "done")
    turning.grist("cancel", "mix")
    turning.ended("mix")
    assert listed("canceled")[0] == 296


def test_a_selector_that_means_nothing_is_told_so(turning: Mill) -> None:
    turning.drop("one.toml", 'command = "true"\n')
    turning.ended("one")
    for which in ("2", "two", "9" * 30, "²", "", "1/1", "1/x", "1/²", "one/-1", "../one"):
        assert "no job" in (said := turning.grist("cancel", which, code=2)) or "no task" in said
    assert "has ended already" in turning.grist("cancel", "one/0", code=2)


def test_a_job_over_the_socket_has_a_plain_name(turning: Mill) -> None:
    for file in ("../x.toml", "/tmp/x.toml", ".x.toml", "x", "x.md", ""):
        with pytest.raises(GristError, match="no name of a job file"):
            turning.ask("add", file=file, text='command = "true"\n')


def test_retry_runs_the_failed_tasks_again_and_the_file_comes_back(turning: Mill) -> None:
    turning.drop("again.toml", 'command = "test {index} = 0 || test -e mended"\n[items]\ntotal = 3\nper_task = 1\n')
    assert turning.ended("again")["items_failed"] == 2
    turning.until((turning.jobs / "failed" / "again.toml").exists, "not in failed/")
    (turning.base / "mended").touch()
    assert "2 tasks queued again, 2 to do" in turning.grist("retry", "again")
    turning.until(lambda: turning.job("again")["state"] == "done", "the retried job is not done")
    assert [t["attempts"] for t in turning.tasks("again")] == [1, 1, 1]
    turning.until((turning.jobs / "done" / "again.toml").exists, "not in done/")


def test_priority_decides_what_runs_first(turning: Mill) -> None:
    turning.grist("limit", "0")
    for name, priority in (("low", -5), ("high", 5), ("plain", 0)):
        turning.drop(f"{name}.toml", f'command = "echo {name} >> order"\npriority = {priority}\n')
    turning.until(lambda: len(turning.ask("status")["jobs"]) == 3, "not all accepted")
    turning.grist("limit", "1")
    for name in ("low", "high", "plain"):
        turning.ended(name)
    assert (turning.base / "order").read_text().split() == ["high", "plain", "low"]


def test_no_more_tasks_run_at_once_than_the_limit_and_the_jobs_own(turning: Mill) -> None:
    turning.grist("limit", "4")
    turning.drop_claimed(
        "wide.toml", 'command = "exec sleep 1000"\n[items]\ntotal = 9\nper_task = 1\n[limits]\nworkers = 3\n'
    )
    turning.drop("rest.toml", 'command = "exec sleep 1000"\n[items]\ntotal = 9\nper_task = 1\n')
    turning.running("wide", 2)
    turning.running("rest", 1)
    turning.until(lambda: turning.status()["limit"]["busy"] == 4, "four are not busy")
    assert len(turning.running("wide")) + len(turning.running("rest")) == 4
    assert len(turning.running("wide")) <= 3
    turning.grist("cancel", "wide", "rest")


def test_tasks_of_a_tiny_class_are_sent_ahead_and_still_run_once_each(turning: Mill) -> None:
    turning.drop("tiny.toml", """command = ["/bin/sh", "-c", "echo {index} >> out"]
[items]
total = 600
per_task = 1
""")
    assert turning.ended("tiny")["items_done"] == 600
    assert sorted(map(int, (turning.base / "out").read_text().split())) == list(range(600))


def test_add_runs_a_command_where_the_user_stands(turning: Mill) -> None:
    words = turning.grist("add", "--name", "greet", "--", "echo", "a {brace}", "b  b")
    assert words.startswith("job ")
    turning.ended("greet")
    assert turning.grist("log", "greet") == "a {brace} b  b\n"
    turning.grist("add", "--name", "shell", "--", "pwd | tr a-z A-Z")
    turning.ended("shell")
    assert turning.grist("log", "shell") == str(turning.base).upper() + "\n"


def test_wait_says_how_it_ended_by_its_exit_code(turning: Mill) -> None:
    turning.drop("good.toml", 'command = "true"\n')
    turning.drop("bad.toml", 'command = "false"\n')
    turning.until(lambda: len(turning.ask("status")["jobs"]) == 2, "not accepted")
    assert "job" in turning.grist("wait", "good")
    assert "1 of 1 items failed" in turning.grist("wait", "bad", code=1)
    turning.drop("long.toml", 'command = "exec sleep 1000"\n')
    turning.running("long")
    turning.grist("wait", "long", "--timeout", "0.2", code=4)
    turning.grist("wait", "nobody", code=2)
    turning.grist("cancel", "long")


def test_log_follows_a_task_until_it_ends(turning: Mill) -> None:
    turning.drop("talk.toml", 'command = "echo one; while ! test -e go; do sleep 0.05; done; echo two"\n')
    turning.running("talk")
    follower = turning.spawn("log", "-f", "talk", stdout=subprocess.PIPE)
    assert follower.stdout is not None
    with follower.stdout:
        assert follower.stdout.readline() == "one\n"
        (turning.base / "go").touch()
        assert follower.stdout.readline() == "two\n"
        assert follower.stdout.read() == ""
    assert follower.wait(DEADLINE) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_task_of_the_daemons_group_does_not_hear_its_signals(turning: Mill, number: int) -> None:
    turning.drop("long.toml", 'command = "exec sleep 1000"\n')
    (task,) = turning.running("long")
    assert turning.process is not None
    turning.process.send_signal(number)
    if number == signal.SIGHUP:
        assert turning.status()["daemon"]["state"] == "ok"
    else:
        turning.kill(number)
        turning.start()
    assert [t["pid"] for t in turning.running("long")] or task
    assert Path("/proc", str(task["pid"])).exists()
    turning.grist("cancel", "long")
    turning.ended("long")


def test_a_rejected_file_is_told_in_the_status_until_it_comes_again_and_is_good(turning: Mill) -> None:
    turning.drop("sweep.toml", 'command = "echo {x}"\ntimout = 3\n')
    said = turning.until(lambda: "rejected: " in (text := turning.grist("status")) and text, "nothing is told")
    assert "sweep.toml:" in said and "1 more (see jobs/rejected/sweep.toml.error)" in said
    turning.drop("other.toml", 'command = "true"\n')
    turning.ended("other")
    assert "rejected: " in turning.grist("status")
    turning.drop("sweep.toml", 'command = "echo"\n')
    turning.ended("sweep")
    assert "rejected: " not in turning.grist("status")
