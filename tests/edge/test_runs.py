"""Run folders, without a worker."""

from __future__ import annotations

from pathlib import Path

from gristmill.supervisor.core.journal import Key
from gristmill.supervisor.edge.runs import Runs


def test_a_run_that_is_over_is_told_also_where_a_result_stays_in_its_folder(tmp_path: Path) -> None:
    runs, heard = Runs(tmp_path), list[int]()
    runs.cleared = heard.append
    plain, keeps = runs.create(), runs.create()
    (runs.path(keeps) / "result.1.0.1").write_text("7")
    (runs.path(keeps) / "result.1.1.1").mkdir()  # what a task made of it
    runs.remove(plain)
    runs.remove(keeps)
    assert heard == [plain, keeps]
    assert not runs.path(plain).exists()
    assert {path.name for path in runs.path(keeps).iterdir()} == {"result.1.0.1", "result.1.1.1"}


def test_what_a_task_puts_into_its_run_folder_keeps_nothing_there(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    runs = Runs(tmp_path)
    run = runs.create()
    for name in ("log.txt", "err.1.2", "result.tmp", "notes", "log.3.1.2"):
        (runs.path(run) / name).write_text("words")
    (runs.path(run) / "progress" / "deep").mkdir(parents=True)
    (runs.path(run) / "link").symlink_to(tmp_path / "logs")
    assert runs.save_strays(run) == [(Key(3, 1, 2), str(tmp_path / "logs" / "3" / "1.2.log"))]
    runs.remove(run)
    assert not runs.path(run).exists() and (tmp_path / "logs" / "3" / "1.2.log").read_text() == "words"
