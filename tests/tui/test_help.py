"""The help shows the table, at any size."""

from .stage import Opened


async def test_all_keys_can_be_reached(mill: Opened, size: tuple[int, int]) -> None:
    async with mill(*size) as eye:
        await eye.sees("sweep/17")
        await eye.press("question_mark")
        await eye.sees("Everywhere", "Leave; the daemon keeps running")
        await eye.press("G")
        await eye.sees("Signs", "◷T/O", "interrupted")
        await eye.press("g")
        await eye.sees("Everywhere")
        await eye.press("question_mark")
        await eye.sees("Workers  2 of 3 busy")


async def test_a_reader_is_not_shown_what_writes(mill: Opened) -> None:
    async with mill(160, 45, read_only=True) as eye:
        await eye.sees("sweep/17")
        await eye.press("question_mark")
        await eye.sees("Everywhere")
        assert "Cap the workers" not in eye.text
