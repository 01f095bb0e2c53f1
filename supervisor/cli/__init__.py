"""The command `grist`: one verb, one file, over the socket.

Only the verb that was typed is imported, so that `grist status` answers at once; asyncio, rich, numpy and textual
are imported by the verbs that need them, when they run.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import io
import os
import sys
from typing import TextIO

from gristmill import __version__
from gristmill.supervisor.core.errors import GristError

VERBS = {
    "up": "start the daemon if none runs, and open the screens",
    "daemon": "run the daemon in the foreground",
    "tui": "open the screens of a running daemon",
    "web": "show the screens in a browser, on this machine alone",
    "add": "add a job from the command line",
    "submit": "hand job files to the daemon, here or on another machine",
    "export": "write a job as a plain script for Slurm",
    "check": "say what a job file would run, or what is wrong with it",
    "status": "show jobs, or the tasks of one job",
    "explain": "say why so many workers run, or why a job or task waits, runs or ended so",
    "simulate": "say when the queue will end, and when it would if something were otherwise",
    "log": "print or follow the log of a task",
    "results": "print what the tasks of a job gave back",
    "wait": "wait for jobs to end; exits with 1 when one failed",
    "cancel": "cancel jobs or tasks",
    "retry": "run ended tasks again",
    "hold": "have jobs start nothing more until they are released",
    "release": "let held jobs go on",
    "priority": "say which jobs go first",
    "pause": "start nothing new, of any job; what runs goes on",
    "start": "start tasks again after `grist pause`",
    "events": "print what happens, as JSON lines",
    "metrics": "print figures for Prometheus, or write them for node_exporter",
    "who": "show the daemons of all users of this machine who allow it",
    "clean": "remove what ended jobs left, by age or by name",
    "remove": "remove what these ended jobs left",
    "limit": "set how many workers may run, or let the governor find it",
    "replay": "decide a recorded trace of the governor once more, and compare",
    "service": "have systemd keep a daemon on this jobs folder",
    "doctor": "look for what is wrong with folders, daemon and machine, each with its mend",
    "shutdown": "stop the daemon; running tasks go on unless --kill",
    "demo": "run the examples and measure what the machine can do",
    "completion": "print what a shell needs to complete what you type",
    "man": "print the man page",
}

STATE_ACTION = {"status": "append"}
"""`status JOB --state failed` means a task's state and `--state DIR` the folder: that verb tells them apart."""

EPILOG = """\
The jobs folder is --jobs, GRIST_JOBS, or the nearest folder jobs/ upward. Drop a job file into it, and it runs.
Exit codes: 0 good, 1 a job failed, 2 usage or a bad job file, 3 no daemon, 4 the wait ended first."""


class _Parser(argparse.ArgumentParser):
    """The parser of a verb, whose help ends with examples; they are loaded for that alone."""

    def format_help(self) -> str:
        """The help, with the examples below it."""
        from gristmill.supervisor.cli.examples import below

        notes = self.epilog
        self.epilog = "\n\n".join(filter(None, (notes, below(self.prog.rpartition(" ")[2]))))
        try:
            return super().format_help()
        finally:
            self.epilog = notes


def parser_of(verb: str) -> argparse.ArgumentParser:
    """The parser of a verb alone."""
    for action in parser_for(verb)._subparsers._group_actions:  # type: ignore[union-attr]
        found: argparse.ArgumentParser = action.choices[verb]  # type: ignore[index]
        return found
    raise KeyError(verb)


def parser_for(verb: str | None) -> argparse.ArgumentParser:
    """The parser of `verb` alone, with its arguments, or of all verbs without any where that is none: making them all
    takes longer than the quick ones do."""
    parser = argparse.ArgumentParser(
        prog="grist", description="Drop a job file into a folder; the machine does the rest.", epilog=EPILOG,
        formatter_class=_help_format(),
    )
    parser.add_argument("--version", action="version", version=f"gristmill {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, prog="grist", parser_class=_Parser)
    for name, summary in VERBS.items() if verb not in VERBS else ((verb, VERBS[verb]),):
        sub = verbs.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".",
                               formatter_class=_help_format())
        sub.add_argument("--jobs", metavar="DIR", help="the jobs folder")
        sub.add_argument("--state", metavar="DIR", action=STATE_ACTION.get(name, "store"),
                         help="the state folder (default: one per jobs folder)")
        if name == verb:
            importlib.import_module(f"gristmill.supervisor.cli.{name}").configure(sub)
    return parser


def _help_format() -> type[argparse.HelpFormatter]:
    """Colours for --help alone: importing them costs more than most verbs."""
    if {"-h", "--help"} & set(sys.argv) and sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
        from rich_argparse import RawDescriptionRichHelpFormatter

        return RawDescriptionRichHelpFormatter
    return _Plain


class _Plain(argparse.RawDescriptionHelpFormatter):
    """As argparse's own, which makes one for each argument and loads `shutil` for the width of the terminal."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_columns() - 2)


def _columns() -> int:
    """The terminal's, by the rule of `shutil.get_terminal_size`."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return int(columns)
    try:
        return os.get_terminal_size(1).columns or 80
    except OSError:
        return 80


def main(argv: list[str] | None = None) -> int:
    """Runs one command; the one place where a fault becomes a line and an exit code."""
    words = sys.argv[1:] if argv is None else argv
    _bear_glyphs(sys.stdout)
    try:
        args = understood(words)
        code = int(importlib.import_module(f"gristmill.supervisor.cli.{args.verb}").run(args))
        sys.stdout.flush()  # here, where a reader that has gone is no fault, rather than at the very end
        return code
    except GristError as error:
        _complain(str(error))
        return error.code
    except BrokenPipeError:
        _drop_output()  # `grist … | head` is no fault
        return 0
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT) or error.filename is not None:
            raise
        _drop_output()
        _complain(f"what it writes finds no room: {error.strerror}")
        return 2
    except KeyboardInterrupt:
        return 130


def _bear_glyphs(stream: TextIO) -> None:
    """Has a terminal or file whose encoding knows few characters get question marks for the others."""
    if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict" and "utf" not in stream.encoding.lower():
        stream.reconfigure(errors="replace")


def _complain(words: str) -> None:
    """Says what is wrong; whatever stands in it, names of files and answers of the daemon, a terminal obeys nothing."""
    from gristmill.supervisor.core.sanitise import safe

    print("grist: " + "\n".join(map(safe, words.split("\n"))), file=sys.stderr)


def _drop_output() -> None:
    """Nobody takes what is still to be printed: it goes nowhere, so that no later flush meets the same."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def understood(words: list[str]) -> argparse.Namespace:
    """What was typed. GristError for a verb that there is not, SystemExit after help and for what is no option."""
    verb = next((word for word in words if not word.startswith("-") or word in ("-h", "--help")), None)
    if not words:
        parser_for(None).print_help(sys.stderr)
        raise SystemExit(2)
    if verb is not None and verb not in VERBS and not verb.startswith("-"):
        import difflib

        near = difflib.get_close_matches(verb, VERBS, 1)
        mend = f"did you mean {near[0]}? All are listed" if near else "all are listed"
        raise GristError(f"no command {verb!r} – {mend} by `grist --help`")
    args, unknown = parser_for(verb).parse_known_args(words)
    if unknown:
        parser_of(args.verb).error(f"unrecognized arguments: {' '.join(unknown)} – `grist {args.verb} --help`")
    return args
