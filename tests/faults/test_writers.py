"""Files that come slowly, in pieces, under other names first: each is taken whole, and once."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.test_upgrade import install
from tests.mill import DEADLINE, Mill

PIECES = ('command = "echo {name} >> out"\n', "[items]\n", "total = 3\n", "per_task = 1\n")
"""A job of three items of which every part is a job of one item, or none at all."""

# Each is a shell script in the jobs folder; $1…$4 are the pieces, $N the name of its file without suffix.
WRITERS = {
    "slow": 'exec 3> $N.toml; for p; do printf %s "$p" >&3; sleep 0.6; done',
    "stalled": 'exec 3> $N.toml; printf %s "$1" >&3; sleep 2.5; printf %s "$2$3$4" >&3',
    "chunks": 'printf %s "$1$2$3$4" | while IFS= read -r line; do echo "$line"; sleep 0.4; done > $N.toml',
    "bytes": 'printf %s "$1$2$3$4" | dd of=$N.toml bs=1 2> /dev/null',
    "appends": 'for p; do printf %s "$p" >> $N.toml; sleep 0.5; done',
    "two-writers": 'exec 3>> "$N.toml"; printf %s "$1$2" >> "$N.toml"; sleep 1.5; printf %s "$3$4" >&3',
    "touched": 'touch $N.toml; sleep 2.5; printf %s "$1$2$3$4" > $N.toml',
    "touched-and-appended": 'touch "$N.toml"; sleep 1.2; for p; do printf %s "$p" >> "$N.toml"; sleep 0.5; done',
    "truncated": 'printf "%s" "$1" > $N.toml; sleep 0.5; printf %s "$1$2$3$4" > $N.toml',
    "old": 'printf %s "$1$2$3$4" > ../$N.old; touch -d 2001-01-01 ../$N.old; cp -p ../$N.old $N.toml; rm ../$N.old',
    "rsync": '''exec 3> .$N.toml.Xk2a9Q; for p; do printf %s "$p" >&3; sleep 0.4; done; exec 3>&-
        chmod 644 .$N.toml.Xk2a9Q; mv .$N.toml.Xk2a9Q $N.toml''',
    "part": '''printf %s "$1" > $N.toml.part; sleep 1.5; printf %s "$2$3$4" >> $N.toml.part
        mv $N.toml.part $N.toml''',
    "browser": '''touch $N.toml; printf %s "$1$2" > $N.toml.part; sleep 1.5; printf %s "$3$4" >> $N.toml.part
        mv $N.toml.part $N.toml''',
    "qt": 'printf %s "$1$2$3$4" > $N.toml.Ab3dEf; sleep 1.2; mv $N.toml.Ab3dEf $N.toml',
    "gio": 'printf %s "$1$2$3$4" > .goutputstream-1A2B3C; sleep 1.2; mv .goutputstream-1A2B3C $N.toml',
    "vim": '''touch .$N.toml.swp 4913; rm 4913; printf %s "$1" > $N.toml; mv $N.toml $N.toml~; sleep 1.5
        printf %s "$1$2$3$4" > $N.toml; rm $N.toml~ .$N.toml.swp''',
    "emacs": '''ln -s me@here:1 ".#$N.toml"; printf %s "$1" > "#$N.toml#"; sleep 1.5
        printf %s "$1$2$3$4" > $N.toml; rm "#$N.toml#" ".#$N.toml"''',
    "sed": 'printf %s "$1$2$3$4" | sed s/total/tutal/ > $N.toml; sleep 0.5; sed -i s/tutal/total/ $N.toml',
    "moved-open": '''exec 3> .$N.tmp; printf %s "$1" >&3; mv .$N.tmp $N.toml; sleep 1.5; printf %s "$2$3$4" >&3''',
    "hard-link": 'printf %s "$1$2$3$4" > .$N.x; ln .$N.x $N.toml; sleep 0.3; rm .$N.x',
}


@pytest.fixture
def patient(mill: Mill) -> Mill:
    """A mill whose daemon takes a file for whole when it has held still for six seconds: on a busy machine the pauses
    of these writers become longer than they are meant to be."""
    installed = install(mill.base / "program", "1.0")
    path = installed / "gristmill" / "supervisor" / "core" / "arrival.py"
    text = path.read_text()
    assert "\nSTILL_S = 1.0\n" in text
    path.write_text(text.replace("\nSTILL_S = 1.0\n", "\nSTILL_S = 6.0\n"))
    mill.env["PYTHONPATH"] = str(installed)
    mill.start("--limit", "2")
    return mill


def test_each_writer_gets_its_whole_file_run_once(patient: Mill) -> None:
    writers = [
        subprocess.Popen(
            ["/bin/sh", "-ec", script, name, *(piece.replace("{name}", name) for piece in PIECES)],
            cwd=patient.jobs, env={**patient.env, "N": name},
        )
        for name, script in WRITERS.items()
    ]
    for name, writer in zip(WRITERS, writers, strict=True):
        assert writer.wait(DEADLINE) == 0, name
    patient.until(lambda: not list(patient.jobs.glob("*.toml")), "not all files are taken")
    patient.until(
        lambda: len(jobs := patient.ask("status")["jobs"]) >= len(WRITERS) and all(job["ended_at"] for job in jobs),
        "not all jobs have ended",
    )
    assert list((patient.jobs / "rejected").iterdir()) == []
    assert Counter((patient.base / "out").read_text().splitlines()) == dict.fromkeys(WRITERS, 3)
    assert sorted(job["name"] for job in patient.ask("status")["jobs"]) == sorted(WRITERS)
    assert {path.name for path in patient.jobs.iterdir()} == {".gristmill", "accepted", "done", "failed", "rejected"}


def test_a_file_moved_from_another_file_system_is_taken_whole(turning: Mill) -> None:
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK) or memory.stat().st_dev == turning.jobs.stat().st_dev:
        pytest.skip("no second file system at hand")
    with tempfile.TemporaryDirectory(dir=memory) as other:
        for number in range(20):
            source = Path(other, f"far{number}.toml")
            text = "".join(PIECES).replace("{name}", source.stem)
            source.write_text(text + "#" * (1000 * 1000))
            subprocess.run(["mv", source, turning.jobs], check=True)
    turning.until(lambda: len(turning.ask("status")["jobs"]) == 20, "not all were accepted")
    turning.until(lambda: all(job["ended_at"] for job in turning.ask("status")["jobs"]), "not all have ended")
    assert Counter((turning.base / "out").read_text().split()) == {f"far{number}": 3 for number in range(20)}


@pytest.mark.skipif(shutil.which("vim") is None, reason="no vim here")
@pytest.mark.parametrize("how", ["backupcopy=yes", "backupcopy=no"])
def test_vim_writes_a_job_twice_in_a_row(turning: Mill, how: str) -> None:
    for number, part in enumerate(["".join(PIECES[:2]), "".join(PIECES[2:])]):
        (turning.base / f"part{number}").write_text(part.replace("{name}", "vim"))
    orders = ["$read ../part0", "write", "$read ../part1", "wq"]
    words = [word for order in orders for word in ("-c", order)]
    subprocess.run(
        ["vim", "-Nu", "NONE", "-es", "--cmd", f"set backup {how} backupdir=.", *words, "vim.toml"],
        cwd=turning.jobs, check=True, stdin=subprocess.DEVNULL,
    )
    turning.ended("vim")
    assert (turning.base / "out").read_text().split() == ["vim"] * 3


def test_a_file_with_an_open_writer_survives_the_daemon(turning: Mill) -> None:
    with open(turning.jobs / "held.toml", "w") as writer:
        writer.write(PIECES[0].replace("{name}", "held"))
        writer.flush()
        turning.kill()
        turning.start("--limit", "2")
        turning.drop("marker.toml", 'command = "true"\n')
        turning.ended("marker")
        writer.write("".join(PIECES[1:]))
    turning.ended("held")
    assert (turning.base / "out").read_text().split() == ["held"] * 3
