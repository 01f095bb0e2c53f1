"""`grist man`: the man page, as troff reads it."""

from __future__ import annotations

import argparse
import sys

from gristmill import __version__


def configure(_: argparse.ArgumentParser) -> None:
    """It has no options of its own."""


def run(_: argparse.Namespace) -> int:
    """Prints it."""
    from gristmill.supervisor.cli import verbs
    from gristmill.supervisor.core import manpage

    sys.stdout.write(manpage.page(verbs.all_verbs(), __version__))
    return 0
