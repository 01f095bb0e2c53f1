"""What a job left, weighed and removed; nothing else of the state folder, the shared one or outside is touched."""

from __future__ import annotations

import os
from pathlib import Path

from gristmill.supervisor.edge.attic import Attic


def state(base: Path) -> Path:
    for place in ("logs/1", "logs/11", "results/1/deep", "calls/1", "scripts/b-1", "runs/7"):
        (base / "state" / place).mkdir(parents=True)
    return base / "state"


def test_all_that_a_job_left_goes_and_what_others_left_stays(tmp_path: Path) -> None:
    here = state(tmp_path)
    for name in ("logs/1/0.1.log", "logs/11/0.1.log", "results/1/deep/x", "scripts/b-1/s.sh", "runs/7/result.1.0.1",
                 "runs/7/lock"):  # fmt: skip
        (here / name).write_bytes(b"x" * 5000)
    for name in ("1/1/log", "11/1/log"):
        (tmp_path / "shared" / name).mkdir(parents=True)
        (tmp_path / "shared" / name / "0.1.log").write_bytes(b"x" * 100_000)
    attic = Attic(here, tmp_path / "shared")
    assert 110_000 <= attic.weigh(1) < 150_000
    attic.remove(1, str(here / "scripts/b-1/s.sh"), [str(here / "runs/7/result.1.0.1")])
    left = sorted(str(path.relative_to(here)) for path in here.rglob("*"))
    assert left == [
        "calls", "logs", "logs/11", "logs/11/0.1.log", "results", "runs", "runs/7", "runs/7/lock", "scripts"
    ]
    assert os.listdir(tmp_path / "shared") == ["11"] and attic.weigh(1) == 0
    attic.remove(1, str(here / "scripts/b-1/s.sh"), [])  # once more, as after a crash


def test_no_path_leads_out_of_the_state_folder(tmp_path: Path) -> None:
    here = state(tmp_path)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.tex").write_text("years of work")
    os.symlink(mine, here / "logs" / "1" / "link")
    os.symlink(mine, here / "runs" / "8")
    attic = Attic(here, tmp_path / "no share")
    attic.remove(1, str(mine / "thesis.tex"), [str(here / "runs/8/thesis.tex"), "/etc/nothing", str(here / "queue.db")])
    assert (mine / "thesis.tex").read_text() == "years of work"
    assert not (here / "logs" / "1").exists()
