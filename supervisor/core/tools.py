"""What an interpreter has to have before calls can be made in it: jobs that need the same share one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gristmill.supervisor.core import freeze, items, launch
from gristmill.supervisor.core.spec import Spec


@dataclass(frozen=True, slots=True)
class Tools:
    """An interpreter, its environment and folder, and the functions in it. A call gets `count` values by place and
    `names` by name, which the function is held against."""

    python: str
    env: tuple[tuple[str, str], ...]
    cwd: str
    call: str
    preload: str | None
    count: int
    names: tuple[str, ...]
    path: tuple[str, ...] = ()
    """Where modules are looked for before `cwd`."""


def tools(spec: Spec, python: str, base: Mapping[str, str]) -> Tools:
    """What the calls of a job need, on top of the environment that all its tasks start from."""
    assert spec.call is not None
    env = {**base, **launch.width(spec), **launch.settled(spec)}
    return Tools(
        python=python,
        env=tuple(sorted(env.items())),
        cwd=freeze.folder(spec),
        call=spec.call.target,
        preload=spec.call.preload,
        count={"nothing": 0, "parameters": 0, "index": 1, "range": 2}[spec.call.takes],
        names=items.names(spec.items) if spec.call.takes == "parameters" else (),
        path=freeze.ahead(spec),
    )
