"""A sweep told by its parameters."""

import pytest

from gristmill.supervisor.core.spec import Axis, Items
from gristmill.supervisor.core.sweep import Ended, Sweep

RULE = Items(total=6, axes=(Axis(name="layers", values=(1, 2)), Axis(name="fold", range=(0, 3, 1))))


def told(sweep: Sweep, name: str) -> dict[str, tuple[int, int, float | None, int | None, float | None]]:
    axis = next(axis for axis in sweep.view(6).axes if axis.name == name)
    return {one.value: (one.done, one.failed, one.wall_s, one.memory_peak_bytes, one.result) for one in axis.values}


def test_each_value_has_its_ends_means_and_peak() -> None:
    sweep = Sweep(RULE)
    sweep.add([Ended(0, True, 1.0, 100, {"loss": 0.5, "steps": 9}), Ended(1, True, 3.0, 300, {"loss": 0.3})])
    sweep.add([Ended(3, False, 9.0, 900, None)])
    assert told(sweep, "layers") == {"1": (2, 0, 2.0, 300, pytest.approx(0.4)), "2": (0, 1, None, 900, None)}
    assert told(sweep, "fold")["0"] == (1, 1, 1.0, 900, 0.5)
    assert told(sweep, "fold")["2"] == (0, 0, None, None, None)
    assert (sweep.view(6).result, sweep.view(6).fields, sweep.view(6).seen) == ("loss", ["loss", "steps"], 3)


def test_the_field_that_is_averaged_can_be_named() -> None:
    sweep = Sweep(RULE, "steps")
    sweep.add([Ended(0, True, 1.0, None, {"loss": 0.5, "steps": 9}), Ended(1, True, 1.0, None, {"loss": 0.5})])
    assert told(sweep, "layers")["1"][4] == 9


def test_a_result_that_is_a_number_needs_no_name_and_what_is_none_counts_for_nothing() -> None:
    sweep = Sweep(RULE)
    sweep.add([Ended(0, True, 1.0, None, 4), Ended(1, True, 1.0, None, True), Ended(2, True, 1.0, None, "x"),
               Ended(4, True, 1.0, None, 1e301)])  # fmt: skip
    assert told(sweep, "layers") == {"1": (3, 0, 1.0, None, 4.0), "2": (1, 0, 1.0, None, None)}


def test_many_numbers_are_told_in_ranges_and_many_words_not_at_all() -> None:
    rule = Items(total=200, cases=tuple({"seed": number, "file": f"f{number}", "kind": "ab"[number % 2]}
                                        for number in range(200)))  # fmt: skip
    sweep = Sweep(rule)
    sweep.add(Ended(number, number < 100, 1.0, None, None) for number in range(200))
    assert [axis.name for axis in sweep.view(200).axes] == ["seed", "kind"]
    assert list(told(sweep, "seed")) == ["0…24", "25…49", "50…74", "75…99", "100…124", "125…149", "150…174", "175…199"]
    assert told(sweep, "seed")["75…99"][:2] == (25, 0)
    assert told(sweep, "kind")["a"][:2] == (50, 50)


def test_one_and_true_are_two_values() -> None:
    rule = Items(total=2, cases=({"flag": 1}, {"flag": True}))
    sweep = Sweep(rule)
    sweep.add([Ended(0, True, 1.0, None, None), Ended(1, False, 1.0, None, None)])
    assert told(sweep, "flag") == {"1": (1, 0, 1.0, None, None), "true": (0, 1, None, None, None)}
