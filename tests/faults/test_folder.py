"""The jobs folder taken away, replaced, opened to others, made read-only: watched again, or refused with the reason."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.mill import DEADLINE, Mill

ROOT = os.geteuid() == 0
JOB = 'command = "echo {name} >> out"\n'


def says(mill: Mill, words: str) -> None:
    """Waits until the daemon gives this reason; nothing else is held up by it."""
    found: dict[str, Any] = mill.until(
        lambda: words in (now := mill.condition("folder")).get("reason", "") and now, f"not said: {words}"
    )
    assert not found["holds"]
    assert words in mill.grist("status")
    assert mill.ask("status")["daemon"]["state"] == "ok"


def runs(mill: Mill, name: str) -> None:
    """Drops a job, and waits until it has run."""
    mill.drop(f"{name}.toml", JOB.replace("{name}", name))
    assert mill.ended(name)["state"] == "done"


def remove(mill: Mill) -> None:
    """Deletes the folder, in one step for the daemon, which makes missing shelves again."""
    gone = mill.base / "gone"
    mill.jobs.rename(gone)
    while gone.exists():  # what the daemon had in hand may still write into it
        shutil.rmtree(gone, ignore_errors=True)


def usable(mill: Mill) -> None:
    mill.until(lambda: not mill.condition("folder"), "the condition is not left")


def ran(mill: Mill) -> list[str]:
    return (mill.base / "out").read_text().split()


def test_a_folder_that_is_deleted_and_remade_is_watched_again(turning: Mill) -> None:
    for number in range(3):
        runs(turning, f"before{number}")
        remove(turning)
        says(turning, f"No such file or directory – make it: mkdir {turning.jobs}")
        turning.jobs.mkdir(mode=0o755)
        runs(turning, f"after{number}")
        usable(turning)
    assert ran(turning) == [f"{when}{number}" for number in range(3) for when in ("before", "after")]


def test_a_job_that_ends_while_the_folder_is_away_is_filed_when_it_is_back(turning: Mill) -> None:
    turning.drop("holds.toml", 'command = "while ! test -e go; do sleep 0.05; done"\n')
    turning.running("holds")
    turning.jobs.rename(turning.base / "moved")
    (turning.base / "go").touch()
    assert turning.ended("holds")["state"] == "done"
    says(turning, "No such file")
    (turning.base / "moved").rename(turning.jobs)
    turning.until((turning.jobs / "done" / "holds.toml").exists, "not filed")


def test_a_folder_that_is_replaced_by_another_is_watched_with_what_lies_in_it(turning: Mill) -> None:
    runs(turning, "first")
    turning.until((turning.jobs / "done" / "first.toml").exists, "not filed")
    other = turning.base / "other"
    other.mkdir(mode=0o755)
    (other / "second.toml").write_text(JOB.replace("{name}", "second"))
    turning.jobs.rename(turning.base / "moved")
    other.rename(turning.jobs)
    turning.ended("second")
    turning.drop("third.toml", JOB.replace("{name}", "third"))
    turning.ended("third")
    remove(turning)
    (turning.base / "moved").rename(turning.jobs)  # and back
    runs(turning, "fourth")
    assert ran(turning) == ["first", "second", "third", "fourth"]
    assert (turning.jobs / "done" / "first.toml").exists()


def test_a_folder_that_is_replaced_by_a_link_is_refused_and_what_it_leads_to_is_left_alone(turning: Mill) -> None:
    programs = turning.base / "programs"
    programs.mkdir(mode=0o755)
    (programs / "precious.sh").write_text("touch ran\n")
    turning.jobs.rename(turning.base / "moved")
    turning.jobs.symlink_to(programs)
    says(turning, f"leads to {programs} now")
    turning.jobs.unlink()
    (turning.base / "moved").rename(turning.jobs)
    usable(turning)
    runs(turning, "after")
    assert os.listdir(programs) == ["precious.sh"]
    assert not (turning.base / "ran").exists()


def test_a_job_that_ends_while_a_link_has_the_folders_name_is_filed_when_the_folder_is_back(turning: Mill) -> None:
    programs = turning.base / "programs"
    programs.mkdir(mode=0o755)
    turning.drop("holds.toml", 'command = "while ! test -e go; do sleep 0.05; done"\n')
    turning.running("holds")
    turning.jobs.rename(turning.base / "moved")
    turning.jobs.symlink_to(programs)
    says(turning, f"leads to {programs} now")
    (turning.base / "go").touch()
    assert turning.ended("holds")["state"] == "done"
    turning.until(lambda: "files of jobs stay" in turning.errors.read_text(), "nobody tried to file it")
    assert os.listdir(programs) == []
    turning.jobs.unlink()
    (turning.base / "moved").rename(turning.jobs)
    turning.until((turning.jobs / "done" / "holds.toml").exists, "not filed")
    turning.until(lambda: placed(turning) == {"holds.toml": b"done/holds.toml"}, "its place is not recorded")


def test_a_second_daemon_does_not_share_a_folder_that_was_remade(turning: Mill) -> None:
    assert turning.process is not None
    remove(turning)
    says(turning, "No such file")
    turning.jobs.mkdir(mode=0o755)
    usable(turning)
    elsewhere = [*turning.command("daemon")[:4], "--jobs", str(turning.jobs), "--state", str(turning.base / "other")]
    refused = subprocess.run([*elsewhere, "--allow-root"], capture_output=True, text=True, env=turning.env, check=False)
    assert refused.returncode == 2
    assert f"a daemon runs already for this folder (pid {turning.process.pid})" in refused.stderr


def test_the_daemon_stands_back_where_another_was_quicker_on_a_folder_that_was_remade(turning: Mill) -> None:
    remove(turning)
    says(turning, "No such file")
    (turning.base / "apart").mkdir()
    with Mill(turning.base / "apart") as other:
        other.jobs.rmdir()
        fresh = turning.base / "fresh"
        fresh.mkdir(mode=0o755)
        other.jobs = fresh
        other.start("--limit", "1")
        fresh.rename(turning.jobs)
        assert other.process is not None
        says(turning, f"a daemon runs already for this folder (pid {other.process.pid})")
    usable(turning)
    runs(turning, "after")


def test_a_folder_opened_to_others_is_not_read_until_it_is_closed_again(turning: Mill) -> None:
    for mode in (0o777, 0o757):
        turning.jobs.chmod(mode)
        says(turning, "others may write to it, and so run commands as you – chmod go-w")
        turning.drop("waits.toml", JOB.replace("{name}", "waits"))
        says(turning, "others may write")
        assert turning.job("waits") == {}
        (turning.jobs / "waits.toml").unlink()
        turning.jobs.chmod(0o755)
        usable(turning)
    inner = turning.jobs / ".gristmill"
    inner.chmod(0o777)
    says(turning, f"{inner}: others may write to it")
    inner.chmod(0o700)
    usable(turning)
    runs(turning, "after")


def test_what_is_removed_beside_the_jobs_is_made_again(turning: Mill) -> None:
    turning.drop("holds.toml", 'command = "while ! test -e go; do sleep 0.05; done"\n')
    turning.running("holds")
    for name in (".gristmill", "accepted", "done", "failed", "rejected"):
        shutil.rmtree(turning.jobs / name)
        runs(turning, f"without-{name.strip('.')}")
    shutil.rmtree(turning.jobs / "done")
    (turning.base / "go").touch()
    assert turning.ended("holds")["state"] == "done"
    (turning.jobs / "bad.toml").write_text("command = \n")
    turning.until((turning.jobs / "rejected" / "bad.toml.error").exists, "not rejected")
    assert not turning.condition("folder")


@pytest.mark.parametrize("name", ["accepted", "done", ".gristmill"])
def test_what_is_no_folder_beside_the_jobs_is_named_and_left_by_itself(turning: Mill, name: str) -> None:
    turning.until((turning.jobs / name).exists, "not there yet")

    def taken() -> bool:
        """Whether the name is a file's now; the daemon makes its folder anew whenever it looks."""
        shutil.rmtree(turning.jobs / name, ignore_errors=True)
        try:
            (turning.jobs / name).write_text("of a user")
        except IsADirectoryError:
            return False
        return True

    turning.until(taken, "the daemon was always quicker")
    says(turning, f"{turning.jobs / name}: no folder of this file system – move it away")
    turning.drop("waits.toml", JOB.replace("{name}", "waits"))
    (turning.jobs / name).rename(turning.base / "mine")
    assert turning.ended("waits")["state"] == "done"
    usable(turning)
    turning.until((turning.jobs / "done" / "waits.toml").exists, "not filed")


