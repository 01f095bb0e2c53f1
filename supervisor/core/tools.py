"""What an interpreter has to have before calls can be made in it: jobs that need the same share one, whichever
functions they call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gristmill.supervisor.core import freeze, items, launch
from gristmill.supervisor.core.spec import Spec

_PLACES = {"nothing": (), "parameters": (), "index": ("index",), "range": ("start", "count")}


@dataclass(frozen=True, slots=True)
class Tools:
    """An interpreter, its environment and folder, the module that it imports first, and what it runs once after that.

    Where there is a preload the module is that one's: what it loads may be large, and is there once for the functions
    of all modules that need it."""

    python: str
    env: tuple[tuple[str, str], ...]
    cwd: str
    module: str
    preload: str | None
    path: tuple[str, ...] = ()
    """Where modules are looked for before `cwd`."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function that is called there, `module:name`, with values in these `places` and by these `names`: what it
    takes is held against that."""

    target: str
    places: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


def tools(spec: Spec, python: str, base: Mapping[str, str]) -> Tools:
    """What the calls of a job need, on top of the environment that all its tasks start from."""
    assert spec.call is not None
    env = {**base, **launch.width(spec), **launch.settled(spec)}
    return Tools(
        python=python,
        env=tuple(sorted(env.items())),
        cwd=freeze.folder(spec),
        module=(spec.call.preload or spec.call.target).partition(":")[0],
        preload=spec.call.preload,
        path=freeze.ahead(spec),
    )


def functions(spec: Spec) -> tuple[Function, ...]:
    """The functions that a job calls: for its items, and as its [finally] step."""
    if spec.call is None:
        return ()
    names = items.names(spec.items) if spec.call.takes == "parameters" else ()
    last = spec.finish.call if spec.finish is not None else None
    found = Function(spec.call.target, _PLACES[spec.call.takes], names)
    return (found,) if last is None else (found, Function(last, ("results",)))
