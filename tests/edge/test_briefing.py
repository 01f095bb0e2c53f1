"""What workers are told that all tasks of a job share."""

from __future__ import annotations

from pathlib import Path

from gristmill.supervisor.briefing import LASTS_S, Briefs
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.settings import Settings
from gristmill.supervisor.core.spec import Items, Spec

ENVIRON = {"PATH": "/bin", "HOME": "/home/ann"}
AS_USUAL, NICE = Settings(), Settings(nice=19)


def job(number: int) -> Job:
    spec = Spec(name="x", kind="command", command="true", cwd="/", items=Items(total=10, per_task=1))
    return Job(id=number, spec=spec, file="x.toml", submitted_at=0.0)


def test_what_is_shared_is_worked_out_once_in_a_moment() -> None:
    briefs, one = Briefs(ENVIRON, Path("/state")), job(1)
    first = briefs.of(one, one.take(0.0), AS_USUAL, 10.0)
    assert briefs.of(one, one.take(0.0), AS_USUAL, 10.0 + 0.9 * LASTS_S) is first
    assert briefs.of(one, one.take(0.0), AS_USUAL, 10.0 + LASTS_S) is not first  # its environment may be gone by now


def test_a_line_that_calls_a_function_of_the_users_bash_is_left_to_the_shell() -> None:
    spec = Spec(name="x", kind="command", command="fit 3", cwd="/", items=Items(total=10, per_task=1))
    one = Job(id=1, spec=spec, file="x.toml", submitted_at=0.0)
    task = one.take(0.0)
    assert Briefs(ENVIRON, Path("/state")).order(one, task)["argv"] == ("/bin/sh", "-c", "exec fit 3")
    exported = {**ENVIRON, "BASH_FUNC_fit%%": "() { echo $1; }"}
    assert Briefs(exported, Path("/state")).order(one, task)["argv"] == ("/bin/sh", "-c", "fit 3")


def test_another_job_and_other_settings_are_told_as_they_are() -> None:
    briefs, one, other = Briefs(ENVIRON, Path("/state")), job(1), job(2)
    assert briefs.of(one, one.take(0.0), AS_USUAL, 0.0)["nice"] == AS_USUAL.nice
    assert briefs.of(one, one.take(0.0), NICE, 0.0)["nice"] == NICE.nice
    assert briefs.of(other, other.take(0.0), NICE, 0.0)["logs"] == "/state/logs/2"
