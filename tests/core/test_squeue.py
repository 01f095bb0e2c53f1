"""What Slurm's commands print is understood."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.supervisor.core import squeue
from gristmill.supervisor.core.remote import End, Ended

LINES = """\
grist-a-1.1|51_[5-6,9%2]|PENDING||JobArrayTaskLimit
grist-a-1.1|51_[7]|PENDING||launch failed requeued held
grist-a-1.1|51_4|RUNNING|n1|None
grist-a-1.1|51_3|COMPLETING|n2|None
grist-a-2.1|60_[0-99]|PENDING||Nodes required for job are DOWN, DRAINED | or reserved
other|61|RUNNING|n1|None
other|62_1|FAILED|n1|NonZeroExitCode
torn|63_[1-
"""


def test_the_slots_of_all_chunks_are_read_from_one_answer() -> None:
    found = squeue.glimpses(squeue.rows(LINES), {"1.1": "51", "2.1": "60", "3.1": "99"})
    assert set(found) == {"1.1", "2.1"}, "of what it does not know nothing is said"
    first = found["1.1"]
    assert first.queued == {5, 6, 7, 9} and first.running == {4: "n1", 3: "n2"} and first.stuck == {7}
    assert found["2.1"].queued == set(range(100))
    assert found["2.1"].reason == "Nodes required for job are DOWN, DRAINED | or reserved"


@given(st.frozensets(st.integers(0, 500), min_size=1))
def test_spans_name_the_slots_that_they_were_made_of(slots: frozenset[int]) -> None:
    assert set(squeue.slots(squeue.spans(slots))) == slots


def test_spans_with_steps_and_limits_are_read() -> None:
    assert squeue.slots("0-3,7,10-20:5%2") == [0, 1, 2, 3, 7, 10, 15, 20]


@pytest.mark.parametrize(
    ("state", "how"),
    [("OUT_OF_MEMORY", End.MEMORY), ("TIMEOUT", End.TIME), ("CANCELLED by 1000", End.CANCELED), ("NODE_FAIL", End.NODE),
     ("PREEMPTED", End.PREEMPTED), ("FAILED", End.ENDED), ("COMPLETED", End.ENDED), ("RUNNING", None), ("", None)],
)  # fmt: skip
def test_states_in_which_slurm_left_a_slot(state: str, how: End | None) -> None:
    found = squeue.end(state)
    assert (found.how if found else None) is how


def test_accounting_explains_a_loss() -> None:
    text = "51_4|OUT_OF_MEMORY|n1|0:125\n51_5|RUNNING|n1|0:0\n51_[6-9]|PENDING||0:0\n"
    assert squeue.accounted(text) == {4: Ended(End.MEMORY, "OUT_OF_MEMORY (exit code 0:125)")}


@pytest.mark.parametrize(
    ("message", "what"),
    [
        ("sbatch: error: Unable to contact slurm controller (connect failure)", "silent"),
        ("sbatch: error: Batch job submission failed: Socket timed out on send/recv operation", "silent"),
        ("slurm_load_jobs error: Zero Bytes were transmitted or received", "silent"),
        ("sbatch: error: Munge encode failed: Failed to access \"/run/munge/munge.socket.2\"", "silent"),
        ("sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit)", "busy"),
        ("sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying", "busy"),
        ("sbatch: error: Batch job submission failed: Required partition not available (inactive or drain)", "busy"),
        ("sbatch: error: something nobody has ever read", "busy"),
        ("sbatch: error: invalid partition specified: nosuch", "refused"),
        ("sbatch: error: Batch job submission failed: Requested node configuration is not available", "refused"),
        ("sbatch: error: Memory specification can not be satisfied", "refused"),
        ("sbatch: unrecognized option '--nonsense'", "refused"),
    ],
)  # fmt: skip
def test_only_what_will_never_be_taken_fails_tasks(message: str, what: str) -> None:
    assert squeue.sort(message) == what


def test_a_complaint_is_shown_without_its_frame() -> None:
    said = "sbatch: error: invalid partition specified: x\nsbatch: error: Batch job submission failed: Invalid one\n"
    assert squeue.plain(said) == "invalid partition specified: x; Batch job submission failed: Invalid one"
    assert squeue.plain("") == "no word of why"


def test_settings_of_a_controller() -> None:
    text = "Configuration data\nMaxArraySize            = 1001\nMaxJobCount=5\n"
    assert squeue.settings(text, "MaxArraySize", "MaxJobCount") == {"MaxArraySize": "1001", "MaxJobCount": "5"}
