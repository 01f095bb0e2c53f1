"""Run folders, without a worker."""

from __future__ import annotations

from pathlib import Path

from gristmill.supervisor.edge.runs import Runs


def test_a_run_that_is_over_is_told_also_where_a_result_stays_in_its_folder(tmp_path: Path) -> None:
    runs, heard = Runs(tmp_path), list[int]()
    runs.cleared = heard.append
    plain, keeps = runs.create(), runs.create()
    result = runs.path(keeps) / "result.1.0.1"
    result.write_text("7")
    runs.remove(plain)
    runs.remove(keeps)
    assert heard == [plain, keeps]
    assert not runs.path(plain).exists() and [path.name for path in runs.path(keeps).iterdir()] == [result.name]
