"""What others may see of a daemon: its figures, and no word of its own but a harmless one."""

from __future__ import annotations

import pytest

from gristmill.supervisor.core import placard
from gristmill.supervisor.core.placard import Placard, Shown
from gristmill.supervisor.core.protocol import DaemonView, LimitView, MachineView

MACHINE = MachineView(cores=8, cpu_percent=90.0, cpu_ours_percent=25.0, memory_total_bytes=16 << 30,
                      memory_available_bytes=1 << 30, memory_ours_bytes=3 << 30)  # fmt: skip


def made(reason: str = "memory: 2 GB free, thesis-secret needs 3") -> Placard:
    limit = LimitView(workers=4, busy=3, reason=reason)
    daemon = DaemonView(pid=4711, version="1.0", uptime_s=62.0, state="ok")
    return placard.make(daemon, limit, MACHINE, (2, 9400), 10, 1062.0)


def test_a_card_has_the_figures_and_nothing_that_a_job_is_called() -> None:
    text = placard.encode(made()).decode()
    assert "thesis" not in text and "secret" not in text
    told = placard.decode(text.encode())
    assert (told.workers, told.busy, told.why, told.cores, told.memory_bytes) == (4, 3, "memory", 2.0, 3 << 30)
    assert placard.rows([Shown(user="ann", uid=1000, card=told)], 1062.0)[1] == (
        "ann", "4711", "01:02", "3/4", "memory", "2", "9,400", "2.0", "3.0G", "10"
    )


@pytest.mark.parametrize(
    ("reason", "word"),
    [("polite hours: until 20:00", "polite hours"), ("starting", ""), ("My-Job: x", ""), ("a" * 30 + ": x", ""),
     ("/home/ann: x", ""), (": x", "")],
)  # fmt: skip
def test_of_a_reason_only_a_plain_word_is_told(reason: str, word: str) -> None:
    assert placard.why(reason) == word


@pytest.mark.parametrize(
    "forged",
    [b"", b"[]", b"{}", b"\xff", b"{" * 4000, b'{"x":' + b"[" * 4000,
     placard.encode(made()).replace(b'"pid":4711', b'"pid":-1'),
     placard.encode(made()).replace(b'"workers":4', b'"workers":1e400'),
     placard.encode(made()).replace(b'"workers":4', b'"workers":"4"'),
     placard.encode(made()).replace(b'"1.0"', b'"' + b"x" * 1000 + b'"')],
)  # fmt: skip
def test_a_card_that_is_none_is_refused(forged: bytes) -> None:
    with pytest.raises(ValueError):
        placard.decode(forged)


def test_an_old_card_and_one_of_the_future_say_nothing() -> None:
    assert placard.is_fresh(made(), 1062.0 + placard.FRESH_S)
    assert not placard.is_fresh(made(), 1063.0 + placard.FRESH_S)
    assert not placard.is_fresh(made(), 1061.0 - placard.FRESH_S)
