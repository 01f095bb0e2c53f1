"""Which card a task gets, and what it is told when there is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.supervisor.core.cards import Card, Cards, words
from gristmill.supervisor.core.spec import Resources

GB = 10**9


def card(index: int, **more: object) -> Card:
    return Card(uuid=f"GPU-{index}", index=index, name="A100", total_bytes=40 * GB, **more)  # type: ignore[arg-type]


def whole(count: int = 1) -> Resources:
    return Resources(gpus=count)


def part(size: int, count: int | None = None) -> Resources:
    return Resources(gpus=count, gpu_memory_bytes=size * GB)


def test_whole_cards_are_given_in_their_order_and_to_one_task_each() -> None:
    cards = Cards((card(0), card(1), card(2)))
    assert cards.take(whole()) == ("GPU-0",)
    assert cards.take(whole(2)) == ("GPU-1", "GPU-2")
    assert cards.take(whole()) == ()
    assert cards.lack(whole()) == "gpu: a task needs a card, 0 of 3 are free"
    assert cards.lack(whole(4)) == "gpu: a task needs 4 cards, this machine has 3"


def test_tasks_that_say_how_much_memory_they_need_share_cards_and_spread_out() -> None:
    cards = Cards((card(0), card(1)))
    given = [cards.take(part(15))[0] for _ in range(4)]
    assert given == ["GPU-0", "GPU-1", "GPU-0", "GPU-1"]
    assert cards.lack(part(15)) == "gpu: a task needs 15.0 GB on a card, 10.0 GB are free on the emptiest"
    assert cards.take(part(10)) == ("GPU-0",)
    assert cards.lack(whole()) == "gpu: a task needs a card, 0 of 2 are free"
    assert Cards((card(0), card(1))).take(part(15, 2)) == ("GPU-0", "GPU-1")


def test_a_card_with_a_task_of_its_own_is_shared_with_nobody() -> None:
    cards = Cards((card(0),))
    cards.claim(["GPU-0"], None)
    assert not cards.place(part(1)) and cards.could(part(1))


def test_what_is_used_counts_where_it_is_more_than_what_is_claimed() -> None:
    assert Cards((card(0, ours_bytes=30 * GB),), {"GPU-0": [5 * GB]}).lack(part(12))
    assert not Cards((card(0, ours_bytes=5 * GB),), {"GPU-0": [5 * GB]}).lack(part(12))


def test_cards_that_other_people_use_are_left_alone_unless_the_settings_say_otherwise() -> None:
    theirs = card(0, strangers=1, guests=1, strangers_bytes=10 * GB)
    cards = Cards((theirs, card(1)))
    assert cards.place(whole()) == cards.place(part(1)) == ("GPU-1",)
    assert cards.lack(whole(2)) == "gpu: a task needs 2 cards, 1 of 2 are free, 1 used by other people"
    shared = Cards((theirs,), shared=True)
    assert shared.place(whole()) == shared.place(part(29)) == ("GPU-0",)
    assert shared.lack(part(31))


def test_beside_a_program_of_ones_own_a_task_may_have_what_is_left_but_not_the_card() -> None:
    cards = Cards((card(0, strangers=1, strangers_bytes=10 * GB),))
    assert cards.place(part(30)) and not cards.place(part(35)) and not cards.place(whole())


def test_a_card_with_a_fault_is_given_to_nobody_and_the_rest_are() -> None:
    lost = card(0, fault="GPU is lost")
    assert Cards((lost, card(1))).place(whole()) == ("GPU-1",)
    assert Cards((lost,)).lack(whole()) == "gpu: a task needs a card, this machine has 0"
    assert words(lost) == "0 A100: GPU is lost"
    assert words(card(1, ours_bytes=GB, strangers=2, strangers_bytes=3 * GB)) == (
        "1 A100, 4.0 GB of 40.0 GB used, 2 processes of others"
    )


@pytest.mark.parametrize("unseen", ["to see cards, install gristmill[gpu]", "the cards are being looked at"])
def test_where_none_is_seen_that_is_said(unseen: str) -> None:
    assert Cards(unseen=unseen).lack(whole()) == f"gpu: {unseen}"


WANTS = st.builds(
    Resources, gpus=st.none() | st.integers(1, 3), gpu_memory_bytes=st.none() | st.integers(1, 45).map(lambda n: n * GB)
).filter(lambda one: one.cards > 0)


@given(st.lists(WANTS, max_size=30), st.integers(1, 4))
def test_no_card_is_ever_given_beyond_what_it_has(wants: list[Resources], count: int) -> None:
    cards = Cards(tuple(card(index) for index in range(count)))
    given: dict[str, list[int | None]] = {}
    for one in wants:
        got = cards.take(one)
        assert len(set(got)) == len(got) == (one.cards if got else 0)
        assert bool(got) or cards.lack(one)
        for uuid in got:
            given.setdefault(uuid, []).append(one.gpu_memory_bytes)
    for claims in given.values():
        assert claims == [None] or sum(claims) <= 1.02 * 40 * GB  # type: ignore[arg-type]  # None is alone
