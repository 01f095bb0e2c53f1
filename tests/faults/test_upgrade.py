"""The program goes, or another comes, under the feet of a daemon and of tasks: exit codes are known all the same."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from pathlib import Path

import pytest

import gristmill
from gristmill.supervisor.edge.store import SCHEMA
from tests.mill import Mill

WORK = """command = "while ! test -e go; do sleep 0.05; done; echo {index} >> done; exit {index}"
[items]
total = 5
per_task = 1
"""


def install(folder: Path, version: str, schema: int = SCHEMA) -> Path:
    """A copy of the program with its own version; one of a higher schema brings the migration to it."""
    package = folder / "gristmill"
    shutil.copytree(Path(gristmill.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    init = package / "__init__.py"
    init.write_text(init.read_text().replace(gristmill.__version__, version))
    if schema != SCHEMA:
        path = package / "supervisor" / "edge" / "store" / "schema.py"
        text = path.read_text().replace(f"SCHEMA = {SCHEMA}\n", f"SCHEMA = {schema}\n")
        table = "MIGRATIONS: dict[int, str] = {\n"
        assert table in text
        path.write_text(text.replace(table, f"{table}    {schema}: 'CREATE TABLE fresh (fact TEXT);',\n"))
    return folder


def use(mill: Mill, installed: Path) -> None:
    mill.env["PYTHONPATH"] = str(installed)


def check_all_ended(mill: Mill) -> None:
    mill.ended("work")
    assert [(task["exit_code"], task["attempts"]) for task in mill.tasks("work")] == [(n, 1) for n in range(5)]
    assert sorted((mill.base / "done").read_text().split()) == list("01234")


@pytest.mark.parametrize("how", ["deleted", "deleted, and the daemon is killed", "replaced"])
def test_the_program_goes_while_tasks_run(mill: Mill, how: str) -> None:
    old = install(mill.base / "old", "1.0")
    use(mill, old)
    mill.start("--limit", "2")
    assert mill.status()["daemon"]["version"] == "1.0"
    mill.drop_claimed("work.toml", WORK)
    mill.running("work", 2)
    shutil.rmtree(old)
    if how == "replaced":
        install(old, "2.0")
    else:
        use(mill, install(mill.base / "new", "2.0"))
    if "killed" in how:
        mill.kill()
    (mill.base / "go").touch()
    if "killed" in how:
        done = mill.base / "done"
        mill.until(lambda: done.exists() and len(done.read_text().split()) == 2, "running tasks were cut")
        mill.start("--limit", "2")
        assert mill.status()["daemon"]["version"] == "2.0"
    check_all_ended(mill)
    mill.drop("after.toml", 'command = "echo {index}; exit 7"\n')
    mill.ended("after")
    assert mill.tasks("after")[0]["exit_code"] == 7


def test_a_newer_daemon_takes_over_and_an_older_one_is_refused_afterwards(mill: Mill) -> None:
    old, new = install(mill.base / "old", "1.0"), install(mill.base / "new", "2.0", SCHEMA + 1)
    use(mill, old)
    mill.start("--limit", "2")
    mill.drop_claimed("work.toml", WORK)
    pids = {task["pid"] for task in mill.running("work", 2)}
    mill.kill()
    use(mill, new)
    mill.start("--limit", "2")
    assert {task["pid"] for task in mill.running("work", 2)} == pids
    saved = mill.state / f"queue.db.schema-{SCHEMA}"
    with contextlib.closing(sqlite3.connect(saved)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (SCHEMA,)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert db.execute("SELECT name FROM jobs").fetchall() == [("work",)]
    assert f"brought from schema {SCHEMA} to {SCHEMA + 1}" in (mill.state / "daemon.log").read_text()
    mill.kill()
    use(mill, old)
    words = mill.grist("daemon", "--allow-root", code=2)
    assert f"written by a newer Gristmill (schema {SCHEMA + 1}, this one knows {SCHEMA})" in words
    assert "install that version again; nothing was changed" in words
    use(mill, new)
    mill.start("--limit", "2")
    (mill.base / "go").touch()
    check_all_ended(mill)


AS_OF_THE_FIRST = """
ALTER TABLE tasks DROP COLUMN stands_for;
ALTER TABLE tasks DROP COLUMN gpus;
ALTER TABLE tasks DROP COLUMN place;
ALTER TABLE tasks DROP COLUMN host;
ALTER TABLE tasks DROP COLUMN engine_id;
CREATE TABLE old (job INTEGER, number INTEGER, result BLOB NOT NULL, PRIMARY KEY (job, number)) WITHOUT ROWID;
INSERT INTO old SELECT job, number, result FROM results;
DROP TABLE results;
ALTER TABLE old RENAME TO results;
PRAGMA user_version = 1;
"""
"""Takes the tables of a database of today back to what they were."""


def test_a_database_of_the_first_schema_is_saved_and_brought_up_to_date(mill: Mill) -> None:
    mill.start()
    mill.drop("before.toml", 'command = "echo 7 > $GRIST_RESULT; exit 3"\n')
    mill.ended("before")
    mill.kill(15)
    with contextlib.closing(sqlite3.connect(mill.state / "queue.db")) as db:
        db.executescript(AS_OF_THE_FIRST)
    mill.start()
    assert mill.tasks("before")[0]["exit_code"] == 3
    (row,) = mill.grist("results", "before", "--json").splitlines()
    assert json.loads(row) == {"item": 0, "params": {}, "task": "1/0", "result": 7}
    assert (mill.state / "queue.db.schema-1").exists()
    mill.drop("after.toml", 'command = "true"\n')
    assert mill.ended("after")["state"] == "done"
