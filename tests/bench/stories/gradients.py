"""b. Gradient and loss over 1,000 samples, and over 1,000,000, collected through a channel; a training loop on top."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import partial
from typing import Any

from tests.bench.governor import machine
from tests.bench.stories import peers
from tests.bench.stories.house import House, house
from tests.bench.stories.rounds import Laps, interleave
from tests.bench.stories.tables import Bar, Table, bars

HERE = peers.PROGRAMS / "gradients"
EPOCHS, TRAINED = 8, 100_000
PRECISION = 1e-10


def story(compact: bool) -> list[Table]:
    """The tables of this story."""
    rounds, draws = (1, 300) if compact else (2, 1_000)
    long = _sums(f"1,000 samples, each the mean of {draws} noisy copies", 1_000, draws, rounds)
    short = _sums("1,000,000 samples", 1_000_000, 1, rounds)
    return [*long, *short, *_training(rounds)]


def _sums(what: str, samples: int, draws: int, rounds: int) -> list[Table]:
    cores = machine.cores()
    found: dict[str, dict[str, float]] = {}

    def alone() -> float:
        return noted("one process", channel(0, samples, samples, draws))

    def through_a_channel() -> float:
        return noted(f"a channel, {cores} processes", channel(cores, max(1, samples // 200), samples, draws))

    def noted(name: str, answer: dict[str, float]) -> float:
        found[name] = answer
        return answer["seconds"]

    with house("gradients") as mill:
        mill.run(job(100, draws, samples))  # the samples are drawn, as they are for the others before the clock runs

        def ranges() -> float:
            took = mill.run(job(samples, draws, samples))
            gathered = json.loads((mill.base / "gathered.json").read_text())
            return noted("warm ranges, gathered", {**gathered, "seconds": took})

        contestants: dict[str, Callable[[], float]] = {
            "one process": alone, f"a channel, {cores} processes": through_a_channel, "warm ranges, gathered": ranges,
        }
        laps = interleave(f"b, {samples:,}", contestants, rounds)
    return [_compared(what, samples, laps, found), bars([
        Bar(f"{what}: loss and length of the gradient, against one process", f"{_apart(found):.1g} apart", "≤ 1e-10",
            _apart(found) <= PRECISION),
    ])]


def _compared(what: str, samples: int, laps: Laps, found: dict[str, dict[str, float]]) -> Table:
    names = list(laps.of)
    return Table(
        f"Loss and gradient of {what}", ("", "seconds", "× one process", "samples/s", "used by others"),
        [(name, laps.median(name), 1 / laps.ratio(name, names[0]), samples / laps.median(name), laps.foreign(name))
         for name in names],
    )


def _apart(found: dict[str, dict[str, float]]) -> float:
    """How far the answers are apart at most, relative."""
    base = found["one process"]
    return max(abs(answer[key] / base[key] - 1) for answer in found.values() for key in ("loss", "gradient"))


def channel(processes: int, size: int, samples: int, draws: int) -> dict[str, float]:
    """What the person's own program says of one pass."""
    answer: dict[str, float] = json.loads(peers.told(
        "gradients", "channel.py", str(processes), str(size), "1", SAMPLES=str(samples), DRAWS=str(draws)))
    return answer


def job(total: int, draws: int, samples: int) -> str:
    """The job file of the story, over `total` of the samples."""
    text = (HERE / "gradients.toml").read_text().replace("VENV", str(peers.folder() / "venv"))
    text = text.replace("DATA", str(peers.DIGITS)).replace("1_000_000", str(total))
    return text.replace('SAMPLES = "1000000"', f'SAMPLES = "{samples}", DRAWS = "{draws}"')


def _training(rounds: int) -> list[Table]:
    """A training loop with a job an epoch, beside the same loop in one process."""
    parts = 4 * machine.cores()
    found: dict[str, dict[str, Any]] = {}
    with house("gradients") as mill:
        train(mill, "jobs", 1, parts)  # the samples are drawn

        def by(how: str) -> float:
            found[how] = train(mill, how, EPOCHS, parts)
            seconds: float = found[how]["seconds"]
            return seconds

        laps = interleave("b, training", {how: partial(by, how) for how in ("alone", "jobs")}, rounds)
    pairs = zip(found["alone"]["weights"], found["jobs"]["weights"], strict=True)
    apart = max(abs(one - other) for one, other in pairs)
    names = {"alone": "one process", "jobs": f"a job an epoch, {parts} parts, through `Client`"}
    losses = found["jobs"]["losses"]
    return [
        Table(f"Training on {TRAINED:,} samples, {EPOCHS} epochs",
              ("", "seconds", "× one process", "seconds an epoch", "used by others"),
              [(words, laps.median(how), 1 / laps.ratio(how, "alone"), laps.median(how) / EPOCHS, laps.foreign(how))
               for how, words in names.items()],
              f"The loss went from {losses[0]:.4f} to {losses[-1]:.4f}."),
        bars([Bar(f"weights after {EPOCHS} epochs, against one process", f"at most {apart:.1g} apart", "≤ 1e-10",
                  math.isfinite(apart) and apart <= PRECISION)]),
    ]


def train(mill: House, how: str, epochs: int, parts: int) -> dict[str, Any]:
    """What the training program says of itself."""
    answer: dict[str, Any] = json.loads(peers.told(
        "gradients", "train.py", how, str(epochs), str(parts), str(mill.base),
        SAMPLES=str(TRAINED), WEIGHTS=str(mill.base), **mill.named()))
    return answer
