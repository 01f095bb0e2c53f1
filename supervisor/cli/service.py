"""`grist service`: a systemd user unit for this jobs folder, so that its daemon runs from boot to shutdown.

Nothing that was changed by hand is overwritten or removed unless `--force` says so. What can't be done is said, with
what to type.
"""

from __future__ import annotations

import argparse
import getpass
import json
import os
import shlex
import sys
import time
from pathlib import Path

from gristmill.supervisor.cli.place import Place, place_of
from gristmill.supervisor.core import unit
from gristmill.supervisor.core.errors import GristError, NoDaemonError
from gristmill.supervisor.core.sanitise import safe
from gristmill.supervisor.edge import examination, locks, places
from gristmill.supervisor.edge import unit as units
from gristmill.supervisor.edge.folder import JobsFolder

READY_S = 15.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("what", choices=sorted(ACTIONS), metavar="install|uninstall|status")
    parser.add_argument("--linger", action="store_true", help="install: keep it going when you have logged out")
    parser.add_argument("--print", action="store_true", help="install: print the unit and touch nothing")
    parser.add_argument("--force", action="store_true", help="even if the unit was changed by hand")
    parser.add_argument("--json", action="store_true", help="status: for programs")


def run(args: argparse.Namespace) -> int:
    """Does one of the three."""
    return ACTIONS[args.what](args, place_of(args))


class Service:
    """The unit of one jobs folder, as a file and as systemd sees it."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.name = unit.name(os.path.realpath(place.jobs))
        self.path = units.folder(os.environ) / self.name
        self.manager = units.Manager(os.environ)
        self.user = getpass.getuser()

    @property
    def command(self) -> tuple[str, ...]:
        """What starts the daemon. `-P`: a file json.py in some folder is not Python's own json."""
        return (
            sys.executable, "-P", "-m", "gristmill.supervisor.cli", "daemon", "--quiet",
            "--jobs", os.fspath(self.place.jobs), "--state", os.fspath(self.place.state),
        )

    def text(self) -> str:
        """The unit as it is installed from here and now."""
        guide = Path(unit.__file__).resolve().parents[2] / "docs" / "administration.md"  # only in a checkout
        return unit.text(unit.Unit(
            self.command, os.fspath(self.place.jobs), os.environ.get("PATH", os.defpath),
            guide.as_uri() if guide.exists() else "",
        ))

    def typed(self, *words: str) -> str:
        """A systemctl command for people to type."""
        return shlex.join(("systemctl", "--user", *words, self.name))

    def keep_by_hand(self, force: bool) -> str | None:
        """The unit file as it is, None where there is none; raises GristError where somebody has changed it."""
        written = units.read(self.path)
        if written is not None and not unit.untouched(written) and not force:
            raise GristError(
                f"{self.path}: was changed by hand – put your lines into `{self.typed('edit')}`, then use --force"
            )
        return written


# ── install ───────────────────────────────────────────────────────────────────────────────────────────────────────


def install(args: argparse.Namespace, place: Place) -> int:
    """Writes the unit and has systemd start it; 2 when something is left to do."""
    service = Service(place)
    text = service.text()
    if args.print:
        print(text, end="")
        return 0
    JobsFolder(place.jobs).check()
    if (kind := places.file_system(place.state)) in places.REMOTE:
        raise GristError(f"{place.state}: lies on {kind}, where locks and databases break – name a local one: --state")
    absence = service.manager.absence()
    if absence.startswith("there is no "):
        return say_how_without(service, absence)
    written = service.keep_by_hand(args.force)
    if written != text:
        units.write(service.path, text)
    how = "written" if written is None else "as it was" if written == text else "renewed"
    print(f"{safe(str(service.path))}: {how}")
    if absence:
        return say_how_without(service, absence)
    code = start(service, changed=written not in (None, text))
    return say_of_logout(service, args.linger) or code


def start(service: Service, changed: bool) -> int:
    """Has systemd enable the unit, and start it unless a daemon is there already."""
    done = service.manager.systemctl("daemon-reload")
    running = locks.holder(service.place.state / "lock") or locks.holder(service.place.jobs / ".gristmill" / "lock")
    words = ("enable",) if running is not None else ("enable", "--now")
    if done.good:
        done = service.manager.systemctl(*words, service.name)
    if not done.good:
        print(f"grist: systemd: {safe(done.words)} – try again: {service.typed(*words)}", file=sys.stderr)
        return 2
    if running is None:
        return see_it_start(service)
    if service.manager.ask(service.name).get("MainPID") == str(running):
        print(f"runs, pid {running}" + (f"; the new unit counts from: {service.typed('restart')}" if changed else ""))
        return 0
    print(f"enabled, from the next start of the machine on: a daemon runs already (pid {running}) – hand over now, "
          f"tasks go on: grist shutdown && {service.typed('start')}")
    return 0


