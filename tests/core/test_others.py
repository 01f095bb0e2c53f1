"""Whose work the cores are wanted by: what others want beside ours, niced or not, and what our own workers wait for."""

from __future__ import annotations

import msgspec
import pytest

from gristmill.supervisor.core import governor
from gristmill.supervisor.core.governor import Binding, Decision, Reading, Running, State, Waiting
from gristmill.supervisor.core.governor.kinds import Kind
from gristmill.supervisor.core.governor.search import Search

GB = 1e9
CORES = 8.0
FOREIGN = 0.11 * CORES
"""Cores: somebody has a part in their being full."""


def told(at: float, running: tuple[Running, ...], **facts: object) -> Reading:
    """Eight full cores, all of them ours."""
    plain: dict[str, object] = {
        "at": at, "cores": CORES, "cpu_total": CORES, "cpu_ours": CORES, "memory_total": 64 * GB,
        "memory_available": 50 * GB, "busy": float(len(running)), "running": running,
        "waiting": (Waiting(kind="k#1", count=1000),),
    }
    return Reading(**{**plain, **facts})  # type: ignore[arg-type]  # a test's free hand


# ── what others want ──────────────────────────────────────────────────────────────────────────────────────────────


def beside(
    usual: float, batch: float = 0.0, ours: float | None = None, niced: bool = True, runnable: float | None = None
) -> Decision:
    """The decision a while after others came to eight workers of ours that want a core each: what is read of work of
    theirs at a usual niceness, of batch work, and of ours, which is all the rest; `niced` is what our tasks are."""
    state = State(
        at=0.0, limit=8, mix={"k#1": 1.0}, prevailing="k#1", kinds={"k#1": Kind(ends=20, wall=5.0, cpu=5.0, use=1.0)},
        search=Search(number=8, ramping=False, due={"up": 1e9, "down": 1e9, "trim": 1e9}),
    )
    used = CORES - usual - batch if ours is None else ours
    running = tuple(Running(task=f"1.{n}.1", kind="k#1", age=3.0, cpu=used / 8, memory=0.01 * GB) for n in range(8))
    for at in range(1, 61):
        state, decision = governor.decide(
            told(
                float(at), running, cpu_total=used + usual + batch, cpu_ours=used, cpu_nice=batch, niced=niced,
                runnable=runnable,
            ),
            state,
        )
    return decision


def others(decision: Decision) -> str:
    """What is said of others, "" where nothing is."""
    return next((allow.words for allow in decision.allows if allow.binding is Binding.OTHERS), "")


def test_where_ours_are_not_niced_usual_work_on_full_cores_wants_as_much_more_as_ours_does() -> None:
    decision = beside(4.0, niced=False)
    assert "their work wants 8.0 of 8 cores, 1.0 are ours" in others(decision)
    assert (decision.limit, decision.binding) == (1, Binding.OTHERS)


def test_how_much_more_is_told_by_the_threads_that_want_to_run_as_well() -> None:
    assert "their work wants 3.0 of 8 cores" in others(beside(1.0, niced=False, runnable=24.0))
    assert "their work wants 4.0 of 8 cores" in others(beside(1.0, niced=False, runnable=80.0)), "four times at most"


def test_where_ours_are_niced_usual_work_has_all_that_it_wants() -> None:
    decision = beside(4.0)
    assert "their work wants 4.0 of 8 cores, 3.8 are ours" in others(decision)
    assert (decision.limit, decision.binding) == (4, Binding.OTHERS)


def test_where_cores_are_idle_everybody_has_what_he_wants() -> None:
    """However many threads there are in the moment of the look."""
    for niced in (False, True):
        assert "their work wants 3.0 of 8 cores" in others(beside(3.0, ours=4.0, niced=niced, runnable=16.0))


def test_where_ours_are_not_niced_batch_work_gives_way_by_itself() -> None:
    decision = beside(0.0, batch=2.0, niced=False)
    assert (decision.limit, others(decision)) == (8, "")


def test_where_ours_are_niced_batch_work_has_its_half() -> None:
    decision = beside(0.0, batch=4.0)
    assert "niced work of other users wants 8.0 of 8 cores, 4.0 are ours" in others(decision)
    assert (decision.limit, decision.binding) == (4, Binding.OTHERS)


def test_where_ours_are_not_niced_usual_work_alone_is_yielded_to_beside_batch_work() -> None:
    decision = beside(1.5, batch=0.5, niced=False)
    assert "their work wants 2.0 of 8 cores, 5.9 are ours" in others(decision)
    assert decision.limit == 6


