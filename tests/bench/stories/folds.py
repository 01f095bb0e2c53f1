"""d. Cross-validation and grid search of feed-forward nets: through job files, and through joblib."""

from __future__ import annotations

import json
from typing import Any

from tests.bench.governor import machine
from tests.bench.stories import peers
from tests.bench.stories.house import House, house
from tests.bench.stories.rounds import interleave
from tests.bench.stories.tables import Bar, Table, bars

HERE = peers.PROGRAMS / "folds"
POINTS = {1: 24, 2: 4 * 6, 3: 4 * 54}
FOLDS = 10


def story(compact: bool) -> list[Table]:
    """The tables of this part."""
    stages, rounds = (2, 1) if compact else (3, 2)
    return [*_search(stages, rounds), _notebook(rounds)]


def _search(stages: int, rounds: int) -> list[Table]:
    cores = machine.cores()
    trainings = FOLDS * sum(POINTS[stage] for stage in range(1, stages + 1))
    found: dict[str, dict[str, Any]] = {}
    with house("folds") as mill:
        mill.run(job("stage-1.toml").replace("[8, 16, 24, 32]", "[8]"), "stage-1")  # the digits are read

        def loop(backend: str, jobs: int) -> float:
            found[backend] = by_joblib("search.py", backend, jobs, str(stages), mill=mill)
            seconds: float = found[backend]["seconds"]
            return seconds

        def files() -> float:
            took, found["files"] = by_files(mill, stages)
            return took

        laps = interleave("d, search", {
            "one process": lambda: loop("sequential", 1),
            f"joblib, loky, {cores} processes": lambda: loop("loky", cores),
            "joblib, gristmill": lambda: loop("gristmill", -1),
            "job files, called warm": files,
        }, rounds)
        first = job("cold.toml").replace("[32, 64]", "[32]").replace("[0.05, 0.1, 0.2]", "[0.1]")
        cold = interleave("d, cold", {"cold": lambda: mill.run(first, "cold")}, 1)
    one, loky, ours, by_file = laps.of
    same = all(answer["point"] == found["sequential"]["point"] and answer["accuracy"] == found["sequential"]["accuracy"]
               for answer in found.values())
    rows: list[tuple[str | float, ...]] = [
        (name, laps.median(name), trainings / laps.median(name), 1 / laps.ratio(name, one),
         1 / laps.ratio(name, loky), laps.foreign(name)) for name in laps.of
    ]
    rows.append((f"{FOLDS * 4} of them as a command, cold", cold.median("cold"), FOLDS * 4 / cold.median("cold"),
                 "", "", cold.foreign("cold")))
    stated = " + ".join(str(POINTS[stage]) for stage in range(1, stages + 1))
    return [
        Table(f"{stated} points on {FOLDS} folds: {trainings:,} trainings",
              ("", "seconds", "trainings/s", "× one process", "× loky", "used by others"), rows,
              f"Best: {words(found['sequential']['point'])}, accuracy {found['sequential']['accuracy']:.4f}."),
        bars([
            Bar("best point and accuracy of all four", "the same" if same else "**not the same**", "the same", same),
            Bar("job files, × loky", f"{1 / laps.ratio(by_file, loky):.2f}"),
            Bar("joblib through Gristmill, × loky", f"{1 / laps.ratio(ours, loky):.2f}"),
        ]),
    ]


def _notebook(rounds: int) -> Table:
    cores = machine.cores()
    with house("folds") as mill:
        found: dict[str, dict[str, Any]] = {}

        def fit(backend: str, jobs: int) -> float:
            found[backend] = by_joblib("grid.py", backend, jobs, mill=mill)
            seconds: float = found[backend]["seconds"]
            return seconds

        laps = interleave("d, scikit-learn", {
            "one process": lambda: fit("sequential", 1), f"loky, {cores} processes": lambda: fit("loky", cores),
            "gristmill": lambda: fit("gristmill", -1),
        }, rounds)
    answers = {(answer["best"], answer["accuracy"]) for answer in found.values()}
    same = "All three found the same." if len(answers) == 1 else f"**They found {len(answers)} different answers.**"
    one, loky, _ = laps.of
    return Table("scikit-learn's `GridSearchCV`, 8 points on 10 folds",
                 ("", "seconds", "× one process", "× loky", "used by others"),
                 [(name, laps.median(name), 1 / laps.ratio(name, one), 1 / laps.ratio(name, loky), laps.foreign(name))
                  for name in laps.of], same)


def by_files(mill: House, stages: int) -> tuple[float, dict[str, Any]]:
    """(seconds in which jobs waited or ran, the best point and its accuracy), as a person goes from file to file."""
    took = mill.run(job("stage-1.toml"), "stage-1")
    for stage in range(2, stages + 1):
        (mill.base / f"stage-{stage}.jsonl").write_text(points(str(stage), mill.results_text(f"stage-{stage - 1}")))
        took += mill.run(job("stage-2.toml").replace("stage-2", f"stage-{stage}"), f"stage-{stage}")
    best: dict[str, Any] = json.loads(points("best", mill.results_text(f"stage-{stages}")))
    return took, best


def points(what: str, results: str) -> str:
    """What the person's program makes of the results of a stage."""
    return peers.told("folds", "points.py", what, text=results)


def job(file: str, **more: int) -> str:
    """A job file of the story; `more` are variables of its environment."""
    text = (HERE / file).read_text().replace("VENV", str(peers.folder() / "venv"))
    extra = "".join(f', {name} = "{value}"' for name, value in more.items())
    return text.replace('DIGITS = "DATA"', f'DIGITS = "{peers.DIGITS}"{extra}')


def by_joblib(program: str, backend: str, jobs: int, *more: str, mill: House) -> dict[str, Any]:
    """What a program that uses joblib says of itself."""
    answer: dict[str, Any] = json.loads(peers.told("folds", program, backend, str(jobs), *more, **mill.named()))
    return answer


def words(point: dict[str, Any]) -> str:
    """A point as people write it."""
    return ", ".join(f"{name} {value:g}" for name, value in point.items())
