"""Scripts that were written for Slurm, and commands as GNU parallel has them, with a whole daemon."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import sys
from pathlib import Path

from gristmill.supervisor.edge.store.queries import Queries
from tests.mill import Mill

ARRAY = """#!/bin/bash
#SBATCH --job-name=fit
#SBATCH --array=10-30:10%2          # three
#SBATCH --output=logs/%x_%A_%a.out
#SBATCH --error=logs/%x_%A_%a.err
#SBATCH --mem=8M
#SBATCH --partition=gpu
#GRIST timeout = "1m"

cd "$SLURM_SUBMIT_DIR" || exit
echo "$SLURM_JOB_NAME $SLURM_ARRAY_TASK_ID of $SLURM_ARRAY_TASK_COUNT"
[ "$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)" = "$SLURMD_NODENAME" ] || exit
srun -c 2 --mpi=none sh -c 'echo "by srun: $0" >&2' "$SLURM_ARRAY_TASK_ID"
"""


def without_slurm(mill: Mill) -> Mill:
    """A mill that turns on a machine without Slurm's commands, whatever this one has."""
    if shutil.which("srun"):
        folder = mill.base / "bin"
        folder.mkdir()
        for path in map(Path, os.environ["PATH"].split(":")):
            for program in path.iterdir() if path.is_dir() else ():
                if program.name not in ("srun", "scontrol") and not os.path.lexists(folder / program.name):
                    (folder / program.name).symlink_to(program)
        mill.env["PATH"] = str(folder)
    mill.start("--limit", "2")
    return mill


def test_an_array_runs_as_it_is_and_its_logs_are_where_it_says(mill: Mill) -> None:
    turning = without_slurm(mill)
    turning.drop("array.slurm", ARRAY)
    job = turning.ended("fit")
    assert (job["state"], job["items"]) == ("done", 3), turning.tasks("fit")
    for number, place in enumerate((10, 20, 30)):
        stem = turning.base / "logs" / f"fit_{job['id']}_{place}"
        assert stem.with_suffix(".out").read_text() == f"fit {place} of 3\n"
        assert stem.with_suffix(".err").read_text() == f"by srun: {place}\n"
        assert turning.grist("log", f"fit/{number}") == f"fit {place} of 3\n"
    assert job["notes"] == ["--partition=gpu: there is one machine, and whoever drops the file"]
    assert "Not honoured: --partition=gpu: " in turning.grist("explain", "fit")
    assert "not honoured: --partition=gpu" in turning.errors.read_text()


def test_check_says_of_each_line_what_becomes_of_it(mill: Mill) -> None:
    (mill.base / "array.slurm").write_text(ARRAY)
    said = mill.grist("check", str(mill.base / "array.slurm"))
    for line in ("line 3: --array=10-30:10%2: honoured: an item each, 2 at once",
                 "line 7: --partition=gpu: not honoured: there is one machine",
                 "line 13: srun: honoured: runs its command once"):  # fmt: skip
        assert line in said
    (mill.base / "bad.slurm").write_text("#!/bin/sh\n#SBATCH --nodes=4\ntrue\n")
    assert "bad.slurm:2:9: --nodes=4: there is one machine" in mill.grist("check", "bad.slurm", code=2)


def test_check_says_what_can_never_start(mill: Mill) -> None:
    (mill.base / "big.sh").write_text("#!/bin/sh\n#SBATCH --mem=900T\ntrue\n")
    assert "never starts here: a task claims 989560.5 GB of memory, the machine has " in mill.grist("check", "big.sh")


def test_a_log_is_copied_though_the_daemon_was_killed(mill: Mill) -> None:
    mill.start("--limit", "2")
    mill.drop("long.sh", "#!/bin/sh\n#SBATCH -o %x.out\nwhile [ ! -e go ]; do sleep 0.05; done\necho over\n")
    mill.running("long")
    mill.kill()
    (mill.base / "go").touch()
    mill.until(lambda: (mill.base / "long.out").exists() and (mill.base / "long.out").read_text(), "no copy")
    assert (mill.base / "long.out").read_text() == "over\n"
    mill.start("--limit", "2")
    assert mill.ended("long")["state"] == "done"


def test_a_stand_in_for_srun_starts_nothing_that_it_can_not(mill: Mill) -> None:
    turning = without_slurm(mill)
    turning.drop("many.sh", "#!/bin/sh\n#SBATCH --ntasks=4\nsrun -n 4 touch made\n")
    assert turning.ended("many")["state"] == "failed"
    assert "srun: 4 tasks are asked for, and one runs here" in turning.grist("log", "many/0")
    assert not (turning.base / "made").exists()


def test_a_singleton_waits_for_all_earlier_jobs_of_its_name(turning: Mill) -> None:
    text = "#!/bin/sh\n#SBATCH -J one --dependency=singleton --mem=8M\n"
    turning.drop("a.sh", text + "while [ ! -e go ]; do sleep 0.05; done\necho a >> out\n")
    turning.until(lambda: turning.job("one").get("state") == "running", "does not run")
    turning.drop("b.sh", text + "echo b >> out\n")
    turning.drop("other.sh", text.replace("-J one", "-J other") + "echo other >> out\n")
    assert turning.ended("other")["state"] == "done"
    reason = turning.until(lambda: turning.job("one").get("reason"), "no reason")
    assert reason.startswith("singleton: waits for job ")
    (turning.base / "go").touch()
    assert turning.ended("one")["state"] == "done"
    assert (turning.base / "out").read_text().split() == ["other", "a", "b"]