# ── what our own workers wait for ─────────────────────────────────────────────────────────────────────────────────


def learned(kind: Kind, theirs: float, *running: tuple[float, float | None, float]) -> float | None:
    """The use that is learned at once from tasks that are (so old, wanted so many cores, were awake for so long), while
    each gets a fifth of one of the full cores."""
    tasks = tuple(
        Running(task=f"1.{n}.1", kind="k#1", age=age, cpu=0.2, memory=0.01 * GB, wanted=wanted, awake=awake)
        for n, (age, wanted, awake) in enumerate(running)
    )
    state, _ = governor.decide(told(1.0, tasks, cpu_ours=CORES - theirs), State(kinds={"k#1": kind}))
    return state.kinds["k#1"].use


UNKNOWN = Kind()
SOME_ENDED = Kind(ends=2, wall=5.0, cpu=1.0)
BRIEF = Kind(ends=20, wall=19.0, cpu=4.0)
LASTING = Kind(ends=20, wall=20.0, cpu=4.0)


@pytest.mark.parametrize("kind", [UNKNOWN, SOME_ENDED, BRIEF, LASTING])
@pytest.mark.parametrize("age", [8.0, 12.0])
def test_beside_others_what_tasks_of_any_age_wait_for_is_what_they_want(kind: Kind, age: float) -> None:
    assert learned(kind, FOREIGN, (age, 0.7, 1.0)) == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("kind", "age", "use"),
    [
        (UNKNOWN, 9.9, 0.2), (UNKNOWN, 10.0, 0.7), (SOME_ENDED, 9.9, 0.2), (SOME_ENDED, 10.0, 0.7),
        (LASTING, 9.9, 0.2), (LASTING, 10.0, 0.7), (BRIEF, 9.9, 0.2), (BRIEF, 18.0, 0.2),
    ],
)
@pytest.mark.parametrize("theirs", [0.0, 0.09 * CORES])
def test_alone_it_is_learned_of_tasks_that_outlast_a_look(kind: Kind, age: float, use: float, theirs: float) -> None:
    """The others wait for each other alone, and nothing is taken from that."""
    assert learned(kind, theirs, (age, 0.7, 1.0)) == pytest.approx(use)


def test_alone_the_younger_do_not_speak_for_the_older() -> None:
    both = (12.0, 0.4, 1.0), (3.0, 1.0, 5.0)
    assert learned(UNKNOWN, 0.0, *both) == pytest.approx(0.4)
    assert learned(UNKNOWN, FOREIGN, *both) == pytest.approx((0.4 + 5.0) / 6)


@pytest.mark.parametrize("theirs", [0.0, FOREIGN])
def test_each_weighs_as_much_as_is_known_of_it(theirs: float) -> None:
    told_of = (12.0, 1.0, 0.1), (13.0, 0.2, 0.7)
    assert learned(UNKNOWN, theirs, *told_of) == pytest.approx(0.3)
    assert learned(UNKNOWN, theirs, *told_of, (14.0, None, 50.0)) == pytest.approx(0.3), "of whom nothing is told"


@pytest.mark.parametrize("theirs", [0.0, FOREIGN])
def test_too_high_a_guess_comes_down_on_full_cores_as_soon_as_it_is_told_what_tasks_want(theirs: float) -> None:
    guessed = msgspec.structs.replace(LASTING, use=0.9)
    assert learned(guessed, theirs, (12.0, None, 1.0)) == 0.9
    assert learned(guessed, theirs, (12.0, 0.4, 1.0)) == pytest.approx(0.9 + 0.3 * (0.4 - 0.9))


@pytest.mark.parametrize(("since", "seen"), [(None, False), (0.25, False), (1.0, True)])
def test_what_a_brief_look_does_not_see_of_our_own_brief_tasks_is_not_taken_for_other_peoples_work(
    since: float | None, seen: bool
) -> None:
    """A task of ours has just ended, of which a part is not counted yet; None: there was no look before."""
    running = (Running(task="1.1.1", kind="k#1", age=0.1, cpu=0.9, memory=0.01 * GB),)
    facts = {"cpu_total": 2.6, "cpu_ours": 1.0, "cpu_nice": 1.6, "busy": 1.0}
    _, decision = governor.decide(told(2.0, running, **facts), State(at=None if since is None else 2.0 - since))
    assert bool(others(decision)) is seen
