"""Failures grouped by their last words."""

from gristmill.supervisor.core.causes import Failure, alike, group


def test_alike_is_what_differs_in_numbers_paths_and_names() -> None:
    assert alike("CUDA out of memory: tried 2.5 GiB") == alike("CUDA  out of memory: tried 12 GiB")
    assert alike("KeyError: 'fold3'") == alike('KeyError: "x"')
    assert alike("/data/a/b.csv: no such file") == alike("/data/other/b.csv: no such file")
    assert alike("ValueError: no samples") != alike("ValueError: no labels")


def test_causes_come_by_how_many_tasks_they_cost_with_the_words_of_one() -> None:
    found = group([Failure(9, "failed", "exit 1", "loss 3 is nan"), Failure(4, "failed", "exit 1", "no file 7"),
                   Failure(2, "failed", "exit 1", "loss 8 is nan"),
                   Failure(1, "oom", "killed at 4 GB", "")])  # fmt: skip
    assert [(one.count, one.state, one.words, one.numbers) for one in found] == [
        (2, "failed", "loss 3 is nan", [2, 9]), (1, "oom", "killed at 4 GB", [1]), (1, "failed", "no file 7", [4])]


def test_one_state_is_not_mixed_with_another() -> None:
    assert len(group([Failure(1, "failed", "x", "words"), Failure(2, "timeout", "y", "words")])) == 2
