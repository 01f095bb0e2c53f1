"""What single questions over the socket are answered with: why so many workers, how a sweep went, how a task lived,
what the machine does, when all will have ended. Fields may be added, never changed.
"""

from __future__ import annotations

from gristmill.supervisor.core.protocol import DecisionView, LimitView, View


class AllowView(View, kw_only=True):
    """How many workers one constraint allows, null for any number; `binding` names it, `words` give its figures."""

    binding: str
    workers: int | None = None
    words: str = ""


class PointView(View, kw_only=True, array_like=True):
    """`[workers, rate, error]`: throughput measured with so many workers, relative to the best of all points, and the
    standard error of that."""

    workers: float
    rate: float
    error: float


class KindView(View, kw_only=True):
    """What was learned about tasks of one name and command: means, and the memory that one more is taken to need."""

    name: str
    command: str = ""
    tasks_seen: int = 0
    wall_s: float | None = None
    cores: float | None = None
    memory_peak_bytes: int | None = None
    memory_need_bytes: int | None = None
    claimed: bool = False
    running: int = 0
    waiting: int = 0


class WhyView(View, kw_only=True):
    """Why so many workers run: each constraint's figure, the measured curve, what is being tried, what was learned."""

    limit: LimitView
    binding: str
    allows: list[AllowView] = []
    curve: list[PointView] = []
    trying: str = ""
    kinds: list[KindView] = []
    decisions: list[DecisionView] = []
    paused: list[str] = []
    """Tasks that are stopped now, as `JOB/NUMBER`."""


class ValueView(View, kw_only=True):
    """One value of a parameter: its items that ended, their mean wall time, highest memory and mean result."""

    value: str
    done: int = 0
    failed: int = 0
    wall_s: float | None = None
    memory_peak_bytes: int | None = None
    result: float | None = None


class AxisView(View, kw_only=True):
    """One parameter of a sweep."""

    name: str
    values: list[ValueView]


class SweepView(View, kw_only=True):
    """A sweep by its parameters. `result` is the field of results that is averaged, one of `fields`; told are the first
    `seen` `of` the items that have ended."""

    axes: list[AxisView]
    result: str = ""
    fields: list[str] = []
    seen: int = 0
    of: int = 0


class CauseView(View, kw_only=True):
    """Failures that are alike: how many tasks, the numbers of some, and the last words of one of them."""

    state: str
    reason: str
    words: str
    count: int
    numbers: list[int]


class CausesView(View, kw_only=True):
    """Why tasks failed; told are the newest `seen` of all that did."""

    causes: list[CauseView]
    seen: int
    of: int


class TimelineView(View, kw_only=True):
    """Items that ended in each step of `step_s` seconds from `began_at` on, well and badly."""

    began_at: float
    step_s: float
    done: list[int]
    failed: list[int]


class LifeView(View, kw_only=True):
    """What an attempt used over its life, in steps of `step_s` from `began_at`, when it was first seen: cores in use,
    and bytes at most."""

    began_at: float
    step_s: float
    cpu: list[float]
    memory_bytes: list[int]


class CoreView(View, kw_only=True, array_like=True):
    """`[number, percent, ours]`: a core, how busy it is, whether we may use it."""

    number: int
    percent: float
    ours: bool = True


class DiskView(View, kw_only=True):
    """A file system: what of ours lies on it, bytes, and inodes in use, percent."""

    what: str
    path: str
    total_bytes: int
    free_bytes: int
    inodes_percent: float | None = None


class VitalsView(View, kw_only=True):
    """The machine in detail. Shares of time in which somebody waited (PSI) are 0…1, None where the kernel tells none;
    `cpu_*` are percent of the cores that we may use. `gpus` are cards in words; none in the first second."""

    cores: list[CoreView]
    load: list[float]
    cpu_ours_percent: float
    cpu_others_percent: float
    memory_total_bytes: int
    memory_available_bytes: int
    memory_ours_bytes: int
    memory_cached_bytes: int = 0
    swap_total_bytes: int = 0
    swap_free_bytes: int = 0
    pressure_cpu: float | None = None
    pressure_memory: float | None = None
    pressure_io: float | None = None
    disks: list[DiskView] = []
    gpus: list[str] = []


class ForecastView(View, kw_only=True):
    """When a job will begin and end, in seconds from now; four of five end between `low_s` and `high_s`. None where
    that can't be said, and `why`."""

    id: int
    name: str
    begin_s: float | None = None
    end_s: float | None = None
    low_s: float | None = None
    high_s: float | None = None
    why: str = ""


class OutlookView(View, kw_only=True):
    """What `grist simulate` shows. `error` is how far forecasts of `tried` jobs were off, as a logarithm."""

    workers: int
    error: float
    tried: int
    jobs: list[ForecastView]
