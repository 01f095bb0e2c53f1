"""`grist web`: the screens in a browser, on this machine alone and behind a token."""

from __future__ import annotations

import argparse
import shlex
import sys

from gristmill.supervisor.cli.place import place_of
from gristmill.supervisor.core.errors import GristError

PORT = 8765


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("--port", type=int, default=PORT, metavar="N", help=f"on 127.0.0.1 (default {PORT})")
    parser.add_argument("--theme", metavar="NAME", help="dark, light, colour-blind or terminal-16")
    parser.add_argument("--read-only", action="store_true", help="show only; no key changes anything")
    parser.epilog = "Open the address that it prints; from your own machine: ssh -L 8765:127.0.0.1:8765 SERVER"


def run(args: argparse.Namespace) -> int:
    """Serves until Ctrl-C."""
    import importlib

    place = place_of(args)
    if not 1 <= args.port <= 65535:
        raise GristError(f"--port {args.port}: a number from 1 to 65535")
    try:
        site = importlib.import_module("gristmill.tui.web")
    except ModuleNotFoundError as error:
        raise GristError(f"grist web needs {error.name} – install it: pip install 'gristmill[web]'") from error
    words = [sys.executable, "-m", "gristmill.supervisor.cli", "tui"]
    words += ["--jobs", str(place.jobs), "--state", str(place.state)]
    words += ["--theme", args.theme] if args.theme else []
    words += ["--read-only"] if args.read_only else []
    try:
        return int(site.run("exec " + shlex.join(words), args.port, f"grist – {place.jobs}"))
    except OSError as error:
        raise GristError(f"port {args.port}: {error.strerror or error} – name another with --port") from error
