"""What is kept of ended jobs: by size the newest, and whatever somebody still goes by."""

from __future__ import annotations

from gristmill.supervisor.core import retention
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.spec import Gate, Spec


def waiting(number: int, **gate: tuple[int | str, ...]) -> Job:
    spec = Spec(name=f"job-{number}", kind="command", command="true", cwd="/", gate=Gate(**gate))  # type: ignore[arg-type]
    return Job(id=number, spec=spec, file="x.toml", submitted_at=1.0, claim=str(number))


def test_past_the_size_the_longest_ended_go_and_with_the_first_of_them_all_older_ones() -> None:
    newest_first = [(5, "e"), (4, "d"), (3, "c"), (2, "b"), (1, "a")]
    sizes = {5: 40, 4: 50, 3: 20, 2: 0, 1: 1}
    assert list(retention.beyond(newest_first, sizes.__getitem__, 90)) == newest_first[2:]
    assert list(retention.beyond(newest_first, sizes.__getitem__, 111)) == []
    assert list(retention.beyond(newest_first, sizes.__getitem__, 0)) == newest_first


def test_nothing_is_weighed_that_need_not_be() -> None:
    weighed: list[int] = []

    def weigh(job: int) -> int:
        weighed.append(job)
        return 200

    assert list(retention.beyond([(3, "c"), (2, "b"), (1, "a")], weigh, 300)) == [(2, "b"), (1, "a")]
    assert weighed == [3, 2]


def test_a_job_that_another_waits_for_stays_by_id_and_by_name() -> None:
    needs = retention.needed([waiting(8, after=("prepare",)), waiting(9, after_any=(3,), after_failed=("fetch",))])
    assert retention.why_kept(1, "prepare", needs, ()) == "job 8 waits for it"
    assert retention.why_kept(3, "other", needs, ()) == "job 9 waits for it"
    assert retention.why_kept(2, "fetch", needs, ()) == "job 9 waits for it"
    assert retention.why_kept(4, "other", needs, ()) == ""


def test_a_job_that_has_begun_waits_for_nobody_any_more() -> None:
    begun = waiting(8, after=("prepare",))
    begun.started_at = 2.0
    assert retention.needed([begun]) == {}


def test_a_job_of_which_a_program_has_yet_to_hear_stays() -> None:
    assert retention.why_kept(4, "x", {}, [4]) == "its program has yet to hear of it"
