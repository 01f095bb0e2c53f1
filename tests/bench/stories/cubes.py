"""c. 1,000,000 cubes out of 100 tables: by workers, beside the story's pool of threads, and what limits them."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.bench.governor import machine
from tests.bench.stories import peers
from tests.bench.stories.house import House, house
from tests.bench.stories.rounds import Laps, interleave, say
from tests.bench.stories.tables import Bar, Table, bars

HERE = peers.PROGRAMS / "cubes"
BEYOND = 1.15
"""What more workers than cores may gain at most, if the governor was right to stop there."""


class Pool:
    """The story's pool of threads: a process that has read the tables, and makes cubes when it is asked to."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.read_s = float(self._answer())

    def rate(self, cubes: int, threads: int, form: str = "told") -> float:
        """Cubes a second."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{form} {threads} {cubes}\n")
        self._process.stdin.flush()
        return cubes / float(self._answer())

    def _answer(self) -> str:
        assert self._process.stdout is not None
        if not (line := self._process.stdout.readline()):
            raise SystemExit(f"the pool of threads ended: {self._process.wait()}")
        return line


@contextlib.contextmanager
def pool() -> Iterator[Pool]:
    """The story's pool, its tables read."""
    env = {**peers.environment(), "TABLES": str(tables())}
    argv = [peers.python(), "pool.py"]
    with subprocess.Popen(argv, cwd=HERE, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Pool(process)
        finally:
            process.kill()


@contextlib.contextmanager
def mill() -> Iterator[House]:
    """A daemon whose workers have the tables, read once."""
    with house("cubes") as found:
        say(f"c: the tables are read and two cubes made: {found.run(job(2), 'cubes'):.1f} s")
        yield found


def job(cubes: int, form: str = "") -> str:
    """The job file of the story, for so many cubes; or the one that compares, for cubes gathered in this form."""
    text = (HERE / ("forms.toml" if form else "cubes.toml")).read_text().replace("VENV", str(peers.folder() / "venv"))
    text = text.replace("FOLDER", str(tables())).replace("1_000_000", str(cubes))
    return text.replace('["told"]', f'["{form}"]')


def rate(found: House, cubes: int, workers: int | None = None, form: str = "") -> float:
    """Cubes a second from the drop of the file to the job's end, by so many workers or the governor's number."""
    found.grist("limit", "auto" if workers is None else str(workers))
    return cubes / found.run(job(cubes, form), "cubes")


def tables() -> Path:
    """The tables, made when they are not there."""
    made = peers.folder() / "tables"
    if not (made / "99.csv").exists() or (peers.have("pyarrow") and not (made / "99.parquet").exists()):
        say("c: the tables are made, once: 1.6 GB")
        made.mkdir(parents=True, exist_ok=True)
        subprocess.run([peers.python(), HERE / "tables.py", made], check=True, env=peers.environment())
    return made


def story(compact: bool) -> list[Table]:
    """The tables of this story."""
    seconds, rounds = (3, 1) if compact else (15, 2)
    cores = machine.cores()
    numbers = [1, cores, 2 * cores, 4 * cores]
    with pool() as threads, mill() as ours:
        some = round(seconds * threads.rate(100, cores))
        by_number: dict[str, Callable[[], float]] = {}
        for number in numbers:
            by_number[f"threads {number}"] = partial(threads.rate, some, number)
            by_number[f"workers {number}"] = partial(rate, ours, some, number)
        laps = interleave("c, cubes/s", by_number, rounds)
        governed = interleave("c, cubes/s", {"governor": lambda: rate(ours, 4 * some)}, 1).median("governor")
        settled = ours.limit()
        forms = _by_form(threads, ours, some if compact else some // 3, rounds)
        read_s = threads.read_s
    by_c = _in_c(1.0 if compact else 3.0)
    best = laps.most(*(f"threads {number}" for number in numbers))
    peak = laps.most(*(f"workers {number}" for number in numbers))
    beyond = max(laps.ratio(f"workers {number}", f"workers {cores}") for number in numbers if number > cores)
    ours_at_peak = laps.ratio(peak, best)
    return [
        Table(
            f"Cubes a second by workers; the tables are read once, {read_s:.1f} s",
            ("at once", "threads, cubes/s", "workers, cubes/s", f"workers × {best}", "used by others"),
            [(str(number), laps.median(f"threads {number}"), laps.median(f"workers {number}"),
              laps.ratio(f"workers {number}", best), laps.foreign(f"workers {number}")) for number in numbers],
            f"The governor settled on {settled} of {cores} cores: {governed:,.0f} cubes/s.",
        ),
        _forms(forms, by_c, cores),
        _ladder(compact, {best: laps.median(best), "governor": governed}, forms, cores),
        bars([
            Bar(f"{peak}, × the story's best ({best})", f"{ours_at_peak:.2f}", "≥ 1.0", ours_at_peak >= 1.0),
            Bar("where the governor stops", f"{settled} workers", f"{cores} on {cores} cores", settled == cores),
            Bar("what more workers than cores gain at most", f"{100 * (beyond - 1):.0f} %", "≤ 15 %", beyond <= BEYOND),
        ]),
    ]


def _by_form(threads: Pool, ours: House, some: int, rounds: int) -> Laps:
    cores = machine.cores()
    rate(ours, 50, cores, "told")  # the tables are read for the function that compares
    contestants: dict[str, Callable[[], float]] = {}
    for form, share in (("told", 1.0), ("taken", 0.3), ("ordered", 1.0), ("columns_first", 4.0)):
        part = max(100, round(share * some / 100) * 100)
        contestants[f"{form}, one thread"] = partial(threads.rate, part // 2, 1, form)
        contestants[f"{form}, {cores} threads"] = partial(threads.rate, part, cores, form)
        contestants[f"{form}, {cores} workers"] = partial(rate, ours, part, cores, form)
    return interleave("c, limits, cubes/s", contestants, rounds)


def _forms(forms: Laps, by_c: dict[int, tuple[float, float]], cores: int) -> Table:
    names = {"told": "`data[:, :100, columns]`, as told", "taken": "`np.take`",
             "ordered": "as told, the columns in order", "columns_first": "data laid out columns first"}
    rows: list[tuple[str | float, ...]] = [
        (words, *(forms.median(f"{form}, {how}") for how in ("one thread", f"{cores} threads", f"{cores} workers")),
         forms.ratio(f"{form}, {cores} workers", f"told, {cores} workers"))
        for form, words in names.items()
    ]
    for at, words in enumerate(("in C, as told", "in C, data laid out columns first")):
        if by_c:
            rows.append((words, by_c[1][at], by_c[cores][at], "", ""))
    head = ("", "one thread", f"{cores} threads", f"{cores} workers", "× as told")
    missing = "" if by_c else "gcc is missing here, so that the limit in C is not known."
    return Table("What limits it: cubes a second", head, rows, missing)


def _ladder(compact: bool, top: dict[str, float], forms: Laps, cores: int) -> Table:
    best, governed = top.values()
    kinds = ["whole", "csv", *(["parquet"] if peers.have("pyarrow") else [])]
    read = {how: _reading(how, 1 if compact else 3) for how in kinds}
    rungs = [
        ("every cube reads its 100 CSV files", read["whole"]),
        ("every cube reads its columns from 100 Parquet files", read.get("parquet")),
        ("every cube reads its rows and columns from 100 CSV files", read["csv"]),
        ("read once; `np.take`, one thread", forms.median("taken, one thread")),
        ("read once; as told, one thread", forms.median("told, one thread")),
        (f"the story's pool of threads at its best ({next(iter(top))})", best),
        ("called warm, ranges, at the governor's number", governed),
        ("the same, columns in order", forms.median(f"ordered, {cores} workers")),
        ("the same, data laid out columns first", forms.median(f"columns_first, {cores} workers")),
    ]
    return Table("The ladder, remade here", ("rung", "cubes/s", "× the story's best"),
                 [(words, value, value / best) for words, value in rungs if value is not None],
                 "As told: 0.15, 15, 76, 355." + ("" if "parquet" in read else " pyarrow is missing here."))


def _reading(how: str, cubes: int) -> float:
    found = float(peers.told("cubes", "rungs.py", how, str(cubes), TABLES=str(tables())))
    say(f"c: files read for each cube, {how}: {found:.3g} cubes/s")
    return found


def _in_c(seconds: float) -> dict[int, tuple[float, float]]:
    """Cubes a second in C by threads: as told, and columns first. Empty without a compiler."""
    found = {}
    if gather := peers.c("cubes/gather.c"):
        for threads in (1, machine.cores()):
            done = subprocess.run([gather, str(threads), str(seconds)], capture_output=True, text=True, check=True)
            told, columns_first = map(float, done.stdout.split())
            found[threads] = told, columns_first
            say(f"c: in C, {threads} threads: {told:.0f} and {columns_first:.0f} cubes/s")
    return found
