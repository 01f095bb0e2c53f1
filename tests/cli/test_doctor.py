"""`grist doctor` on this very machine: what it reads is true, what it says can be typed, and it changes nothing."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from gristmill import __version__
from gristmill.supervisor.cli.doctor import ailments_of
from gristmill.supervisor.edge import confines, examination, folder, groups, places, survey
from tests.mill import Mill

SENSE = survey.Sense(places.file_system, places.REMOTE, folder.writable_by_others)


@pytest.fixture
def mill(tmp_path: Path) -> Iterator[Mill]:
    with Mill(tmp_path) as made:
        made.env["XDG_CONFIG_HOME"] = str(tmp_path / "config")
        yield made


def doctor(mill: Mill, *, limits: dict[int, int] | None = None) -> tuple[int, dict[str, Any]]:
    """Exit code and answer of `grist doctor --json`, run with these soft limits."""

    def bind() -> None:
        for number, value in (limits or {}).items():
            resource.setrlimit(number, (value, resource.getrlimit(number)[1]))

    done = subprocess.run(
        mill.command("doctor", "--json"), env=mill.env, cwd=mill.base, capture_output=True, text=True, check=False,
        preexec_fn=bind,
    )
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, json.loads(done.stdout)


def found(answer: dict[str, Any], check: str) -> list[tuple[str, str, str]]:
    """(level, what was found, mend) of one check."""
    return [(f["level"], f["found"], f["mend"]) for f in answer["findings"] if f["check"] == check]


def everything(base: Path) -> set[tuple[str, int]]:
    return {(str(path), path.lstat().st_mtime_ns) for path in base.rglob("*")}


def test_a_fresh_folder_is_sound_and_nothing_is_changed_by_looking(mill: Mill) -> None:
    before = everything(mill.base)
    code, answer = doctor(mill)
    assert code == (0 if answer["healthy"] else 1)
    for check in ("jobs folder", "state folder", "daemon", "limits", "kernel", "python"):
        assert "FAIL" not in {level for level, _, _ in found(answer, check)}, found(answer, check)
    ((level, text, _),) = found(answer, "daemon")
    assert (level, text) == ("ok", "none runs; start it: grist up")
    assert found(answer, "state folder")[0][1].endswith("not there yet, the daemon makes it")
    assert everything(mill.base) == before


def test_each_line_has_glyph_word_and_what_was_found(mill: Mill) -> None:
    words = {"✓ ok  ", "! warn", "✗ FAIL"}
    lines = mill.grist("doctor", code=doctor(mill)[0]).splitlines()
    assert len(lines) >= 12
    assert {line[:6] for line in lines} <= words
    mill.jobs.chmod(0o777)
    said = mill.grist("doctor", code=1)
    assert f"✗ FAIL  jobs folder   {mill.jobs}: mode 0777, others may write" in said
    assert f"– chmod go-w {mill.jobs}" in said


def test_a_mend_that_is_typed_mends(mill: Mill) -> None:
    script = mill.jobs / "my run"
    script.write_text("#!/bin/sh\n")
    (mill.jobs / "notes").write_text("no script\n")
    _, (level, text, mend) = found(doctor(mill)[1], "jobs folder")
    assert (level, text) == ("warn", "my run: a script that is not executable, so nothing takes it")
    subprocess.run(["/bin/sh", "-c", mend], check=True)
    assert len(found(doctor(mill)[1], "jobs folder")) == 1 and os.access(script, os.X_OK)
    mill.state.mkdir(mode=0o755)
    level, _, mend = found(doctor(mill)[1], "state folder")[0]
    assert level == "warn"
    subprocess.run(["/bin/sh", "-c", mend], check=True)
    assert found(doctor(mill)[1], "state folder")[0][0] == "ok"


def test_a_running_daemon_answers_and_its_limits_are_told_not_the_shells(mill: Mill) -> None:
    mill.start()
    assert mill.process is not None
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    _, answer = doctor(mill, limits={resource.RLIMIT_NOFILE: 99})
    assert found(answer, "daemon") == [("ok", f"pid {mill.process.pid}, version {__version__}, answers", "")]
    assert answer["readings"]["limits"]["whose"] == "the daemon"
    assert answer["readings"]["limits"]["files"] >= min(files, 100)


def test_limits_of_the_shell_are_told_while_no_daemon_runs(mill: Mill) -> None:
    code, answer = doctor(mill, limits={resource.RLIMIT_NOFILE: 63, resource.RLIMIT_FSIZE: 1 << 20})
    assert code == 1
    fails = [(text, mend) for level, text, mend in found(answer, "limits") if level == "FAIL"]
    assert fails == [
        ("of this shell: 63 open files, 256 are needed", "ulimit -n 1024"),
        ("of this shell: no file may grow beyond 1.0M: logs and the queue meet that", "ulimit -f unlimited"),
    ]


def test_settings_are_told_with_the_file_that_says_them_and_which_wins(mill: Mill) -> None:
    user = mill.base / "config" / "gristmill" / "settings.toml"
    folder = mill.jobs / ".gristmill" / "settings.toml"
    assert found(doctor(mill)[1], "settings") == [("ok", f"all as shipped; yours would be in {user}", "")]
    for path, text in ((user, 'limit = 4\npolite = "00:00-24:00"\n'), (folder, 'limit = "auto"\ndisk_reserve = "1 %"')):
        path.parent.mkdir(parents=True)
        path.write_text(text)
    _, answer = doctor(mill)
    assert [text for _, text, _ in found(answer, "settings")] == [
        f"{user}: limit 4 (overruled), polite 00:00-24:00", f"{folder}: limit auto, disk_reserve 1 %",
        "now: polite hours at all times: half of the machine",
    ]
    assert answer["readings"]["settings"]["disk_kept"] == round(answer["readings"]["volume"]["total"] / 100)
    folder.write_text("limt = 4\nnice = 33\n")
    code, answer = doctor(mill)
    assert code == 1
    assert [(level, mend) for level, _, mend in found(answer, "settings")] == [
        ("FAIL", "did you mean limit?"), ("FAIL", "write a whole number from 0 (as usual) to 19 (most polite)"),
    ]


def test_why_a_daemon_is_held_is_told(mill: Mill) -> None:
    mill.start("--disk-reserve", "1 PB")
    mill.until(lambda: mill.status()["daemon"]["state"] == "held", "not held")
    code, answer = doctor(mill)
    assert code == 1
    held = [text for level, text, _ in found(answer, "daemon") if level == "FAIL"]
    assert len(held) == 1
    assert held[0].startswith("held for ")
    assert "disk: " in held[0]


def test_a_frozen_daemon_is_named_and_not_waited_for_long(mill: Mill) -> None:
    mill.start()
    assert mill.process is not None
    mill.process.send_signal(signal.SIGSTOP)
    try:
        code, answer = doctor(mill)
    finally:
        mill.process.send_signal(signal.SIGCONT)
    assert code == 1
    level, text, _ = found(answer, "daemon")[0]
    assert (level, text.partition(" – ")[0]) == (
        "FAIL", f"pid {mill.process.pid} runs and does not answer: the daemon does not answer",
    )


def test_a_killed_daemon_and_one_with_another_state_folder_are_told_apart(mill: Mill) -> None:
    mill.start()
    mill.kill()
    assert found(doctor(mill)[1], "daemon")[0][1] == "none runs, one was killed; start it: grist up"
    mill.start()
    assert mill.process is not None
    own, mill.state = mill.state, mill.base / "other"
    code, answer = doctor(mill)
    mill.state = own
    assert code == 1
    assert f"pid {mill.process.pid} serves this jobs folder with another state folder" in found(answer, "daemon")[0][1]


def test_it_starts_without_what_it_does_not_need(mill: Mill) -> None:
    heavy = ("asyncio", "msgspec", "rich", "numpy", "textual", "psutil", "watchdog")
    code = (
        "import sys; from gristmill.supervisor.cli import main; main(sys.argv[1:]);"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *mill.command("doctor")[3:]], capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


# ── the readings ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_folders_are_read_as_they_are(tmp_path: Path) -> None:
    open_, deep = tmp_path / "open", tmp_path / "open" / "a" / "b"
    open_.mkdir()
    open_.chmod(0o777)
    seen = survey.folder(deep, SENSE)
    assert (seen.kind, seen.usable, seen.others_may_write) == ("", True, True), "the nearest parent speaks for it"
    deep.mkdir(parents=True)
    seen = survey.folder(deep, SENSE)
    assert (seen.kind, seen.ours, seen.loose, seen.fault) == ("folder", True, str(open_), "")
    open_.chmod(0o1777)
    assert survey.folder(deep, SENSE).loose == "", "a sticky folder protects its entries"
    (tmp_path / "file").touch()
    assert survey.folder(tmp_path / "file", SENSE).kind == "other"
    assert "is not a folder" in survey.folder(tmp_path / "file" / "below", SENSE).fault
    (tmp_path / "dangling").symlink_to("nowhere")
    assert survey.folder(tmp_path / "dangling", SENSE).fault == "No such file or directory"
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert survey.folder(loop / "jobs", SENSE).fault != ""


def test_memory_is_told_from_disk_and_local_from_remote() -> None:
    shared = Path("/dev/shm")
    if places.file_system(shared) != "tmpfs":
        pytest.skip("/dev/shm is no tmpfs here")
    assert survey.folder(shared, SENSE).in_memory
    assert not survey.folder(Path("/proc"), SENSE).in_memory
    told = survey.Sense(lambda _: "nfs4", places.REMOTE, folder.writable_by_others)
    assert survey.folder(Path("/"), told).remote


def test_entries_of_path_that_are_anybodys(tmp_path: Path) -> None:
    safe, open_ = tmp_path / "safe", tmp_path / "open"
    safe.mkdir(mode=0o755)
    open_.mkdir()
    open_.chmod(0o777)
    assert survey.loose([str(safe), str(open_), "", "bin", str(tmp_path / "gone"), str(open_)], SENSE) == (
        str(open_), "", "bin",
    )


def test_limits_are_those_that_the_kernel_keeps() -> None:
    seen = confines.limits(os.getpid(), "this test")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert (seen.files, seen.files_most) == (soft, None if hard == resource.RLIM_INFINITY else hard)
    cpu = resource.getrlimit(resource.RLIMIT_CPU)[0]
    assert seen.cpu == (None if cpu == resource.RLIM_INFINITY else cpu)
    assert seen.used >= 1


def test_the_tightest_control_group_up_to_the_top_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / "user.slice" / "user-7.slice" / "grist.service"
    deep.mkdir(parents=True)
    for place, name, text in (
        (deep, "cgroup.procs", ""), (deep, "memory.max", "max"), (deep, "cpu.max", "max 100000"),
        (deep, "pids.max", "500"), (deep, "pids.current", "20"),
        (deep.parent, "memory.max", "8589934592"), (deep.parent, "memory.high", "4294967296"),
        (deep.parent, "cpu.max", "250000 100000"), (deep.parent, "pids.max", "450"),
        (deep.parent, "pids.current", "40"),
        (deep.parent.parent, "memory.max", "68719476736"), (deep.parent.parent, "cpu.max", "400000 100000"),
    ):
        (place / name).write_text(f"{text}\n")
    monkeypatch.setattr(groups, "hierarchies", lambda: {"": tmp_path})
    monkeypatch.setattr(groups, "memberships", lambda _: {"": "/user.slice/user-7.slice/grist.service"})
    seen = confines.cgroup(os.getpid())
    assert (seen.version, seen.delegated) == (2, True)
    assert (seen.memory, seen.cores, seen.processes, seen.processes_now) == (4 << 30, 2.5, 450, 40)


def test_control_groups_of_the_first_version_are_read_each_in_its_tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place, name, text in (
        ("memory/a", "memory.limit_in_bytes", "1073741824"), ("memory", "memory.limit_in_bytes", str(2**63 - 4096)),
        ("cpu/a", "cpu.cfs_quota_us", "-1"), ("cpu/a", "cpu.cfs_period_us", "100000"),
        ("pids/a", "pids.max", "max"), ("pids/a", "pids.current", "3"),
    ):
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
        (tmp_path / place / name).write_text(f"{text}\n")
    monkeypatch.setattr(groups, "hierarchies", lambda: {name: tmp_path / name for name in ("memory", "cpu", "pids")})
    monkeypatch.setattr(groups, "memberships", lambda _: {"memory": "/a", "cpu": "/a", "pids": "/not/in/this/view"})
    seen = confines.cgroup(os.getpid())
    assert (seen.version, seen.memory, seen.cores, seen.processes) == (1, 1 << 30, None, None)


def test_the_control_group_of_this_machine_can_be_read() -> None:
    seen = confines.cgroup(os.getpid())
    assert seen.version in (0, 1, 2)
    if seen.version:
        assert seen.path.startswith("/")


def test_inotify_is_tried_and_given_back(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(130):  # more than the instances that a user may have by default
        seen = confines.inotify(tmp_path)
    assert seen.fault == ""
    assert seen.watches > 0
    assert len(os.listdir("/proc/self/fd")) == before


def test_inotify_that_is_used_up_is_told(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(map(int, os.listdir("/proc/self/fd")))
    held = [os.dup(0) for _ in range(highest)]  # no number is free below the limit that follows
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(held) + 1, hard))
    try:
        assert confines._try_inotify(tmp_path) == "Too many open files"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in held:
            os.close(fd)


def test_kernel_and_interpreter_are_this_ones() -> None:
    seen = examination.machine()
    assert seen.kernel == f"Linux {os.uname().release}"
    assert seen.memory == psutil.virtual_memory().total
    assert seen.lacking == ()
    assert seen.commit_limit > 0
    assert examination.python((), ()).version == sys.version_info[:3]


def test_an_older_daemon_that_names_no_conditions_is_held_by_its_reason() -> None:
    (ailment,) = ailments_of({"state": "held", "reason": "disk: full", "version": "0.0.1"})
    assert (ailment.reason, ailment.holds) == ("disk: full", True)
    assert ailments_of({"state": "ok", "reason": ""}) == ()
    (told,) = ailments_of({"state": "held", "reason": "x", "conditions": [
        {"kind": "disk", "reason": "x", "since": 5.0, "holds": True}]})
    assert told.since == 5.0
