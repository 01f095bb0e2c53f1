"""`grist who`: the daemons of all users of this machine who allow it, their limits and their load."""

from __future__ import annotations

import argparse
import json
import os
import pwd
import time

import msgspec

from gristmill.supervisor.cli.table import print_table
from gristmill.supervisor.core import figures, placard
from gristmill.supervisor.core.placard import Shown
from gristmill.supervisor.core.sanitise import safe
from gristmill.supervisor.edge.board import Board, Found, base


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.epilog = (
        "A daemon is shown when the setting public = true allows it: its figures alone, no names and no paths. BUSY\n"
        "is of the limit, WHY what binds it, LEFT the items that have not ended, CORES and MEMORY what its tasks\n"
        "use."
    )
    parser.add_argument("--json", action="store_true", help="for programs")


def run(args: argparse.Namespace) -> int:
    """Shows them; needs no daemon."""
    now = time.time()
    found, refused = Board(base(os.environ)).read()
    shown: list[Shown] = []
    for one in found:
        try:
            known = placard.decode(one.data)
        except ValueError as error:
            refused.append(f"a card of user {one.uid}: {error}")
            continue
        if placard.is_fresh(known, now) and alive(known.pid, one):
            shown.append(Shown(user=name(one.uid), uid=one.uid, card=known))
    if args.json:
        print(json.dumps({"schema": placard.SCHEMA, "daemons": msgspec.to_builtins(shown), "refused": refused}))
        return 0
    load, cores = os.getloadavg(), len(os.sched_getaffinity(0))
    used = sum(one.card.cores for one in shown)
    print(f"{len(shown)} daemon{'' if len(shown) == 1 else 's'} on {cores} cores: {used:.1f} cores and "
          f"{figures.size(sum(one.card.memory_bytes for one in shown))} in use by their tasks; load {load[0]:.1f}")
    if shown:
        print_table([tuple(map(safe, row)) for row in placard.rows(shown, now)])
    for line in refused:
        print(f"! {safe(line)}")
    return 0


def alive(pid: int, found: Found) -> bool:
    """Whether that process is that user's, as far as it can be seen from here."""
    try:
        return os.stat(f"/proc/{pid}").st_uid == found.uid
    except OSError:
        return _hidden()


def _hidden() -> bool:
    """Whether processes of others are hidden here; then a card that is fresh is believed."""
    return not os.path.exists("/proc/1")


def name(uid: int) -> str:
    """The user's name, or the number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
