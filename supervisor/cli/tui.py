"""`grist tui`: the screens, fed over the socket; leaving them leaves the daemon alone."""

from __future__ import annotations

import argparse

from gristmill.supervisor.cli.place import Place, place_of


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("--ascii", action="store_true", help="no glyphs beyond ASCII")
    parser.add_argument("--theme", metavar="NAME", help="dark, light, colour-blind or terminal-16")
    parser.add_argument("--no-mouse", action="store_true", help="leave the mouse to the terminal, to copy text")
    parser.add_argument("--read-only", action="store_true", help="show only; no key changes anything")


def run(args: argparse.Namespace) -> int:
    """Opens the screens."""
    return show(place_of(args), args)


def show(place: Place, args: argparse.Namespace) -> int:
    """Opens the screens on one jobs folder."""
    import importlib

    app = importlib.import_module("gristmill.tui.app")  # by name: the supervisor never depends on the screens
    return int(
        app.run(
            str(place.socket), str(place.jobs), ascii=getattr(args, "ascii", False),
            theme=getattr(args, "theme", None), read_only=getattr(args, "read_only", False),
            mouse=not getattr(args, "no_mouse", False),
        )
    )
