"""`grist service` with a stand-in for systemd that keeps units, starts what they say, and writes down every call.

The stand-in undoes systemd's quoting by itself, so that a daemon that answers was started by the words that were meant.
Where `systemd-analyze` is installed, the real systemd reads the unit as well. The user's own configuration is never
touched: XDG_CONFIG_HOME is a temporary folder.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gristmill.supervisor.edge import examination, locks
from tests.mill import Mill

STANDIN = f"""#!{sys.executable}
import json, os, pathlib, shlex, signal, subprocess, sys, time
home = pathlib.Path(os.environ["STANDIN"])
words = sys.argv[1:]
with open(home / "calls", "a") as calls:
    calls.write(json.dumps([pathlib.Path(sys.argv[0]).name, *words]) + "\\n")
broken = home / ("broken-" + pathlib.Path(sys.argv[0]).name)
if broken.exists():
    sys.exit(broken.read_text())
if sys.argv[0].endswith("loginctl"):
    sys.exit(0)
assert words.pop(0) == "--user"
verb, options = words[0], [word for word in words[1:] if word.startswith("-")]
name = next((word for word in words[1:] if not word.startswith("-")), None)
units = pathlib.Path(os.environ["XDG_CONFIG_HOME"], "systemd", "user")
pid_file = home / f"{{name}}.pid"
pid = int(pid_file.read_text()) if name and pid_file.exists() else 0
def alive():
    try:
        return pid and pathlib.Path(f"/proc/{{pid}}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
link = units / "default.target.wants" / str(name)
if verb == "show" and options == ["--property=Version"]:
    print("Version=252 (stand-in)")
elif verb == "show":
    failed = pid and not alive()
    print("MainPID=" + str(pid if alive() else 0))
    print("ActiveState=" + ("active" if alive() else "failed" if failed else "inactive"))
    print("Result=" + ("exit-code" if failed else "success"))
    print("UnitFileState=" + ("enabled" if link.is_symlink() else "disabled"))
elif verb in ("enable", "start"):
    if not (units / name).exists():
        sys.exit(f"Failed to enable unit: Unit file {{name}} does not exist.")
    if verb == "enable":
        link.parent.mkdir(exist_ok=True)
        link.is_symlink() or link.symlink_to(units / name)
    if (verb == "start" or "--now" in options) and not alive():
        lines = (units / name).read_text().splitlines()
        said = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
        assert said["KillMode"] == "process"
        argv = [word.replace("$$", "$").replace("%%", "%") for word in shlex.split(said["ExecStart"])]
        (path,) = shlex.split(said["Environment"])
        env = {{**os.environ, "PATH": path.removeprefix("PATH=").replace("%%", "%")}}
        daemon = subprocess.Popen(argv, env=env, cwd=os.environ["HOME"], start_new_session=True,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        pid_file.write_text(str(daemon.pid))
elif verb == "disable":
    if not link.is_symlink():
        sys.exit(f"Failed to disable unit: Unit file {{name}} does not exist.")
    link.unlink()
    if "--now" in options and alive():
        os.kill(pid, signal.SIGTERM)
        while alive():
            time.sleep(0.02)
    pid_file.unlink(missing_ok=True)
elif verb != "daemon-reload":
    sys.exit(f"Unknown command verb {{verb}}.")
"""


class Systemd:
    """The stand-in: a folder of programs for PATH, and what was asked of them."""

    def __init__(self, mill: Mill) -> None:
        self.mill, self.home = mill, mill.base / "standin"
        bin_ = self.home / "bin"
        bin_.mkdir(parents=True)
        for name in ("systemctl", "loginctl"):
            (bin_ / name).write_text(STANDIN)
            (bin_ / name).chmod(0o755)
        self.config = mill.base / "config"
        mill.env |= {
            "XDG_CONFIG_HOME": str(self.config), "STANDIN": str(self.home), "PATH": f"{bin_}:{os.environ['PATH']}",
        }

    @property
    def unit(self) -> Path:
        (found,) = (self.config / "systemd" / "user").glob("*.service")
        return found

    def calls(self) -> list[list[str]]:
        """What was called since the last time."""
        file = self.home / "calls"
        found = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        file.write_text("")
        return found

    def changes(self) -> list[list[str]]:
        return [call for call in self.calls() if "show" not in call]

    def break_(self, program: str, words: str) -> None:
        (self.home / f"broken-{program}").write_text(words)

    def without(self) -> None:
        """A machine that has no systemctl."""
        bare = self.home / "bare"
        bare.mkdir()
        self.mill.env["PATH"] = str(bare)


@contextlib.contextmanager
def standing(base: Path) -> Iterator[Mill]:
    """A mill whose daemon, if the stand-in starts one, ends with it."""
    with Mill(base) as made:
        try:
            yield made
        finally:
            if made.process is None and locks.holder(made.state / "lock") is not None:
                made.grist("shutdown", "--kill")


@pytest.fixture
def mill(tmp_path: Path) -> Iterator[Mill]:
    with standing(tmp_path) as made:
        yield made


@pytest.fixture
def systemd(mill: Mill) -> Systemd:
    return Systemd(mill)


def service(mill: Mill) -> dict[str, Any]:
    """`grist service status --json`, whatever its exit code."""
    done = subprocess.run(
        mill.command("service", "status", "--json"), env=mill.env, cwd=mill.base, capture_output=True, text=True,
        check=False,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (0 if answer["daemon_is_service"] else 3)
    return answer


# ── install ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_printing_touches_nothing(mill: Mill, systemd: Systemd) -> None:
    text = mill.grist("service", "install", "--print", "--linger")
    assert "KillMode=process\n" in text
    assert systemd.calls() == []
    assert not systemd.config.exists()
    assert not mill.state.exists()


SINCE_254 = "Unknown key 'DelegateSubgroup'"
"""What an older systemd says of that key, which it then passes over."""


def test_the_real_systemd_understands_the_unit_of_an_oddly_named_folder(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    base = tmp_path / 'o dd %h $HOME "q" back\\'
    base.mkdir()
    with Mill(base) as mill:
        text = mill.grist("service", "install", "--print")
    unit = tmp_path / "odd.service"
    unit.write_text(text)
    env = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}

    def verify() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [analyze, "verify", "--user", str(unit)], capture_output=True, text=True, env=env, check=False
        )

    done = verify()
    if "Failed to initialize manager" in done.stderr:
        pytest.skip(f"systemd-analyze can't work here: {done.stderr.strip()}")
    heard = [line for line in done.stderr.splitlines() if "odd.service" in line and SINCE_254 not in line]
    assert (done.returncode, heard) == (0, []), done.stderr
    unit.write_text(text.replace('"--jobs"', "--jobs").replace("KillMode=process", "KillMode=nonsense"))
    assert "odd.service" in verify().stderr, "it would have said nothing of a bad unit either"


def test_install_writes_the_unit_starts_it_and_a_second_time_changes_nothing(mill: Mill, systemd: Systemd) -> None:
    said = mill.grist("service", "install")
    pid = locks.holder(mill.state / "lock")
    unit = systemd.unit
    assert f"{unit}: written\nruns, pid {pid}\n" in said
    assert ("linger is off" in said) is not examination.lingers(getpass.getuser())
    assert systemd.changes() == [
        ["systemctl", "--user", "daemon-reload"], ["systemctl", "--user", "enable", "--now", unit.name],
    ]
    assert stat.S_IMODE(unit.stat().st_mode) == 0o644
    assert sorted(path.name for path in unit.parent.iterdir()) == ["default.target.wants", unit.name]
    assert mill.status()["daemon"]["pid"] == pid
    facts = service(mill)
    assert (facts["installed"], facts["current"], facts["enabled"], facts["active"]) == (True, True, True, "active")
    assert (facts["daemon_pid"], facts["daemon_is_service"]) == (pid, True)

    before = unit.stat()
    again = mill.grist("service", "install")
    assert f"{unit}: as it was\nruns, pid {pid}\n" in again
    assert unit.stat() == before
    assert locks.holder(mill.state / "lock") == pid


def test_a_folder_with_an_odd_name_is_served() -> None:
    with tempfile.TemporaryDirectory(prefix="grist-") as short:  # a socket's path may have 107 bytes
        base = Path(short, 'o dd %h $HOME "q" b\\s')
        base.mkdir()
        with standing(base) as mill:
            Systemd(mill)
            assert "runs, pid" in mill.grist("service", "install")
            assert mill.status()["daemon"]["jobs_dir"] == str(mill.jobs)


def test_tasks_find_the_programs_of_whoever_installed_it(mill: Mill, systemd: Systemd) -> None:
    own = mill.base / "own programs"
    own.mkdir()
    (own / "own-program").write_text("#!/bin/sh\necho found > own\n")
    (own / "own-program").chmod(0o755)
    mill.env["PATH"] += f":{own}"
    mill.grist("service", "install")
    mill.env["PATH"] = os.environ["PATH"]
    mill.drop("job.toml", 'command = ["own-program"]\n')
    assert mill.ended("job")["state"] == "done"
    assert (mill.base / "own").read_text() == "found\n"


def test_running_tasks_outlive_the_service_and_the_next_one_takes_them_over(mill: Mill, systemd: Systemd) -> None:
    mill.grist("service", "install")
    unit = systemd.unit
    mill.drop("long.toml", 'command = "while ! test -e go; do sleep 0.05; done"\n')
    (task,) = mill.running("long")
    systemd.calls()
    assert f"{unit}: removed; running tasks go on" in mill.grist("service", "uninstall")
    assert systemd.changes() == [
        ["systemctl", "--user", "disable", "--now", unit.name], ["systemctl", "--user", "daemon-reload"],
    ]
    assert list(unit.parent.rglob("*.service")) == []
    assert locks.holder(mill.state / "lock") is None
    assert Path("/proc", str(task["pid"])).exists()
    mill.grist("service", "install")
    assert mill.running("long")[0]["pid"] == task["pid"]
    (mill.base / "go").touch()
    assert mill.ended("long")["state"] == "done"


def test_a_unit_changed_by_hand_is_kept_unless_forced(mill: Mill, systemd: Systemd) -> None:
    mill.grist("service", "install")
    changed = systemd.unit.read_text().replace("RestartSec=10", "RestartSec=1")
    systemd.unit.write_text(changed)
    systemd.calls()
    for what in ("install", "uninstall"):
        refusal = mill.grist("service", what, code=2)
        assert "was changed by hand – " in refusal
        assert "--force" in refusal
    assert systemd.unit.read_text() == changed
    assert systemd.changes() == []
    assert service(mill)["changed_by_hand"]
    assert "changed by hand" in mill.grist("service", "status")
    assert "renewed" in mill.grist("service", "install", "--force")
    assert "RestartSec=10" in systemd.unit.read_text()


def test_an_older_unit_is_renewed_and_the_running_daemon_left_to_its_user(mill: Mill, systemd: Systemd) -> None:
    mill.grist("service", "install")
    pid = locks.holder(mill.state / "lock")
    mill.env["PATH"] += ":/opt/new"
    assert not service(mill)["current"]
    said = mill.grist("service", "install")
    assert "renewed" in said
    assert f"runs, pid {pid}; the new unit counts from: systemctl --user restart {systemd.unit.name}" in said
    assert locks.holder(mill.state / "lock") == pid
    assert ":/opt/new\n" in systemd.unit.read_text()


def test_a_daemon_that_runs_already_is_named_and_left_alone(mill: Mill, systemd: Systemd) -> None:
    mill.start()
    assert mill.process is not None
    said = mill.grist("service", "install")
    assert f"a daemon runs already (pid {mill.process.pid})" in said
    assert f"grist shutdown && systemctl --user start {systemd.unit.name}" in said
    assert ["systemctl", "--user", "enable", systemd.unit.name] in systemd.changes()
    assert "started otherwise" in mill.grist("service", "status", code=3)
    mill.kill(signal.SIGTERM)


# ── what can't be done ────────────────────────────────────────────────────────────────────────────────────────────


def test_without_systemd_nothing_is_written_and_a_line_to_type_starts_a_daemon(mill: Mill, systemd: Systemd) -> None:
    path = mill.env["PATH"]
    systemd.without()
    said = mill.grist("service", "install", code=2)
    assert "there is no systemctl" in said
    assert "@reboot " in said
    assert "tmux new-session" in said
    assert not systemd.config.exists()
    (line,) = re.findall(r"^ +(nohup .*)$", said, re.MULTILINE)
    subprocess.run(["/bin/sh", "-c", line], env={**mill.env, "PATH": path}, cwd=mill.base, check=True)
    mill.until(lambda: mill.ask("status"), "the line that was printed started no daemon")
    assert "there is no systemctl" in mill.grist("service", "status", code=3)


def test_where_no_manager_answers_the_unit_is_left_with_what_to_type(mill: Mill, systemd: Systemd) -> None:
    systemd.break_("systemctl", "Failed to connect to bus: No medium found\n")
    said = mill.grist("service", "install", code=2)
    assert f"{systemd.unit}: written" in said
    assert "Failed to connect to bus: No medium found" in said
    assert f"systemctl --user daemon-reload && systemctl --user enable --now {systemd.unit.name}" in said
    assert "nohup " in said
    assert "Failed to connect to bus" in mill.grist("service", "status", code=3)
    unit = systemd.unit
    assert "removed" in mill.grist("service", "uninstall")
    assert not unit.exists()


def test_a_daemon_that_ends_at_once_is_not_called_started(mill: Mill, systemd: Systemd) -> None:
    mill.state.mkdir(mode=0o700)
    (mill.state / "queue.db").write_text("no database\n" * 100)
    said = mill.grist("service", "install", code=2)
    assert f"journalctl --user -u {systemd.unit.name}" in said
    assert "runs, pid" not in said


def test_what_the_daemon_would_refuse_is_refused_before_anything_is_written(mill: Mill, systemd: Systemd) -> None:
    mill.jobs.chmod(0o777)
    assert "others may write to it" in mill.grist("service", "install", code=2)
    mill.jobs.chmod(0o755)
    mill.jobs.rmdir()
    assert "mkdir" in mill.grist("service", "install", code=2)
    assert not systemd.config.exists()
    assert systemd.calls() == []


def test_linger_is_asked_for_and_a_refusal_names_who_can(mill: Mill, systemd: Systemd) -> None:
    user = getpass.getuser()
    assert f"linger is on for {user}" in mill.grist("service", "install", "--linger")
    assert ["loginctl", "enable-linger", user] in systemd.calls()
    systemd.break_("loginctl", "Could not enable linger: Access denied\n")
    said = mill.grist("service", "install", "--linger", code=2)
    assert "Access denied" in said
    assert f"sudo loginctl enable-linger {user}" in said
    assert "runs, pid" in said, "the service itself is there"


def test_with_nothing_installed_there_is_nothing_to_remove(mill: Mill, systemd: Systemd) -> None:
    assert "nothing to do" in mill.grist("service", "uninstall")
    assert systemd.changes() == []
    assert "not installed – grist service install" in mill.grist("service", "status", code=3)
    assert service(mill)["installed"] is False
