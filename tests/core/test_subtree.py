"""Which control group is ours to divide, and what a task is held to there."""

from __future__ import annotations

import pytest

from gristmill.supervisor.core import subtree
from gristmill.supervisor.core.spec import Resources, Spec

USER = "/user.slice/user-7.slice/user@7.service/app.slice"


@pytest.mark.parametrize(("path", "found"), [
    (f"{USER}/gristmill-a.service/daemon", subtree.Home(f"{USER}/gristmill-a.service", moves=False)),
    (f"{USER}/run-r1.scope", subtree.Home(f"{USER}/run-r1.scope", moves=True)),
    ("/mine", subtree.Home("/mine", moves=True)),
    ("/mine/daemon", subtree.Home("/mine", moves=False)),
])  # fmt: skip
def test_what_was_given_to_us_is_divided(path: str, found: subtree.Home) -> None:
    assert subtree.home(path) == found


@pytest.mark.parametrize(("path", "why"), [
    ("/", "the top"), ("/daemon", "the top"), (f"{USER}/gristmill-a.service", "systemd 254"),
    ("/user.slice", "slice"),
])  # fmt: skip
def test_what_is_not_ours_is_left_alone_and_said(path: str, why: str) -> None:
    found = subtree.home(path)
    assert isinstance(found, str)
    assert why in found


def spec(**resources: object) -> Spec:
    return Spec(name="a", kind="command", command="a", cwd="/", resources=Resources(**resources))  # type: ignore[arg-type]


def test_a_claim_of_memory_is_a_bound_with_room_for_the_worker() -> None:
    said = subtree.bounds(spec(memory_bytes=1 << 30), 10)
    assert int(said["memory.max"]) == (1 << 30) + subtree.WORKER_BYTES
    assert said["memory.swap.max"] == said["memory.max"]


def test_without_a_claim_and_in_the_last_step_memory_is_not_bound() -> None:
    assert subtree.bounds(spec(), 10) == subtree.UNBOUND
    assert subtree.bounds(spec(memory_bytes=1 << 30, cpus=8), 10, finish=True) == subtree.UNBOUND


@pytest.mark.parametrize(("cpus", "nice", "expected"), [
    (None, 10, 100), (1, 10, 100), (4, 10, 400), (0.5, 10, 50), (1, 0, 931), (1, 19, 13), (0.01, 19, 1),
    (512, 0, 10_000),
])  # fmt: skip
def test_cores_and_niceness_make_the_weight(cpus: float | None, nice: int, expected: int) -> None:
    assert subtree.weight(cpus, nice) == expected
