"""What `grist explain` prints, from literal answers of the daemon."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from gristmill.supervisor.cli.explain import bar, show_why
from gristmill.supervisor.cli.fate import Known, explain, waiting
from gristmill.supervisor.core.answers import (
    AllowView,
    KindView,
    PointView,
    WhyView,
)
from gristmill.supervisor.core.protocol import DecisionView, JobView, LimitView, TaskView
from gristmill.supervisor.core.task import JobState, TaskState

NOW = 1_800_000_000.0
STATES = sorted({*map(str, TaskState), "paused"})
OSC52 = "\x1b]52;c;aGk=\x07"


def told(view: Any) -> dict[str, Any]:
    """A view as it comes over the socket."""
    found: dict[str, Any] = json.loads(msgspec.json.encode(view))
    return found


def why(**fields: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "limit": LimitView(workers=6, busy=6, reason="memory: 2.1 GB needed, 1.9 GB free"), "binding": "memory",
        "allows": [AllowView(binding="cpu", workers=8, words="71 % of 8 cores"),
                   AllowView(binding="memory", workers=6, words="84 % taken"), AllowView(binding="user")],
        "curve": [PointView(workers=n, rate=n / 8, error=0.05) for n in (2, 4, 6, 8)],
        "trying": "+1 in 20 s", "paused": ["4/18"],
        "kinds": [KindView(name="sweep", command="python train.py", tasks_seen=12, wall_s=3.4, cores=0.95,
                           memory_peak_bytes=1 << 30, memory_need_bytes=2 << 30, running=6, waiting=23),
                  KindView(name="new", memory_need_bytes=4 << 30, claimed=True)],
        "decisions": [DecisionView(time=NOW - age, before=8, after=7, reason=f"{age} s ago")
                      for age in range(30, 0, -1)],
    }  # fmt: skip
    return told(WhyView(**(values | fields)))


def job(number: int = 4, state: str = "running", **fields: Any) -> dict[str, Any]:
    values: dict[str, Any] = {"name": "sweep", "file": "sweep.toml", "items": 40, "items_done": 10, "items_failed": 2,
                              "tasks": 40, "tasks_running": 3, "submitted_at": NOW - 600,
                              "command": "python train.py"}  # fmt: skip
    return told(JobView(id=number, state=state, **(values | fields)))


def task(state: str, **fields: Any) -> dict[str, Any]:
    values: dict[str, Any] = {"id": "4/17", "number": 17, "start": 17, "count": 1}
    return told(TaskView(state=state, **(values | fields)))


def known(one: dict[str, Any], part: dict[str, Any] | None = None, *others: dict[str, Any], before: int | None = None,
          reason: dict[str, Any] | None = None, **status: Any) -> Known:  # fmt: skip
    says: dict[str, Any] = {
        "daemon": {"state": "ok", "reason": "", "conditions": []}, "jobs": [one, *others],
        "limit": {"workers": 6, "busy": 6, "reason": "memory binds"},
        "machine": {"memory_available_bytes": 3 << 30},
    }  # fmt: skip
    return Known(says | status, one, part, before, reason)


def test_without_an_id_it_says_what_binds_and_what_each_limit_allows(capsys: pytest.CaptureFixture[str]) -> None:
    show_why(why(), NOW)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "6 workers: memory binds (auto, 6 busy)"
    assert lines[2:6] == [
        "  LIMIT       ALLOWS  NOW",
        "  CPU              8  71 % of 8 cores",
        "> memory           6  84 % taken  << binding",
        "  user           any",
    ]
    assert "next: +1 in 20 s" in lines
    assert "stopped for a while, all their processes: 4/18" in lines
    assert max(map(len, lines)) <= 80


def test_what_binds_and_is_no_line_of_the_table_is_told_above_it(capsys: pytest.CaptureFixture[str]) -> None:
    show_why(why(binding="work"), NOW)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["6 workers: there is no more work (auto, 6 busy)", "  memory: 2.1 GB needed, 1.9 GB free"]


def test_long_figures_go_on_below(capsys: pytest.CaptureFixture[str]) -> None:
    show_why(why(allows=[AllowView(binding="memory", workers=6, words="word " * 30)]), NOW)
    lines = capsys.readouterr().out.splitlines()
    table = lines[lines.index("  LIMIT       ALLOWS  NOW") + 1 :]
    table = table[: table.index("")]
    assert len(table) == 3
    assert " ".join(table).split()[3:] == ["word"] * 30 + ["<<", "binding"]
    assert max(map(len, table)) <= 80


def test_the_curve_is_a_bar_a_point_with_the_working_point_marked(capsys: pytest.CaptureFixture[str]) -> None:
    show_why(why(), NOW)
    rows = [line for line in capsys.readouterr().out.splitlines() if "█" in line]
    assert [row.split()[0] for row in rows] == ["2", "4", ">", "8"]
    assert rows[2].endswith("75 % ±5")
    assert [row.count("█") for row in rows] == [6, 14, 22, 30]
    assert bar(0.5, 0.0).rstrip() == "█" * 16
    assert bar(0.5, 0.25).rstrip() == "█" * 8 + "▒" * 16
    assert len(bar(3.0, 9.0)) <= 40


def test_kinds_say_what_was_claimed_and_what_was_learned(capsys: pytest.CaptureFixture[str]) -> None:
    show_why(why(), NOW)
    out = capsys.readouterr().out
    rows = {row.split()[0]: row.split() for row in out.splitlines() if row}
    assert rows["sweep"] == ["sweep", "12", "3.4s", "0.95", "1.0G", "2.0G", "learned", "6", "23"]
    assert rows["new"] == ["new", "0", "4.0G", "claimed"]


def test_the_last_decisions_come_with_their_times(capsys: pytest.CaptureFixture[str]) -> None:
    show_why(why(), NOW)
    out = capsys.readouterr().out
    assert "The last 10 of 30 changes:" in out
    assert out.splitlines()[-1].endswith("8 → 7    1 s ago")
    assert "11 s ago" not in out


def test_an_idle_daemon_has_little_to_say(capsys: pytest.CaptureFixture[str]) -> None:
    show_why(told(WhyView(limit=LimitView(workers=1, busy=0, reason=""), binding="work")), NOW)
    assert capsys.readouterr().out.splitlines() == [
        "1 worker: there is no more work (auto, 0 busy)", "",
        "No throughput has been measured yet: that takes tasks that end.",
    ]  # fmt: skip


def test_what_is_foreign_is_shown_and_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    show_why(why(trying=OSC52, kinds=[KindView(name="evil" + OSC52)], paused=["4/1" + OSC52],
                 decisions=[DecisionView(time=NOW, before=1, after=2, reason=OSC52)]), NOW)  # fmt: skip
    evil = job(name="evil" + OSC52, reason=OSC52)
    lines = explain(known(evil, task("queued", reason=OSC52), job(3, name=OSC52, tasks_running=0), before=1), NOW)
    out = capsys.readouterr().out + "\n".join(lines)
    assert out.count("^[]52;c;aGk=^G") >= 7
    assert "\x1b" not in out
    assert "\x07" not in out


@pytest.mark.parametrize("state", sorted(JobState))
def test_each_state_of_a_job_has_a_sentence_of_its_own(state: str) -> None:
    lines = explain(known(job(state=state)), NOW)
    assert lines[0].startswith("job 4 sweep: ")
    assert state in lines[0]
    assert "calls its state" not in lines[1]
    assert lines[1].endswith(".")


@pytest.mark.parametrize("state", STATES)
def test_each_state_of_a_task_has_a_sentence_of_its_own(state: str) -> None:
    lines = explain(known(job(), task(state, reason="the reason"), before=3), NOW)
    assert lines[0].startswith("task 4/17 of sweep: ")
    assert state in lines[0]
    assert "calls its state" not in lines[1]
    assert state == "starting" or "the reason" in lines[1]
    assert len({explain(known(job(), task(one), before=0), NOW)[1] for one in STATES}) == len(STATES)


def test_a_waiting_job_says_who_is_ahead_and_what_it_needs() -> None:
    me = job(7, "queued", name="late", items=5, items_done=0, items_failed=0, tasks=5, tasks_running=0, priority=1,
             reason="memory: a task needs 4.3 GB, 1.9 GB are free for it", memory_need_bytes=4 << 30)  # fmt: skip
    others = [job(2, name="urgent", priority=5), job(3, name="alike", priority=1), job(5, name="low"),
              job(6, "done", name="over", priority=9), job(8, "held", name="held", priority=9),
              job(1, name="last", priority=9, items_done=35, items_failed=2)]  # fmt: skip
    assert explain(known(me, None, *others), NOW) == [
        "job 7 late: ○ queued",
        "It waits: 5 tasks, of which none runs: memory: a task needs 4.3 GB, 1.9 GB are free for it.",
        "All 6 workers that may run now are busy (memory binds); `grist explain` tells more.",
        "Ahead of it by priority: job 2 urgent.",
        "1 job of its priority takes turns with it, the fewest running tasks first; as it stands, its turn is next.",
        "One more task of it is taken to need 4.0G of memory.",
        "3.0G are free; a reserve, and what running tasks may still grow by, is kept of that.",
    ]


def test_of_equals_those_with_fewer_tasks_or_older_come_first() -> None:
    others = [job(n, name=f"j{n}", tasks_running=n) for n in (1, 2, 3, 5, 6)]
    lines = explain(known(job(), None, *others), NOW)
    assert any(line.endswith("as it stands, jobs 1 j1, 2 j2, 3 j3 before it.") for line in lines), lines
    many = [job(n, name=f"j{n}", tasks_running=0) for n in range(10, 20)]
    assert any("13 j13 and 6 more before it" in line for line in explain(known(job(), None, *many), NOW))
    assert "No other job is ahead of it." in explain(known(job()), NOW)


def test_what_was_learned_of_its_kind_is_said_where_the_daemon_knows() -> None:
    lines = explain(known(job(), reason=why()), NOW)
    assert "One more task of it is taken to need 2.0G of memory, learned from 12 tasks." in lines
    assert any(line.startswith("All 6 workers that may run now are busy (memory binds)") for line in lines)
    unseen = explain(known(job(command="another")), NOW)
    assert any("is not known yet: of a new kind one runs first" in line for line in unseen)
    claimed = explain(known(job(name="new", command=""), reason=why()), NOW)
    assert "One more task of it is taken to need 4.0G of memory, claimed." in claimed


def test_what_holds_everything_comes_before_all_else() -> None:
    wrong = [{"kind": "disk", "reason": "disk: 3 MB are free", "since": NOW - 60, "holds": True}]
    lines = explain(known(job(), daemon={"state": "held", "reason": "disk", "conditions": wrong}), NOW)
    assert lines[2:4] == ["Nothing new is started at the moment:", "  ◌ HELD  disk: 3 MB are free (for 1 min)"]
    assert "No worker may run (fixed at 0 by the user)." in explain(
        known(job(), limit={"workers": 0, "busy": 0, "reason": "fixed at 0 by the user"}), NOW)  # fmt: skip
    assert "1 of 6 workers that may run now is busy." in explain(
        known(job(), limit={"workers": 6, "busy": 1, "reason": ""}), NOW)  # fmt: skip


def test_a_waiting_task_knows_its_place() -> None:
    assert "Of its own job 3 tasks come first." in explain(known(job(), task("queued"), before=3), NOW)
    assert "Of its own job at least 1000 tasks come first." in explain(known(job(), task("queued"), before=1000), NOW)
    assert "It is the next task of its job." in explain(known(job(), task("queued"), before=0), NOW)
    again = explain(known(job(), task("queued", attempts=1, reason="exit code 75: next try in 10 s"), before=0), NOW)
    assert "It waits for another attempt: exit code 75: next try in 10 s." in again


def test_a_stopped_task_is_told_from_one_that_runs() -> None:
    one = task("running", id="4/18", worker=3, pid=77, started_at=NOW - 185, attempts=2)
    assert explain(known(job(), one), NOW)[1] == "It has run for 3 min on worker 3, pid 77, attempt 2."
    lines = explain(known(job(), one, reason=why()), NOW)
    assert lines[1:] == [
        "It is stopped with all its processes for lack of room, and goes on when there is some.",
        "The time that it is stopped does not count to its timeout.",
    ]


@pytest.mark.parametrize("state", ["running", "paused"])
@pytest.mark.parametrize(
    ("done", "left", "said"),
    [(0.42, 250.0, "It says that it is 42 % done after 3 min, about 4 min left."),
     (0.01, None, "It says that it is 1 % done after 3 min."), (1.0, 0.0, "It says that it is 100 % done after 3 min."),
     (None, None, "")],
)  # fmt: skip
def test_progress_is_told_with_what_it_promises(state: str, done: float, left: float, said: str) -> None:
    one = task(state, worker=3, started_at=NOW - 400, progress=done, ran_s=185.0, left_s=left)
    found = [line for line in explain(known(job(), one), NOW) if " done after " in line]
    assert found == ([said] if said else [])


def test_an_end_is_told_with_its_code_its_time_and_its_memory() -> None:
    bad = task("failed", exit_code=2, attempts=3, started_at=NOW - 100, ended_at=NOW - 60, reason="exit code 2",
               memory_peak_bytes=420 << 20)  # fmt: skip
    line = explain(known(job(), bad), NOW)[1]
    assert line.startswith("It failed with exit code 2 at ")
    assert line.endswith(" after 40s, in attempt 3, and took up to 420M: exit code 2.")
    assert explain(known(job(), task("failed", signal=9)), NOW)[1] == "It failed by signal KILL."
    assert explain(known(job(state="failed")), NOW)[2].endswith("grist retry 4")
    assert len(explain(known(job(state="done")), NOW)) == 2, "nothing is said of a queue where nothing waits"


def test_tasks_that_wait_are_counted_from_items() -> None:
    assert waiting(job(items=100, items_done=20, items_failed=0, tasks=10, tasks_running=3)) == 5
    assert waiting(job(items=7, items_done=7, items_failed=0, tasks=7, tasks_running=0)) == 0
    assert waiting(job(items=0, items_done=0, items_failed=0, tasks=0, tasks_running=0)) == 0
