"""The machine that tasks will find: the environment of a job, and whether its folders and programs are there.

Reads folders and files, starts nothing and changes nothing.
"""

from gristmill.supervisor.edge.environment.entry import Entered, base, entering, interpreter, signs
from gristmill.supervisor.edge.environment.lacks import Complaint, examine

__all__ = ["Complaint", "Entered", "base", "entering", "examine", "interpreter", "signs"]
