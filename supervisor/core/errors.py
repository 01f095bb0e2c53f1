"""What can go wrong, split by whose fault it is; the docstring of a class is its meaning to a user.

One `GristError` reaches the command line, which prints it as one line and exits with its `code`.
"""

from __future__ import annotations

from typing import NamedTuple


class GristError(Exception):
    """Something that a user can mend; its text is one line that names the mend."""

    code = 2


class NoDaemonError(GristError):
    """No daemon answers for this jobs folder."""

    code = 3


class FolderError(GristError):
    """The jobs folder or the state folder can't be used as it is."""


class NoRoomError(FolderError):
    """What must be written can't be now, for lack of room or of descriptors: worth another try."""


class RequestError(GristError):
    """A request over the socket that can't be carried out as asked."""


class Problem(NamedTuple):  # no dataclass: importing those takes longer than the quick commands do
    """One thing wrong in a job file. `line` and `column` count from 1; 0 where the file as a whole is meant."""

    line: int
    column: int
    what: str
    mend: str

    def located(self, file: str) -> str:
        """The line shown to the user: `file:line:column: what is wrong – the mend`."""
        place = f"{file}:{self.line}:{self.column}" if self.line else file
        return f"{place}: {self.what} – {self.mend}"


class ProblemsError(GristError):
    """A file that can't be understood; carries every problem found, not only the first."""

    def __init__(self, file: str, problems: tuple[Problem, ...]) -> None:
        self.file = file
        self.problems = problems
        super().__init__("\n".join(problem.located(file) for problem in problems))


class JobFileError(ProblemsError):
    """A job file that can't be accepted."""
