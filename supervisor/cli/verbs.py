"""All commands as values (`core.commands`), read from the parsers behind `--help`, for completion, man and docs."""

from __future__ import annotations

import argparse

from gristmill.supervisor.cli import VERBS, parser_of
from gristmill.supervisor.cli.examples import EXAMPLES
from gristmill.supervisor.core.commands import Argument, Option, Verb

COMMON = "[-h] [--jobs DIR] [--state DIR]"


def all_verbs() -> list[Verb]:
    """Every verb with all that it takes, in the order of the help."""
    return [verb(name) for name in VERBS]


def verb(name: str) -> Verb:
    """One of them."""
    parser = parser_of(name)
    options, arguments = [], []
    for action in parser._actions:  # argparse has no other way to ask
        if action.help == argparse.SUPPRESS:
            continue
        choices = tuple(map(str, action.choices or ()))
        if action.option_strings:
            value = "" if action.nargs == 0 else str(action.metavar or action.dest.upper())
            options.append(Option(tuple(action.option_strings), value, _help(action), choices))
        else:
            arguments.append(Argument(str(action.metavar or action.dest.upper()), _help(action), choices))
    usage = " ".join(parser.format_usage().removeprefix("usage: ").split()).replace(f" {COMMON}", "")
    notes = " ".join((parser.epilog or "").split())
    return Verb(name, VERBS[name], usage, tuple(options), tuple(arguments), notes, EXAMPLES[name])


def _help(action: argparse.Action) -> str:
    return (action.help or "").replace("%%", "%")