@pytest.mark.skipif(ROOT, reason="root may do all")
def test_a_folder_that_can_not_be_read_is_named(turning: Mill) -> None:
    turning.jobs.chmod(0)
    says(turning, "can't be read and written – chmod u+rwx")
    turning.jobs.chmod(0o755)
    runs(turning, "after")


@pytest.fixture
def mounted(mill: Mill) -> Iterator[Mill]:
    """A mill whose jobs folder is a small file system of its own."""
    if not ROOT:
        pytest.skip("only root can mount")
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=755", "grist-test", mill.jobs],
                          capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"no mounts here: {made.stderr.strip()}")
    try:
        mill.start("--limit", "2")
        yield mill
        if mill.process is not None:
            mill.ask("shutdown", kill=True)
            mill.process.wait(DEADLINE)
    finally:
        subprocess.run(["umount", "-l", mill.jobs], check=True)


def put(mill: Mill, name: str) -> None:
    (mill.jobs / f"{name}.toml").write_text(JOB.replace("{name}", name))


def test_a_read_only_file_system_is_named_and_left_by_itself(mounted: Mill) -> None:
    put(mounted, "before")
    mounted.ended("before")
    put(mounted, "lies-there")
    mounted.until(lambda: mounted.job("lies-there"), "not accepted")
    mounted.ended("lies-there")
    # The folder once more on top of itself, read-only: a remount in place is refused while files are open.
    subprocess.run(["mount", "--bind", mounted.jobs, mounted.jobs], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", mounted.jobs], check=True)
    says(mounted, "its file system is read-only – remount it")
    subprocess.run(["umount", "-l", mounted.jobs], check=True)
    usable(mounted)
    put(mounted, "after")
    mounted.ended("after")
    assert ran(mounted) == ["before", "lies-there", "after"]


def test_an_unmounted_folder_is_not_mistaken_for_an_empty_one_of_ours(mounted: Mill) -> None:
    put(mounted, "before")
    mounted.ended("before")
    subprocess.run(["umount", "-l", mounted.jobs], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=755", "grist-test", mounted.jobs], check=True)
    put(mounted, "after")
    mounted.ended("after")
    assert ran(mounted) == ["before", "after"]


def test_a_full_jobs_folder_holds_files_back_and_is_left_by_itself(mounted: Mill) -> None:
    full = mounted.jobs / "data.bin"
    try:
        with open(full, "wb", buffering=0) as out:
            while True:
                out.write(b"x" * 4096)
    except OSError:
        pass
    (mounted.jobs / "link.toml").symlink_to("x")  # needs no block, its reason does
    says(mounted, "No space left on device – files in the jobs folder wait")
    full.unlink()
    mounted.until((mounted.jobs / "rejected" / "link.toml").is_symlink, "not rejected")
    usable(mounted)
    assert "symbolic link" in (mounted.jobs / "rejected" / "link.toml.error").read_text()
    put(mounted, "after")
    mounted.ended("after")


def test_moves_that_a_crash_cut_short_are_finished(turning: Mill) -> None:
    """Every half-way state between claim, record and place, as a kill leaves them."""
    for name in ("one", "two", "three", "four"):
        runs(turning, name)
        turning.until((turning.jobs / "done" / f"{name}.toml").exists, "not filed")
    turning.drop("bad.toml", "command = \n")
    turning.until((turning.jobs / "rejected" / "bad.toml").exists, "not rejected")
    claims = claims_of(turning)
    turning.kill()
    done, accepted, spool = turning.jobs / "done", turning.jobs / "accepted", turning.jobs / ".gristmill" / "spool"
    # accepted and in the spool still, with its place taken by a file of the user
    batch = spool / claims["one.toml"].partition("/")[0]
    batch.mkdir()
    (done / "one.toml").rename(batch / "one.toml")
    (accepted / "one.toml").write_text("of a user")
    replace(turning, "one.toml", b"accepted/one.toml")
    # ended, its file not moved yet, with the name taken in done/
    (done / "two.toml").rename(accepted / "two.toml")
    (done / "two.toml").write_text("of a user")
    replace(turning, "two.toml", b"accepted/two.toml")
    # moved, and not written down
    replace(turning, "three.toml", b"accepted/three.toml")
    # taken away by the user meanwhile
    (done / "four.toml").unlink()
    replace(turning, "four.toml", b"accepted/four.toml")
    # the reason of a rejection written, the file not moved
    batch = spool / "1-1-1"
    batch.mkdir()
    (turning.jobs / "rejected" / "bad.toml").rename(batch / "bad.toml")
    turning.start("--limit", "2")
    turning.until(lambda: not list(spool.iterdir()), "the spool is not empty")
    turning.until((turning.jobs / "rejected" / "bad.toml").exists, "not rejected again")
    turning.until(lambda: not (accepted / "two.toml").exists(), "not moved")
    turning.until(lambda: set(placed(turning).values()) == {
        b"done/one~2.toml", b"done/two~2.toml", b"done/three.toml", b"gone"
    }, "the record is not mended")
    assert (accepted / "one.toml").read_text() == (done / "two.toml").read_text() == "of a user"
    assert ran(turning) == ["one", "two", "three", "four"]
    assert sorted(os.listdir(turning.jobs / "rejected")) == ["bad.toml", "bad.toml.error"]


def database(mill: Mill) -> Any:
    import contextlib
    import sqlite3

    return contextlib.closing(sqlite3.connect(mill.state / "queue.db"))


def claims_of(mill: Mill) -> dict[str, str]:
    with database(mill) as db:
        return dict(db.execute("SELECT file, claim FROM jobs"))


def placed(mill: Mill) -> dict[str, bytes]:
    with database(mill) as db:
        return dict(db.execute("SELECT file, place FROM jobs"))


def replace(mill: Mill, file: str, place: bytes) -> None:
    with database(mill) as db, db:
        db.execute("UPDATE jobs SET place = ? WHERE file = ?", (place, file))


def test_the_folder_may_be_a_link_from_the_start(mill: Mill) -> None:
    real = mill.base / "real"
    mill.jobs.rename(real)
    mill.jobs.symlink_to(real)
    mill.start("--limit", "2")
    runs(mill, "through")
    assert (real / "accepted").exists()
