"""`grist doctor`: looks at folders, daemon and machine, and says what is wrong with the command that mends it."""

from __future__ import annotations

import argparse
import dataclasses
import getpass
import json
import os
import stat
import sys
import time
from pathlib import Path
from typing import Any

from gristmill import __version__
from gristmill.supervisor.cli.place import Place, place_of
from gristmill.supervisor.core import diagnosis, unit
from gristmill.supervisor.core.errors import GristError, NoDaemonError
from gristmill.supervisor.core.readings import Ailment, DaemonReading, Readings, SettingsReading
from gristmill.supervisor.edge import confines, examination, folder, locks, places, survey
from gristmill.supervisor.edge import settings as sources
from gristmill.supervisor.edge import unit as units

PATIENCE_S = 5.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("--json", action="store_true", help="for programs: findings, and all that was read")


def run(args: argparse.Namespace) -> int:
    """Says what is found; 1 when something FAILs."""
    readings = read(place_of(args))
    findings = diagnosis.diagnose(readings)
    good = diagnosis.healthy(findings)
    if args.json:
        print(json.dumps({
            "schema": 1, "healthy": good, "findings": [dataclasses.asdict(finding) for finding in findings],
            "readings": dataclasses.asdict(readings),
        }))
    else:
        for finding in findings:
            print(diagnosis.line(finding))
    return 0 if good else 1


def read(place: Place) -> Readings:
    """Looks at everything; changes nothing."""
    sense = survey.Sense(places.file_system, places.REMOTE, folder.writable_by_others)
    daemon = daemon_of(place)
    pid, whose = (daemon.holder, "the daemon") if daemon.version and daemon.holder else (os.getpid(), "this shell")
    volume = survey.volume(place.state)
    package = os.path.dirname(os.path.abspath(units.__file__))
    return Readings(
        now=time.time(), version=__version__, root=os.geteuid() == 0,
        jobs=dataclasses.replace(survey.folder(place.jobs, sense), idle=survey.idle(place.jobs)),
        state=survey.folder(place.state, sense),
        volume=volume, daemon=daemon,
        session=examination.session(getpass.getuser(), unit_path(place)),
        limits=confines.limits(pid, whose), cgroup=confines.cgroup(pid), inotify=confines.inotify(place.jobs),
        machine=examination.machine(),
        python=examination.python(
            survey.loose([sys.executable, os.path.dirname(sys.executable), package], sense),
            survey.loose(os.environ.get("PATH", "").split(":"), sense),
        ),
        settings=settings_of(place, volume.total),
    )


def unit_path(place: Place) -> Path:
    """Where the unit of this jobs folder is, or would be."""
    return units.folder(os.environ) / unit.name(os.path.realpath(place.jobs))


def settings_of(place: Place, disk_total: int) -> SettingsReading:
    """What the settings files say, and what that comes to now and on a disk of this size."""
    files = sources.paths(place.jobs, os.environ)
    user, folder = map(str, files)
    if not any(map(present, files)):
        return SettingsReading(user, folder)
    from gristmill.supervisor.core import settings

    found = sources.SettingsFiles(files)
    try:
        now = found.read()
    except GristError as error:
        return SettingsReading(user, folder, faults=tuple(str(error).splitlines()))
    overruled = found.said.get(files[0], {}).keys() & found.said.get(files[1], {}).keys()
    said = tuple(
        (str(path), tuple(
            settings.worded(key, value) + (" (overruled)" if path == files[0] and key in overruled else "")
            for key, value in says.items()
        ))
        for path, says in found.said.items()
    )
    return SettingsReading(
        user, folder, said, polite=settings.words(now, sources.local()), disk_kept=now.disk_kept(disk_total)
    )


def present(path: Path) -> bool:
    """Whether there is anything at a path, be it out of reach."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True  # whoever opens it will say why that can't be done
    return True


def daemon_of(place: Place) -> DaemonReading:
    """Who holds the locks, and what the daemon says of itself."""
    holder, fault = held(place.state / "lock")
    elsewhere, _ = held(place.jobs / ".gristmill" / "lock")
    there, private = False, True
    try:
        status = os.lstat(place.socket)
        there, private = True, status.st_uid == os.geteuid() and not stat.S_IMODE(status.st_mode) & 0o077
    except OSError:
        pass  # no socket, or a folder that is not ours, which is told of the folder
    answer: dict[str, Any] = {}
    if there:
        try:
            with place.connect(PATIENCE_S) as client:
                answer = client.ask("status")["daemon"]
        except NoDaemonError as error:
            fault = fault or (str(error) if holder is not None else "")
        except GristError as error:
            fault = str(error)
    elif holder is not None:
        fault = f"there is no socket at {place.socket}"
    return DaemonReading(
        socket=str(place.socket), socket_bytes=len(os.fsencode(place.socket)), socket_there=there,
        socket_private=private, holder=holder, elsewhere=None if holder == elsewhere else elsewhere,
        version=answer.get("version", ""), ailments=ailments_of(answer), fault=fault,
    )


def held(lock: Path) -> tuple[int | None, str]:
    """Whose the lock is, and why that can't be told."""
    try:
        return locks.holder(lock), ""
    except OSError as error:
        return None, f"{lock}: {error.strerror}"


def ailments_of(answer: dict[str, Any]) -> tuple[Ailment, ...]:
    """The daemon's conditions; of an older daemon, which has none, the reason for which it is held."""
    now = time.time()
    found = [
        Ailment(view["kind"], view["reason"], view["since"], view.get("holds", True))
        for view in answer.get("conditions", [])
    ]
    if not found and answer.get("state") == "held":
        found.append(Ailment("held", answer.get("reason", ""), now, True))
    return tuple(found)
