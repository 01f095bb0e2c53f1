"""A fuse whose look fails looks once more, though nothing else has failed since."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gristmill.supervisor.core.journal import Exit
from gristmill.supervisor.core.spec import Items, Limits, Spec
from gristmill.supervisor.core.task import JobState
from gristmill.supervisor.edge.store import Store
from gristmill.supervisor.endings import Endings
from gristmill.supervisor.fuses import Fuses
from gristmill.supervisor.ledger import Ledger


async def test_a_record_that_can_not_be_read_for_a_moment_keeps_no_fuse_from_blowing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store(tmp_path / "queue.db") as record:
        ledger = Ledger(record, lambda: 100.0, lambda: 0.5)
        spec = Spec(name="j", kind="command", command=("x",), cwd="/", items=Items(total=9), limits=Limits(failures=1))
        job = await ledger.accept("claim", "j.toml", spec, b"", b"accepted/j.toml")
        task = ledger.take(job, 1)
        await ledger.starting([task], 1, 1)
        Endings(ledger).exited(job, task.number, Exit(1, None, None, 99.0, 100.0, 0.1, 1000, None, None, ""))
        fuses, reading = Fuses(ledger, record), record.reading

        def gone() -> Any:
            monkeypatch.setattr(record, "reading", reading)
            raise OSError("the disk is gone for a moment")

        monkeypatch.setattr(record, "reading", gone)
        with pytest.raises(OSError, match="for a moment"):
            await fuses.look()
        await fuses.look()
        assert (job.state, job.reason) == (JobState.FAILED, "failures: 1 task has failed: exit 1")
        await ledger.settled()
