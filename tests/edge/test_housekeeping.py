"""What months leave, at chosen times: on a real store and real files, with a clock that is set by hand."""

from __future__ import annotations

from pathlib import Path

from gristmill.supervisor.core import settings
from gristmill.supervisor.core.jobfile import parse
from gristmill.supervisor.core.retention import Usual
from gristmill.supervisor.core.settings import Settings
from gristmill.supervisor.edge.store import Store
from gristmill.supervisor.housekeeping import Housekeeper
from gristmill.supervisor.ledger import Ledger

DAY = 86400.0
LOG = 100_000
"""Bytes that each job writes."""
USUAL = Usual(age_s=90 * DAY, most_bytes=450_000)


class House:
    """A daemon's accounts, and one job a day."""

    def __init__(self, record: Store, state: Path, said: Settings) -> None:
        self.now, self.state, self.record = 1.7e9, state, record
        self.ledger = Ledger(record, lambda: self.now, lambda: 0.5)
        self.keeper = Housekeeper(self.ledger, record, state, state / "beyond", lambda: said, lambda: self.now, USUAL)

    async def day(self) -> None:
        self.now += DAY
        spec = parse('command = "true"', "day.toml", cwd="/", home="/", read=lambda _: "")
        job = await self.ledger.accept(f"claim {self.now}", "day.toml", spec, b"", b"failed/day.toml")
        log = self.state / "logs" / str(job.id) / "0.1.log"
        log.parent.mkdir(parents=True)
        log.write_bytes(b"x" * LOG)
        await self.ledger.cancel(job)
        await self.ledger.settled()
        await self.keeper.look()
        await self.keeper._remove()

    async def left(self) -> list[int]:
        kept = [number for number, _ in await self.record.ask("ended", self.now, 1000)]
        assert sorted(kept) == sorted(int(path.name) for path in (self.state / "logs").iterdir())
        return sorted(kept)


async def months(tmp_path: Path, said: Settings, days: int) -> list[int]:
    with Store(tmp_path / "queue.db") as record:
        house = House(record, tmp_path, said)
        for _ in range(days):
            await house.day()
        return await house.left()


async def test_by_default_three_months_stay_and_the_state_folder_stops_growing(tmp_path: Path) -> None:
    assert await months(tmp_path, Settings(), 120) == list(range(31, 121))


async def test_what_is_older_stays_as_long_as_all_is_small(tmp_path: Path) -> None:
    with Store(tmp_path / "queue.db") as record:
        house = House(record, tmp_path, Settings())
        for _ in range(3):
            await house.day()
        house.now += 400 * DAY
        await house.keeper.look()
        await house.keeper._remove()
        assert await house.left() == [1, 2, 3]


async def test_who_says_all_keeps_all(tmp_path: Path) -> None:
    said = settings.settle({"keep": None})
    assert await months(tmp_path, said, 100) == list(range(1, 101))
