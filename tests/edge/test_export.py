"""Results written out in each form, by what a reader of that form finds."""

from __future__ import annotations

import csv
import io
import json
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gristmill.supervisor.core.errors import GristError
from gristmill.supervisor.core.harvest import Row
from gristmill.supervisor.edge import export, results

ROWS: list[Row] = [
    {"item": 0, "params": {"lr": 0.1, "name": "a,b"}, "task": "1/0", "result": {"loss": 1, "path": [1, 2]}},
    {"item": 1, "params": {"lr": 0.2, "name": 'say "x"'}, "task": "1/1", "result": {"loss": 0.5, "note": "für"}},
    {"item": 2, "params": {"lr": 0.3, "name": "c"}, "task": "1/2", "result": 7},
]


def written(form: str) -> bytes:
    out = io.BytesIO()
    export.write(iter(ROWS), form, out)
    return out.getvalue()


def test_json_is_a_line_a_row() -> None:
    assert [json.loads(line) for line in written("json").splitlines()] == ROWS


def test_csv_has_all_columns_that_any_row_has() -> None:
    first, *others = csv.reader(io.StringIO(written("csv").decode(), newline=""))
    assert first == ["item", "lr", "name", "loss", "path", "note", "result"]
    assert others == [
        ["0", "0.1", "a,b", "1", "[1, 2]", "", ""], ["1", "0.2", 'say "x"', "0.5", "", "für", ""],
        ["2", "0.3", "c", "", "", "", "7"],
    ]  # fmt: skip


def test_parquet_has_typed_columns() -> None:
    pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    table = pq.read_table(io.BytesIO(written("parquet")))
    assert {name: str(table.schema.field(name).type) for name in table.column_names} == {
        "item": "int64", "lr": "double", "name": "string", "loss": "double", "path": "string", "note": "string",
        "result": "int64",
    }  # fmt: skip
    assert table.column("loss").to_pylist() == [1.0, 0.5, None]
    assert table.column("note").to_pylist() == [None, "für", None]


def test_where_pyarrow_is_missing_that_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(GristError, match=r"needs pyarrow.* pip install 'gristmill\[parquet\]', or take csv or json"):
        export.write_file(iter(ROWS), "parquet", tmp_path / "a.parquet")
    assert list(tmp_path.iterdir()) == [], "nothing half written is left"


def test_a_file_keeps_what_it_held_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("before")

    def failing() -> Iterator[Row]:
        yield ROWS[0]
        raise OSError("the daemon is gone")

    with pytest.raises(OSError, match="gone"):
        export.write_file(failing(), "csv", path)
    assert path.read_text() == "before"
    export.write_file(iter(ROWS), "json", path)
    assert len(path.read_text().splitlines()) == 3
    assert [one.name for one in tmp_path.iterdir()] == ["a.csv"]


@pytest.mark.parametrize("form", ["json", "csv", "parquet"])
def test_many_rows_are_never_held_at_a_time(form: str, tmp_path: Path) -> None:
    if form == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed")
        export.write_file(iter(ROWS), form, tmp_path / "first")
    rows = ({"item": item, "params": {}, "task": f"1/{item}", "result": item / 7} for item in range(60_000))
    tracemalloc.start()
    export.write_file(rows, form, tmp_path / "many")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12_000_000, f"{peak / 1e6:.0f} MB for 60,000 rows"


def test_a_ranges_list_is_read_from_its_file_where_that_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "1.1.json"
    path.write_text(json.dumps([{"text": "x" * 1000}] * 2000))
    kept = results.collect(path)
    assert kept.file is None
    assert len(results.decoded(kept.row, 2000)) == 2000
    reference = {"file": str(path), "bytes": path.stat().st_size}
    assert results.decoded(kept.row, 1) == reference, "one item's result stays the file that it is"
    assert results.decoded(kept.row, 1999) == reference, "not one entry an item"
    path.unlink()
    assert results.decoded(kept.row, 2000) == reference


@pytest.mark.parametrize("given", [
    {"file": 5, "bytes": 2_000_000}, {"file": "x\0y", "bytes": 2_000_000}, {"file": "/dev/zero", "bytes": 2_000_000},
    {"file": "x", "bytes": "y"}, {"file": "x", "bytes": 2_000_000, "more": 1}, {"file": ["x"], "bytes": None},
])  # fmt: skip
def test_what_a_task_gave_that_looks_as_if_it_were_kept_as_a_file_is_what_it_gave(given: dict[str, Any]) -> None:
    assert results.decoded(json.dumps(given).encode(), 2) == given


@pytest.mark.parametrize(("returned", "kept"), [
    ("\udcff", '"?"'), ("a\ud83d", '"a?"'), ("\U0001f600 \udc80", r'"\ud83d\ude00 ?"'), (r"\udcff", r'"\\udcff"'),
    ("\\\udcff", r'"\\?"'), ("\ude00\ud83d", '"??"'), ("ä", r'"\u00e4"'),
])  # fmt: skip
def test_of_half_a_character_that_a_call_returned_a_question_mark_is_left(returned: str, kept: str) -> None:
    row = results.inline(json.dumps(returned)).row
    assert row == kept.encode()
    assert results.decoded(row, 1) == json.loads(kept)


def test_what_a_call_returned_too_deep_to_be_read_is_told_as_text() -> None:
    deep = "[" * 200_000 + "]" * 200_000
    assert results.decoded(results.inline(deep).row, 1) == deep
