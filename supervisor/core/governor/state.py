"""All that the governor remembers from period to period; serialisable, so that a restart of the daemon loses nothing.

Owns the shape alone, and which part of it outlives the daemon.
"""

from __future__ import annotations

import msgspec

from gristmill.supervisor.core.governor.brake import Brake
from gristmill.supervisor.core.governor.kinds import Kind
from gristmill.supervisor.core.governor.memory import Memory
from gristmill.supervisor.core.governor.offer import Offer
from gristmill.supervisor.core.governor.others import Others
from gristmill.supervisor.core.governor.rates import Rates
from gristmill.supervisor.core.governor.search import Search

TABLES = 20
"""Tables of rates that are kept, one for each kind that prevailed."""


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """Where a task was when its progress was last counted: age, CPU spent, progress 0…1, and the sum of busy workers
    over time up to then."""

    age: float
    spent: float
    progress: float
    busy: float


class State(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is remembered. `mix` is each kind's recent share of the busy workers, `prevailing` the kind whose table of
    rates is in use; `demand` what others wanted when progress was last trusted."""

    at: float | None = None
    kinds: dict[str, Kind] = {}
    others: Others = Others()
    demand: float = 0.0
    rates: dict[str, Rates] = {}
    mix: dict[str, float] = {}
    prevailing: str = ""
    search: Search = Search()
    memory: Memory = Memory()
    offer: Offer = Offer()
    brake: Brake = Brake()
    marks: dict[str, Mark] = {}
    worked: float = 0.0
    """Workers busy, summed over time: means over a task's life are differences of it."""
    limit: int = 0
    fitting: tuple[int, float, float] | None = None
    """How many workers memory was last seen to allow, when, and how many bytes others held then."""
    raised: float = 0.0
    """When the limit was last raised beside others."""
    overfull: float = 0.0
    """For how many seconds the tasks that run have wanted far more than the cores that are ours."""
    ages: float | None = None
    """For how many seconds the tasks that run have run, in all; None while no work waits."""


def lasting(state: State) -> State:
    """What holds after a restart of the daemon: what was learned of kinds, not where the machine was."""
    return State(kinds=state.kinds, rates={name: rates.doubt() for name, rates in state.rates.items()})