def test_commands_as_gnu_parallel_has_them(turning: Mill) -> None:
    (turning.base / "in").mkdir()
    for name in ("a b.txt", "c.txt"):
        (turning.base / "in" / name).write_text(name)
    turning.drop("zip.toml", 'command = "cp {} {.}.{#}.bak && echo {/} {%} $GRIST_WORKER"\n'
                 'items.list = ["in/a b.txt", "in/c.txt"]\n')  # fmt: skip
    assert turning.ended("zip")["state"] == "done"
    assert sorted(path.name for path in (turning.base / "in").glob("*.bak")) == ["a b.1.bak", "c.2.bak"]
    for number, name in enumerate(("a b.txt", "c.txt")):
        *said, slot, worker = turning.grist("log", f"zip/{number}").split()
        assert (" ".join(said), slot) == (name, worker)


def test_a_job_takes_its_shell_along_and_no_secret_is_shown(turning: Mill) -> None:
    turning.env |= {"SEED": "3 {x}", "HF_TOKEN": "sesame", "DB_PASSWORD": "open"}
    said = turning.grist("add", "--export", "--env", "HF_TOKEN", "--name", "see", "--",
                         'echo "$SEED $PWD"; [ ${#HF_TOKEN} = 6 ] && [ -z "$DB_PASSWORD" ]')  # fmt: skip
    assert "left behind, as their names look secret: DB_PASSWORD" in said
    assert turning.ended("see")["state"] == "done", turning.grist("log", "see/0")
    assert turning.grist("log", "see/0") == f"3 {{x}} {turning.base}\n"
    for words in (("status", "--json"), ("status", "see", "--json"), ("status", "see"), ("explain", "see", "--json"),
                  ("explain", "see/0"), ("results", "see", "--json")):  # fmt: skip
        assert "sesame" not in turning.grist(*words)
    assert "sesame" not in turning.errors.read_text()
    (kept,) = turning.until(lambda: list(turning.jobs.glob("done/see*")), "not filed")
    assert (kept.stat().st_mode & 0o777, "sesame" in kept.read_text()) == (0o600, True)


def test_a_job_left_for_the_next_daemon_is_for_nobody_else_to_read(mill: Mill) -> None:
    mill.grist("add", "--env", "HF_TOKEN=sesame", "--", "true")
    (left,) = mill.jobs.glob("*.toml")
    assert left.stat().st_mode & 0o777 == 0o600


def test_frozen_code_runs_though_it_is_edited(turning: Mill) -> None:
    (turning.base / "part.py").write_text("WORD = 'old'\n" + "#" * 5000)
    (turning.base / "train.py").write_text("import os, part\nprint(part.WORD, os.getcwd())\n")
    turning.grist("limit", "0")
    said = 'command = "python3 train.py"\n'
    turning.drop("bad.toml", said + 'snapshot = ["*.py"]\n')
    turning.drop("out.toml", 'command = "python3 {snapshot}/train.py"\nsnapshot = ["*.py"]\n')
    turning.drop("in.toml", said + 'snapshot = { files = ["*.py"], cwd = true }\n')
    (turning.base / "calls.py").write_text("def word():\n    return 'old'\n")
    turning.drop("call.toml", 'call = "calls:word"\nsnapshot = ["calls.py"]\n')
    turning.drop("script.py", "#GRIST snapshot = ['*.py']\nimport part\nprint(part.WORD)\n")
    turning.until(lambda: len(turning.ask("status")["jobs"]) == 4, "not accepted")
    why = turning.until(lambda: [path.read_text() for path in turning.jobs.glob("rejected/*.error")], "not rejected")
    assert why[0].startswith('bad.toml:2:1: snapshot: "train.py" would be run as it is then, not as it is frozen')
    for name in ("part.py", "train.py", "calls.py"):
        (turning.base / name).write_text("raise SystemExit('new')\n")
    turning.grist("limit", "2")
    for name in ("out", "in", "script", "call"):
        assert turning.ended(name)["state"] == "done", turning.grist("log", f"{name}/0")
    assert '"result": "old"' in turning.grist("results", "call", "--json")
    frozen = turning.job("in")["snapshot"]
    assert turning.grist("log", "out/0") == f"old {turning.base}\n"
    assert turning.grist("log", "in/0") == f"old {frozen['folder']}\n"
    assert turning.grist("log", "script/0") == "old\n"
    assert frozen["files"] >= 2
    assert "It runs code frozen when it was accepted: " in turning.grist("explain", "in")
    turning.until(lambda: len(list(turning.jobs.glob("done/*"))) == 4, "not filed")
    with contextlib.closing(sqlite3.connect(turning.state / "queue.db")) as db:
        sizes = {name: size for _, name, size in Queries(db).ended_last()}
    assert sizes["in"] - sizes["call"] >= frozen["bytes"] - 100, "what is frozen counts to what is kept"
    folders = [turning.job(name)["snapshot"]["folder"] for name in ("out", "in", "script", "call")]
    turning.grist("remove", "out", "in", "script", "call")
    turning.until(lambda: not any(Path(folder).exists() for folder in folders), "frozen code is left")


def test_a_job_that_asks_for_a_terminal_finds_one_and_its_bar_is_progress(turning: Mill) -> None:
    (turning.base / "bar.py").write_text(
        "import os, sys, time\n"
        "if sys.stderr.isatty():\n    sys.stderr.write('\\r 42%|####      |')\n    sys.stderr.flush()\n"
        "while not os.path.exists('go'):\n    time.sleep(0.02)\n"
        "print(os.environ.get('TERM'))\n"
    )
    turning.drop("bar.toml", f'command = "{sys.executable} bar.py"\npty = true\n')
    turning.running("bar")
    turning.until(lambda: [task["progress"] for task in turning.tasks("bar")] == [0.42], "no progress was shown")
    (turning.base / "go").touch()
    assert turning.ended("bar")["state"] == "done"
    assert " 42%|####      |" in turning.grist("log", "bar/0")
