"""`grist log TASK`: what a task printed; `-f` follows it until it ends. Memory stays flat, whatever is in the log."""

from __future__ import annotations

import argparse
import codecs
import io
import os
import sys
import time
from typing import Any, Protocol, TextIO

from gristmill.supervisor.cli.place import place_of
from gristmill.supervisor.core import sanitise
from gristmill.supervisor.core.cuts import Follower
from gristmill.supervisor.core.errors import GristError
from gristmill.supervisor.edge.client import Client

POLL_S = 0.2
CUT_S = 5.0
"""How long what belongs behind a cut is waited for: a worker writes it at once, but may get no core for a while."""
CHUNK = 1 << 16
LINE = 1 << 13
"""Characters of a line that are held until its end is seen."""
SEQUENCE = 64
"""Characters that a colour's control sequence has at most."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("task", metavar="JOB[/TASK]", help="such as 12/3, or 12 for a job with one task")
    parser.add_argument("-f", "--follow", action="store_true", help="go on until the task ends")
    parser.add_argument("--err", action="store_true", help='standard error, of a job with stderr = "own"')
    parser.add_argument("--attempt", type=int, metavar="N", help="of a task that was tried again: attempt N, from 1")
    parser.add_argument("-n", "--lines", type=int, metavar="N", help="only the last N lines")


def run(args: argparse.Namespace) -> int:
    """Prints the log; on a terminal everything but colours is made visible instead of obeyed."""
    with place_of(args).connect() as client:
        facts, again = ask(client, args), False
        while (fd := opened(facts["path"])) is None:
            if args.follow and facts["state"] in ("queued", "starting", "running", "paused"):
                time.sleep(POLL_S)
            elif again:
                print(f"{args.task} is {facts['state']} and has written nothing", file=sys.stderr)
                return 0
            facts, again = ask(client, args), True  # a log that got its final name this moment is found by it
        out: Out = Terminal(sys.stdout) if sys.stdout.isatty() else Pipe()
        try:
            follow(client, args, fd, out)
        finally:
            os.close(fd)
            out.end()
    return 0


def ask(client: Client, args: argparse.Namespace) -> dict[str, Any]:
    """Where the log is, and whether it still grows."""
    which = {} if args.attempt is None else {"attempt": args.attempt}
    found: dict[str, Any] = client.ask("log", task=args.task, err=args.err, **which)
    return found


def opened(path: str | None) -> int | None:
    """The descriptor of a log, None where there is none yet, or where it was renamed this moment."""
    try:
        return None if path is None else os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise GristError(f"{path}: can't be read: {error.strerror}") from error


class Out(Protocol):
    """Where a log is copied to."""

    def write(self, chunk: bytes) -> None:
        """Takes the next bytes."""

    def rest(self) -> None:
        """Shows all that was taken: nothing more has come for now."""

    def end(self) -> None:
        """Leaves things as they were found."""


def follow(client: Client, args: argparse.Namespace, fd: int, out: Out) -> None:
    """Copies the file, and with --follow what is added to it until the task has ended."""

    def read(start: int, length: int) -> bytes:
        return os.pread(fd, length, start)

    log = Follower(read, lambda: os.fstat(fd).st_size, 0 if args.lines is None else last_lines(fd, args.lines))
    while True:
        live = args.follow and ask(client, args)["live"]
        while chunk := following(log):
            out.write(chunk)
        out.rest()
        if not live:
            return
        time.sleep(POLL_S)


def following(log: Follower) -> bytes:
    """What comes next; from the beginning when the log was cut, but not by its worker."""
    end = time.monotonic() + CUT_S
    while (chunk := log.take(CHUNK)) is None:
        if time.monotonic() > end:
            print("grist: the log was emptied or replaced by somebody; what it holds now:", file=sys.stderr)
            log.restart()
        time.sleep(0.01)  # cut, and what belongs behind the cut is still to be written
    return chunk


def last_lines(fd: int, lines: int) -> int:
    """Where the last `lines` lines begin; walks back block by block and keeps none."""
    place = end = os.fstat(fd).st_size
    if lines <= 0:
        return end
    left = lines + (1 if end and os.pread(fd, 1, end - 1) == b"\n" else 0)
    while place > 0:
        start = max(0, place - CHUNK)
        block = os.pread(fd, place - start, start)
        at = len(block)
        while (at := block.rfind(b"\n", 0, at)) >= 0:
            left -= 1
            if left == 0:
                return start + at + 1
        place = start
    return 0


class Pipe:
    """A file or a pipe: the bytes as they are."""

    def write(self, chunk: bytes) -> None:
        """Copies them."""
        sys.stdout.buffer.write(chunk)

    def rest(self) -> None:
        """Lets whoever reads have them."""
        sys.stdout.buffer.flush()

    def end(self) -> None:
        """Nothing to mend."""


class Terminal:
    """Text and colours; any other control sequence as visible text. A line without end is shown in pieces."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        if isinstance(out, io.TextIOWrapper):
            out.reconfigure(errors="replace")  # a terminal that knows few characters gets question marks
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._line = ""  # of the last line: what was not shown yet
        self._begun = self._coloured = False  # whether something of it was shown

    def write(self, chunk: bytes) -> None:
        """Shows whole lines, and what is too much to hold of one that is not whole yet."""
        *lines, self._line = (self._line + self._decoder.decode(chunk)).split("\n")
        for line in lines:
            self._show(line)
            self._out.write("\n")
            self._begun = False
        while len(self._line) > LINE:
            cut = unbroken(self._line[:LINE])
            self._show(self._line[:cut])
            self._line = self._line[cut:]

    def rest(self) -> None:
        """Shows the line that is not whole yet, such as a question or a bar of progress."""
        cut = unbroken(self._line)
        self._show(self._line[:cut])
        self._line = self._line[cut:]
        self._out.flush()

    def _show(self, text: str) -> None:
        if self._begun and "\r" in text.rstrip("\r"):
            self._out.write("\r\x1b[K")  # a bar that rewrites itself; this return is ours
        shown = sanitise.coloured(text)
        self._begun = self._begun or bool(shown)
        self._coloured = self._coloured or "\x1b" in shown
        self._out.write(shown)

    def end(self) -> None:
        """Shows what was left unfinished, and ends colours that the log left on."""
        self._show(self._line + self._decoder.decode(b"", final=True))
        self._out.write("\x1b[0m" if self._coloured else "")
        self._out.flush()


def unbroken(text: str) -> int:
    """How much of an unfinished line can be shown without tearing a control sequence or a return apart."""
    last = text.rfind("\x1b", max(0, len(text) - SEQUENCE))
    if last >= 0 and "m" not in text[last:]:
        return last
    return len(text) - 1 if text.endswith("\r") else len(text)
