"""The head of a job, and all that is known of one task: a few lines of names and values."""

from __future__ import annotations

from textual.strip import Strip

from gristmill.supervisor.core import figures
from gristmill.supervisor.core.protocol import JobView, TaskView
from gristmill.tui.columns import cut, rule, spread
from gristmill.tui.marks import Marks, Runs
from gristmill.tui.present import OPEN
from gristmill.tui.rows import job_bar, parameters, task_exit, task_place, task_time
from gristmill.tui.widgets.lines import Lines


def _pairs(*pairs: tuple[str, str]) -> Runs:
    """`name value` for each pair that has a value."""
    runs: list[tuple[str, str]] = [(" ", "text")]
    for name, value in pairs:
        if value:
            runs += [(f"{name} ", "muted"), (f"{value}  ", "text")]
    return tuple(runs)


def job_head(job: JobView, now: float, marks: Marks, width: int) -> list[Runs]:
    """Four lines: state and progress, counts and time left, when and how big, why; and perhaps one of how it was
    accepted."""
    part = (job.items_done + job.items_failed) / job.items if job.items else 0.0
    top: Runs = ((f" {job.name} ", "strong"), ("  ", "text"), *marks.state(job.state), ("   ", "text"))
    bar_room = max(10, min(40, width - sum(len(text) for text, _ in top) - 26))
    left = f"left {figures.about(job.eta_s)} " if job.eta_s is not None and job.state in OPEN else ""
    top = (*top, *job_bar(job, marks, bar_room), (f" {part:>4.0%}", "strong"))
    spent = (job.ended_at or now) - job.started_at if job.started_at else None
    running = f"{figures.count(job.tasks_running)} of {figures.count(job.tasks)} tasks"
    counts = [(" ok ", "muted"), (figures.count(job.items_done), "ok"), ("   failed ", "muted"),
              (figures.count(job.items_failed), "fail" if job.items_failed else "text"),
              ("   of ", "muted"), (f"{figures.count(job.items)} items", "text"),
              ("   running ", "muted"), (running, "text")]
    facts = _pairs(("priority", str(job.priority) if job.priority else ""),
                   ("dropped", figures.wall_clock(job.submitted_at, now)), ("ran", figures.clock_span(spent)),
                   ("per task", figures.clock_span(job.wall_s_mean)), ("peak", figures.size(job.memory_peak_bytes)),
                   ("needs", figures.size(job.memory_need_bytes)),
                   ("attempts", str(job.attempts) if job.attempts > 1 else ""),
                   ("where", job.where if job.where != "local" else ""))  # fmt: skip
    why: Runs = (((f" {job.reason}"), "fail" if job.state == "failed" else "text"),) if job.reason else (
        (f" {job.command}", "muted"),)  # fmt: skip
    return [spread(top, ((left, "accent"),), width), tuple(counts), facts, why, *_accepted(job)]


def _accepted(job: JobView) -> list[Runs]:
    """A fifth line, where there is something to be said of what was accepted: frozen code, and what is not honoured."""
    said: list[tuple[str, str]] = []
    if (code := job.snapshot) is not None:
        of = f", commit {code.commit[:9]}" if code.commit else ""
        more = f" and {len(code.changed)} changed files" if code.changed else ""
        said += [(" code frozen ", "muted"), (f"{code.files} files, {figures.size(code.bytes)}{of}{more}  ", "text")]
    if job.notes:
        more = f" (and {len(job.notes) - 1} more: grist explain {job.id})" if len(job.notes) > 1 else ""
        said += [(" not honoured ", "muted"), (f"{job.notes[0]}{more}", "warn")]
    return [tuple(said)] if said else []


class JobHead(Lines):
    """The head of the Job screen."""

    DEFAULT_CSS = "JobHead { height: 4; }"
    job: JobView | None = None
    now = 0.0
    note = ""

    def show(self, job: JobView | None, now: float, note: str = "") -> None:
        """Show this job, or a line that says why there is none."""
        self.job, self.now, self.note = job, now, note
        self.styles.height = 4 if job is None else 4 + len(_accepted(job))
        self.renew()

    def draw(self, width: int, height: int) -> list[Strip]:
        """The lines."""
        if self.job is None:
            return [self.strip(((f" {self.note}", "muted"),))]
        lines = job_head(self.job, self.now, self.look.marks, width)
        return [self.strip(cut(line, width, self.look.marks.cut)) for line in lines]


def _runner(task: TaskView) -> tuple[str, Runs]:
    """What has it, or had: a worker here, or an engine."""
    if task.where != "local":
        return task.where, ((task_place(task), "text"),)
    return "worker", ((f"{task.worker}  pid {task.pid}" if task.worker is not None and task.pid else "", "text"),)


class TaskDetails(Lines):
    """One task, beside the list of tasks."""

    task_view: TaskView | None = None
    now = 0.0
    attempts = 1

    def show(self, task: TaskView | None, now: float, attempts: int) -> None:
        """Show this task, which has so many attempts at most."""
        self.task_view, self.now, self.attempts = task, now, attempts
        self.renew()

    def draw(self, width: int, height: int) -> list[Strip]:
        """A title, then a line for each thing that is known."""
        marks, task = self.look.marks, self.task_view
        if task is None:
            return [self.strip(rule((("Task", "muted"),), (), width, marks.rule))]
        facts: list[tuple[str, Runs]] = [
            ("state", marks.state(task.state)),
            ("items", ((figures.item_range(task.start, task.count), "text"),)),
            ("parameters", ((parameters(task), "text"),)),
            ("attempts", ((f"{task.attempts} of {self.attempts}" if task.attempts else "", "text"),)),
            ("started", ((figures.wall_clock(task.started_at, self.now), "text"),)),
            ("time", ((task_time(task, self.now), "text"),)),
            ("CPU time", ((figures.clock_span(task.cpu_s), "text"),)),
            ("memory peak", ((figures.size(task.memory_peak_bytes), "text"),)),
            ("exit", task_exit(task)),
            _runner(task),
            ("log", ((task.log or "", "muted"),)),
            ("why", ((task.reason, "text"),)),
        ]
        lines = [rule(((f"Task {task.id}", "muted"),), (), width, marks.rule)]
        blank: Runs = ((marks.dot, "faint"),)
        lines += [((f"  {name:<13}", "muted"), *(value if any(text for text, _ in value) else blank))
                  for name, value in facts]  # fmt: skip
        return [self.strip(cut(line, width, marks.cut)) for line in lines[:height]]
