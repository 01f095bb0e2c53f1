"""`grist up` and `grist demo` without a terminal: the daemon in the foreground, its progress as lines."""

from __future__ import annotations

import functools
import re
import signal
import subprocess

import pytest

from gristmill.supervisor.cli import launchpad
from gristmill.supervisor.cli.place import Place
from gristmill.supervisor.core.errors import GristError
from tests.mill import DEADLINE, Mill


def test_up_serves_shows_its_progress_and_ends_when_all_is_done(mill: Mill) -> None:
    mill.drop("two.toml", 'command = "exit {code}"\n[grid]\ncode = [0, 3]\n')
    said = mill.grist("up", "--until-done", code=1)
    assert f"ready: {mill.jobs}" in said
    assert "1 of 1 jobs, 2 of 2 items (1 failed)" in said
    assert "Traceback" not in said
    assert "no daemon runs" in mill.grist("status", code=3)


def test_up_makes_the_folder_and_has_nothing_to_do_in_an_empty_one(mill: Mill) -> None:
    mill.jobs.rmdir()
    said = mill.grist("up", "--until-done")
    assert f"made {mill.jobs}" in said
    assert "0 of 0 jobs" in said


def test_up_follows_a_daemon_that_runs_already_and_leaves_it_alone(turning: Mill) -> None:
    turning.drop("one.toml", 'command = "true"\n')
    turning.ended("one")
    assert "1 of 1 jobs" in turning.grist("up", "--until-done")
    assert turning.status()["daemon"]["state"] == "ok"


def test_up_ends_quietly_when_it_is_told_to(mill: Mill) -> None:
    process = mill.process = mill.spawn("up", stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline().startswith("ready: ")
        assert "0 of 0 jobs" in process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        process.stdout.read()
    assert process.wait(DEADLINE) == 0
    assert "Traceback" not in mill.errors.read_text()


def be_quick(mill: Mill) -> None:
    """Gives tasks the same niceness as everybody: these tests wait for a lot of work, on a machine that may be busy."""
    (mill.jobs / ".gristmill").mkdir()
    (mill.jobs / ".gristmill" / "settings.toml").write_text("nice = 0\n")


EXAMPLES = {"too_long_method": 1797, "grid_search": 60, "confusion": 1797, "commands": 9, "hello": 1,
            "first_split": 10, "then_count": 1, "array": 10, "notify": 1}  # fmt: skip
"""The items of each."""


def test_up_with_examples_drops_them_where_they_find_their_data(mill: Mill) -> None:
    be_quick(mill)
    process = mill.process = mill.spawn("up", "--examples", stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline().startswith("ready: ")
        for name, items in EXAMPLES.items():
            mill.until(functools.partial(mill.job, name), f"{name} is not taken")
            assert mill.job(name)["items"] == items
        mill.until(lambda: mill.job("too_long_method")["items_done"] >= 64, "no batch of the story is done")
        assert right(mill) >= 64
        mill.grist("shutdown", "--kill")
        process.stdout.read()
    assert process.wait(DEADLINE) == 0


def right(mill: Mill) -> int:
    """How many results of the story there are, each of its own image."""
    count, after = 0, -1
    while after is not None:
        page = mill.ask("results", job="too_long_method", after=after)
        assert all(row["result"]["index"] == row["item"] for row in page["rows"])
        count, after = count + len(page["rows"]), page["next"]
    return count


@pytest.mark.timeout(600)
def test_the_demo_runs_every_example_and_ends_with_what_it_measured(mill: Mill) -> None:
    be_quick(mill)
    done = subprocess.run(mill.command("demo"), env=mill.env, cwd=mill.base, capture_output=True, text=True,
                          timeout=580, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for name, items in EXAMPLES.items():
        (row,) = (line.split() for line in done.stdout.splitlines() if line.startswith(f"{name} "))
        assert (row[1], row[3]) == ("done", f"{items}/{items}")
    found = re.search(r"(\d+) items/s on one worker, (\d+) items/s with (\d+) workers?", done.stdout)
    assert found is not None
    assert all(int(number) > 0 for number in found.groups())
    mill.start()
    assert right(mill) == EXAMPLES["too_long_method"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_demo_that_is_interrupted_leaves_the_limit_as_it_was_and_nothing_that_runs(
    turning: Mill, number: signal.Signals
) -> None:
    turning.grist("limit", "3")
    demo = turning.spawn("demo", stdout=subprocess.PIPE)
    assert demo.stdout is not None
    with demo.stdout:
        turning.running("too_long_method")
        assert turning.status()["limit"]["workers"] == 1
        demo.send_signal(number)
        said = demo.stdout.read()
    assert demo.wait(DEADLINE) == 130
    assert "interrupted: " in said
    assert turning.ended("too_long_method")["state"] == "canceled"
    limit = turning.status()["limit"]
    assert (limit["workers"], limit["mode"]) == (3, "fixed")


def test_all_that_is_wrong_with_the_settings_is_said_by_whoever_starts_a_daemon(mill: Mill) -> None:
    (mill.jobs / ".gristmill").mkdir()
    (mill.jobs / ".gristmill" / "settings.toml").write_text("nise = 3\nlimit = 'many'\n")
    place = Place(mill.jobs, mill.state, mill.state / "socket")
    with pytest.raises(GristError) as refused:
        launchpad.start(place)
    first, second = str(refused.value).splitlines()
    assert "settings.toml:1:1: unknown key nise" in first
    assert "settings.toml:2:1: " in second


@pytest.mark.parametrize(("words", "said"), [
    (["a warning", "grist: one", "two"], "one\ntwo"), (["Traceback", "  here", "ValueError: odd"], "ValueError: odd"),
    ([], ""),
])  # fmt: skip
def test_what_a_daemon_said_that_did_not_start(words: list[str], said: str) -> None:
    assert launchpad.refusal(words) == said
