"""How far a task says it is."""

from __future__ import annotations

import pytest

from gristmill.supervisor.core.progress import fraction, last_words, left, stated


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
        (f"[{'9' * 400}/{'9' * 400}]", None),
        ("[1/4] then [2/4]", 0.5),
    ],
)
def test_fraction(line: str, value: float | None) -> None:
    assert fraction(line) == value


@pytest.mark.parametrize(
    ("ran", "done", "seconds"), [(30, 0.25, 90), (60, 1.0, 0), (60, 0.0, None), (60, 0.019, None), (10, 0.02, 490)]
)
def test_progress_promises_an_end_once_there_is_some(ran: float, done: float, seconds: float | None) -> None:
    assert left(ran, done) == (None if seconds is None else pytest.approx(seconds))


def test_last_words_see_through_carriage_returns() -> None:
    assert last_words(b"begin\n 10%|#\r 20%|##\r\n\n") == ("20%|##", 0.2)
    assert last_words(b"") == ("", None)
    assert last_words(b"epoch 1/4\nloss 3\n") == ("loss 3", 0.25)


@pytest.mark.parametrize(
    ("file", "value"),
    [
        (b"0.42\n", 0.42), (b"42%", 0.42), (b" 42.5 % \n", 0.425), (b"1", 1.0), (b"1.\n", 1.0), (b"0", 0.0),
        (b".5", 0.5), (b"1e-05\n", 1e-5), (b"100%", 1.0),
        (b"10%\n20%\n\n", 0.2), (b"3 [3/10]\n", 0.3), (b" 42%|####   | 42/100", 0.42),
        (b"", None), (b"\n", None), (b"42", None), (b"101%", None), (b"-0.1", None), (b"nan", None), (b"inf", None),
        (b"soon", None), (b"\xff\x00", None), (b"9" * 5000, None),
    ],
)  # fmt: skip
def test_stated(file: bytes, value: float | None) -> None:
    assert stated(file) == (None if value is None else pytest.approx(value))
