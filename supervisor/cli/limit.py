"""`grist limit`: how many workers may run."""

from __future__ import annotations

import argparse
from typing import Literal

from gristmill.supervisor.cli.place import place_of
from gristmill.supervisor.core.errors import GristError
from gristmill.supervisor.core.sanitise import safe

MOST = 4096


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("workers", nargs="?", metavar="N|auto", help="0 starts nothing new; without it: show the limit")


def run(args: argparse.Namespace) -> int:
    """Shows or sets it."""
    with place_of(args).connect() as client:
        if args.workers is None:
            limit = client.ask("status")["limit"]
            print(f"{limit['workers']} ({limit.get('mode', 'auto')}), {limit['busy']} busy: {safe(limit['reason'])}")
            return 0
        limit = workers(args.workers, "limit", "`grist limit 8` or `grist limit auto`")
        print(client.ask("limit", workers=None if limit == "auto" else limit)["message"])
    return 0


def workers(text: str, what: str, such: str) -> int | Literal["auto"]:
    """The limit that somebody named; raises GristError, which says what to write instead."""
    if text == "auto":
        return "auto"
    if not (text.isascii() and text.isdecimal() and int(text[:9]) <= MOST):
        raise GristError(f"{what} {text!r}: no number from 0 to {MOST} – say {such}")
    return int(text)


def option(text: str | None) -> int | Literal["auto"] | None:
    """The same for `--limit`; None where that is not given."""
    return None if text is None else workers(text, "--limit", "`--limit 8` or `--limit auto`")
