"""Every branch of the doctor's judgement, from literal readings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gristmill.supervisor.core import diagnosis
from gristmill.supervisor.core.readings import (
    Ailment,
    CgroupReading,
    DaemonReading,
    Finding,
    FolderReading,
    InotifyReading,
    Level,
    LimitsReading,
    MachineReading,
    PythonReading,
    Readings,
    SessionReading,
    SettingsReading,
    VolumeReading,
)

GIB = 1 << 30
NOW = 1_790_000_000.0

SOUND = Readings(
    now=NOW, version="0.1.0", root=False,
    jobs=FolderReading("/home/ann/jobs", modified=NOW - 60),
    state=FolderReading("/home/ann/.local/state/gristmill/ann-1", mode=0o700, modified=NOW - 5),
    volume=VolumeReading(free=50 * GIB, total=100 * GIB, inodes_free=6_000_000, inodes=6_500_000),
    daemon=DaemonReading("/home/ann/.local/state/gristmill/ann-1/socket", 45, socket_there=True, holder=77,
                         version="0.1.0"),
    session=SessionReading("ann", linger=True),
    limits=LimitsReading("the daemon", files=1024, files_most=524288, processes=62000, used=210),
    cgroup=CgroupReading(2, "/user.slice", processes=20000, processes_now=230),
    inotify=InotifyReading(128, 65536),
    machine=MachineReading("Linux 6.1.0", cores=16, memory=64 * GIB),
    python=PythonReading((3, 11, 2), "/home/ann/.venv/bin/python", sqlite="3.40.1"),
    settings=SettingsReading("/home/ann/.config/gristmill/settings.toml", "/home/ann/jobs/.gristmill/settings.toml"),
)


def changed(part: str, **fields: Any) -> Readings:
    """Sound readings but for these fields of one part."""
    return replace(SOUND, **{part: replace(getattr(SOUND, part), **fields)})


def bad(readings: Readings) -> list[Finding]:
    return [finding for finding in diagnosis.diagnose(readings) if finding.level is not Level.OK]


def test_a_sound_machine_has_one_good_line_of_each_check_and_no_other() -> None:
    findings = diagnosis.diagnose(SOUND)
    assert [finding.check for finding in findings] == [
        "jobs folder", "state folder", "disk", "daemon", "settings", "logout", "limits", "cgroup", "kernel",
        "pressure", "inotify", "clock", "python",
    ]
    assert bad(SOUND) == []
    assert diagnosis.healthy(findings)
    assert all(len(diagnosis.line(finding)) <= 120 for finding in findings)


@pytest.mark.parametrize(
    ("part", "fields", "level", "found", "mend"),
    [
        ("jobs", {"kind": ""}, "FAIL", "/home/ann/jobs: not there", "mkdir -p /home/ann/jobs"),
        ("jobs", {"kind": "", "fault": "Permission denied"}, "FAIL", "Permission denied", "--jobs"),
        ("jobs", {"idle": ("my run",)}, "warn", "my run: a script that is not executable, so nothing takes it",
         "chmod +x '/home/ann/jobs/my run'"),
        ("jobs", {"kind": "other"}, "FAIL", "not a folder", "--jobs"),
        ("jobs", {"ours": False}, "FAIL", "another user", "--jobs"),
        ("jobs", {"others_may_write": True, "mode": 0o777}, "FAIL", "mode 0777, others may write",
         "chmod go-w /home/ann/jobs"),
        ("jobs", {"usable": False, "mode": 0o055}, "FAIL", "mode 0055, can't be read", "chmod u+rwx /home/ann/jobs"),
        ("jobs", {"in_memory": True, "file_system": "tmpfs"}, "warn", "on tmpfs, a restart", "--jobs"),
        ("jobs", {"loose": "/home/lab"}, "warn", "/home/lab: others may write", "chmod go-w /home/lab"),
        ("jobs", {"foreign": "/home/prof"}, "warn", "/home/prof: belongs to another user", ""),
        ("state", {"fault": "Permission denied", "kind": ""}, "FAIL", "Permission denied", "export GRIST_STATE="),
        ("state", {"kind": "other"}, "FAIL", "not a folder", "export GRIST_STATE="),
        ("state", {"remote": True, "file_system": "nfs4"}, "FAIL", "on nfs4, where locks and databases break",
         "export GRIST_STATE="),
        ("state", {"kind": "", "usable": False}, "FAIL", "can't be made", "export GRIST_STATE="),
        ("state", {"usable": False}, "FAIL", "can't be read and written", "export GRIST_STATE="),
        ("state", {"ours": False}, "FAIL", "another user", "export GRIST_STATE="),
        ("state", {"mode": 0o755}, "warn", "mode 0755, others can look", "chmod 700 /home/ann/.local/state/"),
        ("state", {"in_memory": True, "file_system": "tmpfs"}, "warn", "on tmpfs, a restart", "export GRIST_STATE="),
        ("state", {"loose": "/home/lab"}, "warn", "/home/lab: others may write", "chmod go-w /home/lab"),
        ("volume", {"read_only": True}, "FAIL", "mounted read-only", "export GRIST_STATE="),
        ("volume", {"free": 200 << 20}, "FAIL", "200M of 100G free, 256M kept in reserve: nothing", "du -sh"),
        ("volume", {"free": 1000 << 20}, "warn", "soon full", "du -sh"),
        ("volume", {"inodes_free": 0}, "FAIL", "0 of 6.5M inodes free: no file can be made", "du -sh"),
        ("volume", {"inodes_free": 9000}, "warn", "9,000 of 6.5M inodes free", "du -sh"),
        ("daemon", {"version": "0.0.9"}, "warn", "pid 77, version 0.0.9, this command is 0.1.0",
         "grist shutdown && grist up"),
        ("daemon", {"version": "", "fault": "the daemon does not answer"}, "FAIL", "pid 77 runs and does not answer",
         "tail /home/ann/.local/state/gristmill/ann-1/daemon.log"),
        ("daemon", {"version": "", "holder": None, "elsewhere": 78}, "FAIL", "pid 78 serves this jobs folder",
         "--state DIR"),
        ("daemon", {"version": "", "holder": None, "fault": "lock: Permission denied"}, "warn", "can't tell", ""),
        ("daemon", {"socket_bytes": 130}, "FAIL", "130 bytes, a socket's path may have 107", "export GRIST_STATE="),
        ("daemon", {"socket_private": False}, "FAIL", "others may speak to it", "grist shutdown && grist up"),
        ("daemon", {"ailments": (Ailment("disk", "disk: 3 MB are free – free some space", NOW - 75, True),)}, "FAIL",
         "held for 1 min: disk: 3 MB are free – free some space", ""),
        ("daemon", {"ailments": (Ailment("stall", "the disk is slow", NOW - 5, False),)}, "warn",
         "says for 5 s: the disk is slow", ""),
        ("session", {"linger": False, "kills": True}, "FAIL", "KillUserProcesses=yes", "service install --linger"),
        ("session", {"linger": True, "kills": True}, "FAIL", "KillUserProcesses=yes", "service install --linger"),
        ("session", {"linger": False, "unit": "/u"}, "FAIL", "a logout ends the service", "loginctl enable-linger ann"),
        ("session", {"linger": False, "clears": True}, "warn", "RemoveIPC=yes", "loginctl enable-linger ann"),
        ("limits", {"files": 63}, "FAIL", "of the daemon: 63 open files, 256 are needed", "ulimit -n 1024"),
        ("limits", {"files": 200}, "warn", "200 open files", "ulimit -n 1024"),
        ("limits", {"files": 200, "files_most": 200}, "warn", "200 open files", "hard limit in limits.conf"),
        ("limits", {"processes": 400}, "warn", "210 of 400 processes", "nproc"),
        ("limits", {"file_size": 1 << 20}, "FAIL", "no file may grow beyond 1.0M", "ulimit -f unlimited"),
        ("limits", {"file_size": 100 << 20}, "warn", "no file may grow beyond 100M", "ulimit -f unlimited"),
        ("limits", {"cpu": 3600}, "FAIL", "ends after 1:00:00 of CPU time", "ulimit -t unlimited"),
        ("limits", {"address": 4 * GIB}, "warn", "no process may map more than 4.0G", "ulimit -v unlimited"),
        ("limits", {"core": None, "core_beside": True}, "warn", "leaves its whole memory", "ulimit -c 0"),
        ("cgroup", {"cores": 0.5}, "warn", "0.5 of 16 cores, 64G of 64G of memory may be used: very little", ""),
        ("cgroup", {"memory": 256 << 20}, "warn", "256M of 64G of memory may be used: very little", ""),
        ("cgroup", {"processes": 300}, "warn", "230 of 300 processes", "TasksMax"),
        ("machine", {"lacking": ("pidfd_open",)}, "FAIL", "refuses pidfd_open", "Linux 5.3"),
        ("machine", {"oom_counted": False}, "warn", "does not count OOM kills", ""),
        ("machine", {"overcommit": 2, "committed": 30 * GIB, "commit_limit": 32 * GIB}, "warn",
         "vm.overcommit_memory=2: memory counts when it is asked for, not when it is used; 30G of 32G",
         "sudo sysctl vm.overcommit_memory=0"),
        ("machine", {"pressure": ("cpu",)}, "warn", "no /proc/pressure/memory, io", "psi=1"),
        ("inotify", {"fault": "Too many open files"}, "warn", "128 instances and 65536 watches a user, none is left",
         "sudo sysctl fs.inotify"),
        ("jobs", {"modified": NOW + 7200}, "warn", "/home/ann/jobs was changed 2:00:00 from now", "timedatectl"),
        ("settings", {"faults": ("/s.toml:1:1: unknown key limt – did you mean limit?",)}, "FAIL",
         "/s.toml:1:1: unknown key limt; no daemon starts with it", "did you mean limit?"),
        ("settings", {"disk_kept": 60 * GIB}, "FAIL", "50G of 100G free, 60G kept in reserve: nothing", "du -sh"),
        ("python", {"there": False}, "FAIL", "not there any more", "install Gristmill again"),
        ("python", {"version": (3, 10, 1)}, "FAIL", "3.11 or newer", "newer Python"),
        ("python", {"version": (3, 14, 0)}, "warn", "newer than what was tried", ""),
        ("python", {"loose": ("/opt/py thon",)}, "warn", "/opt/py thon: others may write", "chmod go-w '/opt/py thon'"),
        ("python", {"path_loose": ("/tmp/bin",)}, "warn", "PATH holds /tmp/bin: others may put programs there",
         "take it out of PATH"),
        ("python", {"path_loose": ("",)}, "warn", "PATH holds an empty entry: means whatever folder", "PATH"),
    ],
)  # fmt: skip
def test_one_thing_wrong_is_one_line_with_its_mend(
    part: str, fields: dict[str, Any], level: str, found: str, mend: str
) -> None:
    (finding,) = bad(changed(part, **fields))
    assert finding.level == level
    assert found in finding.found
    assert (mend in finding.mend) if mend else finding.mend == ""
    assert diagnosis.healthy([finding]) is (level == "warn")


def test_before_the_first_start_the_jobs_folder_need_not_be_there() -> None:
    daemon = replace(SOUND.daemon, version="", holder=None, socket_there=False)
    readings = replace(changed("jobs", kind=""), daemon=daemon)
    assert bad(readings) == []
    assert any("not there yet, `grist up` makes it" in finding.found for finding in diagnosis.diagnose(readings))


@pytest.mark.parametrize(
    ("part", "fields", "found"),
    [
        ("jobs", {"remote": True, "file_system": "nfs4"}, "nfs4: no hints over the network, files are found by"),
        ("state", {"kind": ""}, "not there yet, the daemon makes it"),
        ("volume", {"inodes_free": 0, "inodes": 0}, "50G of 100G free"),
        ("volume", {"inodes_free": 900, "inodes": 1000}, "50G of 100G free"),
        ("volume", {"free": 2 * GIB, "total": 5 * GIB}, "2.0G of 5.0G free, 102M kept in reserve"),
        ("daemon", {"version": "", "holder": None, "socket_there": False}, "none runs; start it: grist up"),
        ("daemon", {"version": "", "holder": None}, "none runs, one was killed; start it: grist up"),
        ("settings", {}, "all as shipped; yours would be in /home/ann/.config/gristmill/settings.toml"),
        ("settings", {"said": (("/s.toml", ("limit 4", "nice 5")), ("/t.toml", ()))}, "/s.toml: limit 4, nice 5"),
        ("settings", {"said": (("/t.toml", ()),)}, "/t.toml: nothing set"),
        ("settings", {"polite": "polite hours until 20:00: half of the machine"}, "now: polite hours until 20:00"),
        ("settings", {"disk_kept": 1 << 20}, "1.0M kept in reserve"),
        ("session", {"linger": False}, "linger is off: a daemon of `grist up` and its tasks stay, a service would end"),
        ("session", {"logind": False, "linger": False}, "no logind here"),
        ("session", {"kills": True, "unit": "/u"}, "linger is on for ann: a logout ends nothing"),
        ("limits", {"files": None, "files_most": None, "processes": None}, "unlimited open files"),
        ("limits", {"core": None, "core_beside": False}, "1024 open files (at most 524288, 256 needed)"),
        ("limits", {"core": 1 << 20, "core_beside": True}, "1024 open files"),
        ("cgroup", {"version": 0}, "none; 16 cores, 64G of memory"),
        ("cgroup", {"cores": 4.0, "memory": 8 * GIB, "delegated": True}, "v2, delegated; 4 of 16 cores, 8.0G of 64G"),
        ("cgroup", {"cores": 99.0, "memory": 1 << 50}, "v2, not delegated; 16 of 16 cores, 64G of 64G"),
        ("machine", {"overcommit": 1}, "OOM kills counted"),
        ("jobs", {"modified": NOW + 100}, "2026-09-21"),
    ],
)
def test_what_need_not_be_mended_is_said_and_warns_of_nothing(part: str, fields: dict[str, Any], found: str) -> None:
    readings = changed(part, **fields)
    assert bad(readings) == []
    assert any(found in finding.found for finding in diagnosis.diagnose(readings))


def test_root_is_warned_and_refused_where_others_could_plant_jobs() -> None:
    (finding,) = bad(replace(SOUND, root=True))
    assert (finding.check, finding.level) == ("account", Level.WARN)
    for fields in ({"loose": "/srv"}, {"foreign": "/srv"}):
        levels = [finding.level for finding in bad(replace(changed("jobs", **fields), root=True))]
        assert levels == [Level.FAIL, Level.WARN]


def test_a_clock_before_gristmill_was_made_is_wrong() -> None:
    (finding,) = [f for f in bad(replace(SOUND, now=86400.0)) if f.level is Level.FAIL]
    assert finding == Finding("clock", Level.FAIL, "1970-01-02 00:00 UTC, a time long past", "timedatectl set-ntp true")


def test_several_things_wrong_are_several_lines() -> None:
    limits = bad(changed("limits", files=10, cpu=60, file_size=5))
    assert [finding.level for finding in limits] == [Level.FAIL] * 3
    assert len({finding.found for finding in limits}) == 3


def test_a_line_has_glyph_word_figures_and_mend_and_moves_no_cursor() -> None:
    finding = Finding("disk", Level.FAIL, "1.0M free", "du -sh /a")
    assert diagnosis.line(finding) == "✗ FAIL  disk          1.0M free – du -sh /a"
    assert diagnosis.line(Finding("clock", Level.OK, "fine")) == "✓ ok    clock         fine"
    (hostile,) = bad(changed("jobs", kind="", path="/a\x1b[2J\nb"))
    assert "\x1b" not in diagnosis.line(hostile)
    assert "\n" not in diagnosis.line(hostile)


def test_a_path_in_a_mend_is_one_word_for_the_shell() -> None:
    (finding,) = bad(changed("jobs", kind="", path="/my jobs/$x"))
    assert finding.mend == "mkdir -p '/my jobs/$x'"
