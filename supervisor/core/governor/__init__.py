"""How many workers may run now: readings and a state go in, a new state and a decision with its reason come out.

Pure and replayable: no clock, no psutil, no chance of its own.
"""

from gristmill.supervisor.core.governor.first import GB as GB
from gristmill.supervisor.core.governor.first import Decision as Decision
from gristmill.supervisor.core.governor.first import Load as Load
from gristmill.supervisor.core.governor.first import Reading as Reading
from gristmill.supervisor.core.governor.first import State as State
from gristmill.supervisor.core.governor.first import cpu_ceiling as cpu_ceiling
from gristmill.supervisor.core.governor.first import decide as decide
from gristmill.supervisor.core.governor.first import expected_smaller as expected_smaller
from gristmill.supervisor.core.governor.first import memory_alarm as memory_alarm
