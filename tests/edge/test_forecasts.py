"""Forecasts beside jobs that come and go, on a real record."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from gristmill.supervisor.core.forecast import Error
from gristmill.supervisor.core.spec import Items, Spec
from gristmill.supervisor.edge.store import Store, save_meta
from gristmill.supervisor.forecasts import KEY, Forecasts
from gristmill.supervisor.ledger import Ledger


async def test_a_job_may_end_while_those_are_looked_up_that_a_forecast_leaves_out(tmp_path: Path) -> None:
    connection: Any = None  # nobody is answered but us
    with Store(tmp_path / "queue.db") as record:
        ledger = Ledger(record, lambda: 100.0, lambda: 0.5)
        old, job, left = [
            await ledger.accept(name, f"{name}.toml", Spec(
                name=name, kind="command", command=("x",), cwd="/", items=Items(total=1)
            ), b"", b"accepted/x.toml") for name in ("old", "job", "left")
        ]  # fmt: skip
        await ledger.cancel(old)
        forecasts = Forecasts(ledger, record, lambda: 2, lambda _: 10.0, lambda: 100.0)
        asked = asyncio.create_task(forecasts.operations["forecast"](connection, {"without": ["old"]}), name="asked")
        await asyncio.sleep(0)  # it asks the record by now
        await ledger.cancel(job)
        assert [line.id for line in (await asked).jobs] == [left.id]
        await ledger.settled()


async def test_what_a_later_version_wrote_of_forecasts_keeps_no_daemon_from_starting(tmp_path: Path) -> None:
    with Store(tmp_path / "queue.db") as record:
        for text, error in (('{"square": 0.5, "count": 3}', Error(0.5, 3)), ('{"square": "wide"}', Error())):
            await record.write(save_meta(KEY, text))
            ledger = Ledger(record, lambda: 100.0, lambda: 0.5)
            assert Forecasts(ledger, record, lambda: 2, lambda _: None, lambda: 100.0).error == error
