"""The store on a real SQLite file: what was written is there, also for whoever opens it next."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gristmill.supervisor.core.errors import FolderError
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.spec import Items, Spec
from gristmill.supervisor.core.task import JobState, Task, TaskState, advance
from gristmill.supervisor.edge import store
from gristmill.supervisor.edge.store import Store
from tests.waiting import DEADLINE


def job(number: int = 1, name: str = "sweep") -> Job:
    spec = Spec(name=name, kind="command", command=("echo", "{index}"), cwd="/", items=Items(total=9))
    return Job(id=number, spec=spec, file="sweep.toml", submitted_at=5.0, claim=f"claim-{number}")


async def test_jobs_and_tasks_come_back_as_they_were(tmp_path: Path) -> None:
    with Store(tmp_path / "queue.db") as record:
        account = job()
        await record.write(store.add_job(account, b"source", b"accepted/sweep.toml"))
        task = advance(account.take(1.0), TaskState.RUNNING, pid=7, started_at=2.0)
        account.handout.put(0)
        account.enter(JobState.RUNNING)
        await record.write(store.save_task(task), store.save_job(account), store.save_result(task, b"[1]"))
    with Store(tmp_path / "queue.db") as record:
        (found,) = record.queries.unfinished()
        assert (found.id, found.spec, found.state, found.handout.recorded) == (1, account.spec, JobState.RUNNING, 1)
        assert record.queries.open_tasks() == [task]
        assert await record.ask("results", 1, -1, 10, 1000) == [(0, 1, 0, b"[1]")]
        assert await record.ask("source", 1) == b"source"
        assert await record.ask("claimed", "claim-1") == 1


async def test_files_of_results_are_those_that_were_left_and_nothing_that_a_task_made_up(tmp_path: Path) -> None:
    account = job()
    rows = [
        b'{"file":"/state/results/1/0.1.json","bytes":9}', b'{"file":5,"bytes":9}',
        b'{"file":"a\\u0000","bytes":9}', b'{"file":' + b"[" * 2000 + b"]" * 2000 + b',"bytes":9}',
    ]  # fmt: skip
    with Store(tmp_path / "queue.db") as record:
        for row in rows:
            record.write(store.save_result(account.take(1.0), row))
        await record.settled()
        assert await record.ask("result_files", 1) == ["/state/results/1/0.1.json"]


async def test_a_name_means_the_newest_job_of_it(tmp_path: Path) -> None:
    with Store(tmp_path / "queue.db") as record:
        for number in (1, 2):
            await record.write(store.add_job(job(number), b"", b""))
        assert (await record.ask("job", "sweep")).id == 2
        assert (await record.ask("job", "1")).id == 1
        assert await record.ask("job", "other") is None


async def test_what_was_written_survives_another_process_reading_the_file_alone(tmp_path: Path) -> None:
    with Store(tmp_path / "queue.db") as record:
        await record.write(store.add_job(job(), b"", b""))
        with sqlite3.connect(f"file:{tmp_path}/queue.db?mode=ro", uri=True) as other:
            assert other.execute("SELECT name FROM jobs").fetchall() == [("sweep",)]
        other.close()


async def test_many_writes_share_commits_and_keep_their_order(tmp_path: Path) -> None:
    with Store(tmp_path / "queue.db") as record:
        await record.write(store.add_job(job(), b"", b""))
        states = [TaskState.STARTING, TaskState.RUNNING, TaskState.DONE]
        writes = [
            record.write(store.save_task(Task(job=1, number=number, start=number, count=1, state=state)))
            for number in range(2000) for state in states
        ]
        await asyncio.gather(*writes)
        done = await record.ask("tasks", 1, ["done"], 0, 5000)
        assert len(done) == 2000


async def test_a_lock_on_the_file_is_a_fault_that_is_left_by_itself(tmp_path: Path) -> None:
    with Store(tmp_path / "queue.db") as record:
        record._db.execute("PRAGMA busy_timeout = 50")
        other = sqlite3.connect(tmp_path / "queue.db", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        write = record.write(store.add_job(job(), b"", b""))
        async with asyncio.timeout(DEADLINE):
            while not record.fault:
                await asyncio.wait([write], timeout=0.05)
        assert "locked" in record.fault
        other.execute("ROLLBACK")
        other.close()
        async with asyncio.timeout(DEADLINE):
            await write
        assert record.fault == ""
        assert await record.ask("job", "1") is not None


async def test_a_defect_is_told_to_its_writer_and_to_nobody_else(tmp_path: Path) -> None:
    with Store(tmp_path / "queue.db") as record:
        await record.write(store.add_job(job(), b"", b""))
        with pytest.raises(sqlite3.IntegrityError):
            await record.write(store.add_job(job(), b"", b""))
        with pytest.raises(UnicodeEncodeError):
            await record.write(store.save_meta("half a character", "\udcff"))
        with pytest.raises(OverflowError):
            await record.write(store.drop_task(1 << 63, 0))
        await record.write(store.add_job(job(2), b"", b""))


async def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    with Store(tmp_path / "queue.db"):
        pass
    with sqlite3.connect(tmp_path / "queue.db") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(FolderError, match="newer Gristmill"), Store(tmp_path / "queue.db"):
        pass


async def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "queue.db").write_bytes(b"not a database at all, but long enough to be read as one" * 40)
    with pytest.raises(FolderError, match=r"queue\.db"), Store(tmp_path / "queue.db"):
        pass


async def test_a_write_that_can_not_be_committed_costs_the_others_nothing(tmp_path: Path) -> None:
    with Store(tmp_path / "queue.db") as record:
        twin = job(2)
        twin.claim = "claim-1"
        writes = [record.write(store.add_job(one, b"", b"")) for one in (job(1), twin, job(3))]
        first, second, third = await asyncio.gather(*writes, return_exceptions=True)
        assert (first, third) == (None, None)
        assert isinstance(second, sqlite3.IntegrityError)
        assert [found.id for found in record.queries.unfinished()] == [1, 3]


async def test_what_is_dropped_gives_its_pages_back_to_the_file_system(tmp_path: Path) -> None:
    with Store(tmp_path / "queue.db") as record:
        await record.write(store.add_job(job(), b"source" * 200_000, b"done/sweep.toml"))
        for number in range(300):
            task = Task(job=1, number=number, start=number, count=1)
            await record.write(store.save_result(task, b"1" * 9000))
        assert await record.ask("with_records", [1, 2]) == [1]
        for _ in range(4):
            await record.write(*store.drop_records(1, 100))
        assert await record.ask("with_records", [1, 2]) == []
        await record.write(store.drop_job(1))
        assert await record.ask("free_pages") > 900
        await record.write(store.shrink(10**6))
        assert await record.ask("free_pages") == 0
    assert (tmp_path / "queue.db").stat().st_size < 200_000


async def test_a_file_that_could_give_no_pages_back_is_rebuilt_and_can(tmp_path: Path) -> None:
    with Store(tmp_path / "queue.db") as record:
        await record.write(store.add_job(job(), b"source", b"done/sweep.toml"))
    with sqlite3.connect(tmp_path / "queue.db", isolation_level=None) as old:
        old.execute("PRAGMA auto_vacuum = NONE")
        old.execute("VACUUM")
        assert old.execute("PRAGMA auto_vacuum").fetchone() == (0,)
    old.close()
    with Store(tmp_path / "queue.db") as record:
        await record.write(store.save_meta("x", "y" * 100_000), store.save_meta("x", ""))
        assert await record.ask("free_pages") > 20
        assert (await record.ask("job", "1")).spec.name == "sweep"


async def test_a_file_that_can_not_be_read_any_more_is_an_error_of_the_machine(tmp_path: Path) -> None:
    with Store(tmp_path / "queue.db") as record:
        await record.write(store.save_meta("boot", "1"))
        with closing(sqlite3.connect(tmp_path / "queue.db")) as other:
            other.execute("DROP TABLE tasks")  # as little of it is left as on a disk that has gone
        with pytest.raises(OSError, match=r"queue\.db: no such table: tasks"):
            await record.ask("tasks", 1, [], 0, 10)
        with pytest.raises(OSError, match="no such table"), record.reading() as queries:
            queries.tasks(1, [], 0, 10)
