"""Live readings of the machine and of our processes: CPU, memory, pressure, disk. It draws no conclusion.

`machine` takes one look after another and puts together what the rest reads: `cores` the CPU that we may use,
`memory` the memory, `pressure` who waits for what, `census` the processes, `accounts` whose CPU time it is, `waits`
how long they waited for more of it, and `portions` memory that several processes share.
"""

from gristmill.supervisor.edge.sampler.machine import Sampler
from gristmill.supervisor.edge.sampler.sample import Sample, Tree

__all__ = ["Sample", "Sampler", "Tree"]
