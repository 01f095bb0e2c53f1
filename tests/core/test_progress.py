"""How far a task says it is."""

from __future__ import annotations

import pytest

from gristmill.supervisor.core.progress import fraction, last_words


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (" 42%|████▏     | 42/100 [00:01<00:02]", 0.42),
        ("[3/10] image 12", 0.3),
        ("Epoch 3/12 loss 0.4", 0.25),
        ("step 5 of 20", 0.25),
        ("loss 0.4", None),
        ("[7/0]", None),
        ("[12/10]", None),
        ("[1/4] then [2/4]", 0.5),
    ],
)
def test_fraction(line: str, value: float | None) -> None:
    assert fraction(line) == value


def test_last_words_see_through_carriage_returns() -> None:
    assert last_words(b"begin\n 10%|#\r 20%|##\r\n\n") == ("20%|##", 0.2)
    assert last_words(b"") == ("", None)
    assert last_words(b"epoch 1/4\nloss 3\n") == ("loss 3", 0.25)