def see_it_start(service: Service) -> int:
    """Waits until the daemon answers; systemd itself calls a daemon started that ends a moment later."""
    end = time.monotonic() + READY_S
    while time.monotonic() < end:
        try:
            with service.place.connect(timeout=5) as client:
                print(f"runs, pid {client.ask('status')['daemon']['pid']}")
            return 0
        except NoDaemonError:
            if service.manager.ask(service.name).get("ActiveState") == "failed":
                break
        time.sleep(0.1)
    print(f"grist: it was started and does not answer – look: journalctl --user -u {service.name}", file=sys.stderr)
    return 2


def say_of_logout(service: Service, linger: bool) -> int:
    """Has services of this user outlive a logout, or says that they don't."""
    if linger:
        done = service.manager.enable_linger(service.user)
        if not done.good:
            print(f"grist: linger: {safe(done.words)} – ask an administrator: "
                  f"sudo loginctl enable-linger {shlex.quote(service.user)}", file=sys.stderr)
            return 2
        print(f"linger is on for {safe(service.user)}: a logout ends nothing")
    elif not examination.lingers(service.user):
        print("linger is off: your last logout ends the service and its tasks – grist service install --linger")
    return 0


def say_how_without(service: Service, why: str) -> int:
    """What to do where systemd does not answer."""
    print(f"grist: no systemd of yours answers: {safe(why)}", file=sys.stderr)
    if not why.startswith("there is no "):
        print(f"where it does, type: systemctl --user daemon-reload && {service.typed('enable', '--now')}")
    print("a daemon goes on without it:")
    for what, line in unit.by_hand(service.command):
        print(f"  {what}:\n    {safe(line)}")
    return 2


# ── uninstall, status ─────────────────────────────────────────────────────────────────────────────────────────────


def uninstall(args: argparse.Namespace, place: Place) -> int:
    """Stops the service and removes its unit; its running tasks go on."""
    service = Service(place)
    if service.keep_by_hand(args.force) is None:
        print(f"{safe(str(service.path))}: not there, nothing to do")
        return 0
    absence = service.manager.absence()
    if not absence:
        done = service.manager.systemctl("disable", "--now", service.name)
        if not done.good:
            raise GristError(f"systemd: {done.words} – try again: {service.typed('disable', '--now')}")
    service.path.unlink()
    print(f"{safe(str(service.path))}: removed; running tasks go on, the next daemon takes them over")
    if not absence:
        service.manager.systemctl("daemon-reload")
        return 0
    (service.path.parent / "default.target.wants" / service.name).unlink(missing_ok=True)
    if (running := locks.holder(place.state / "lock")) is not None:
        print(f"a daemon still runs (pid {running}) – grist shutdown")
    return 0


def status(args: argparse.Namespace, place: Place) -> int:
    """Says what there is; 3 when the service does not run."""
    service = Service(place)
    written = units.read(service.path)
    seen = service.manager.ask(service.name)
    running = locks.holder(place.state / "lock")
    ours = running is not None and seen.get("MainPID") == str(running)
    facts = {
        "unit": str(service.path), "installed": written is not None,
        "changed_by_hand": written is not None and not unit.untouched(written),
        "current": written == service.text(), "enabled": seen.get("UnitFileState") == "enabled",
        "active": seen.get("ActiveState", ""), "result": seen.get("Result", ""), "daemon_pid": running,
        "daemon_is_service": ours, "linger": examination.lingers(service.user), "systemd": service.manager.absence(),
    }
    if args.json:
        print(json.dumps({"schema": 1, **facts}))
    else:
        for line in described(service, facts):
            print(safe(line))
    return 0 if ours else 3


def described(service: Service, facts: dict[str, object]) -> list[str]:
    """The facts as lines for people."""
    if not facts["installed"]:
        lines = [f"{service.path}: not installed – grist service install"]
    elif facts["changed_by_hand"]:
        lines = [f"{service.path}: installed, changed by hand"]
    elif facts["current"]:
        lines = [f"{service.path}: installed"]
    else:
        lines = [f"{service.path}: installed, with another PATH, Python or version – grist service install"]
    if facts["systemd"]:
        lines.append(f"no systemd of yours answers: {facts['systemd']}")
    elif facts["installed"]:
        enabled = "enabled" if facts["enabled"] else f"not enabled – {service.typed('enable', '--now')}"
        lines.append(f"systemd: {facts['active']} ({facts['result']}), {enabled}")
    if facts["daemon_pid"] is None:
        lines.append("no daemon runs")
    else:
        lines.append(f"a daemon runs, pid {facts['daemon_pid']}, "
                     f"{'as this service' if facts['daemon_is_service'] else 'started otherwise'}")
    lines.append(f"linger is {'on' if facts['linger'] else 'off – grist service install --linger'}")
    return lines


ACTIONS = {"install": install, "uninstall": uninstall, "status": status}
