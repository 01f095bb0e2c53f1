"""A terminal for a task that wants to see one."""

from __future__ import annotations

import array
import fcntl
import os
import re
import termios

from .output import Output

PTY_SIZE = (24, 80)  # rows and columns of the terminal that a task is given on request
PTY_ROUND = 1 << 20  # bytes taken from it in one go, so that a task that floods it keeps nothing else waiting
PTY_SIGNS = re.compile(
    rb"\x1b(?:\[[0-?]*[ -/]*[@-ln-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()*+#%][0-9A-Za-z@]|[=>78DEHMNOZc])"
)  # what moves the cursor and sets up a terminal; colours end in "m" and stay
PTY_BEGUN = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b]{0,4096}\x1b?|[()*+#%]?)\Z")


class Terminal:
    """A terminal for a task that wants to see one: what is written to it goes into a log.

    Nobody's controlling terminal, and nothing is ever typed: who asks for a password on /dev/tty finds none. Lines end
    as they were ended, progress bars rewrite theirs by carriage returns, colours stay; other control sequences go.
    """

    def __init__(self, output: Output) -> None:
        self.output = output
        self.fd, self.slave = os.openpty()
        os.set_blocking(self.fd, False)
        modes = termios.tcgetattr(self.slave)
        modes[1] &= ~termios.OPOST
        modes[3] &= ~(termios.ECHO | termios.ICANON)
        termios.tcsetattr(self.slave, termios.TCSANOW, modes)
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, array.array("H", [*PTY_SIZE, 0, 0]))
        self.begun = b""  # of a control sequence whose end is yet to come

    def begin(self) -> None:
        """The task has its end."""
        os.close(self.slave)
        self.slave = -1

    def take(self, most: int = PTY_ROUND) -> bool:
        """Moves what was written into the log; False when nobody is left to write."""
        while most > 0:
            try:
                data = os.read(self.fd, 1 << 16)
            except BlockingIOError:
                return True
            except OSError:
                return False
            most -= len(data)
            self.write(self.begun + data)
        return True

    def write(self, data: bytes) -> None:
        begun = PTY_BEGUN.search(data, max(0, len(data) - 4200))
        self.begun = b"" if begun is None else begun[0]
        text = PTY_SIGNS.sub(b"", data[: len(data) - len(self.begun)])
        try:
            while text:
                text = text[os.write(self.output.fd, text) :]
        except OSError:
            pass  # no room: what a task writes to a full disk itself is gone as well

    def close(self) -> None:
        """Takes what is left."""
        if self.slave >= 0:
            self.begin()
        self.take(1 << 24)  # the buffer of a terminal is far less; one who has it open still may write on
        os.close(self.fd)
