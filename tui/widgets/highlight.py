"""What was searched for, lit up in a line. Pure."""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip


def highlight(strip: Strip, wanted: str, style: Style) -> Strip:
    """The line with each place of `wanted` in this style; a text in lower case matches either case."""
    text = strip.text
    hay = text.lower() if wanted == wanted.lower() else text
    if not wanted or wanted not in hay or len(hay) != len(text):  # some letters grow when lowered: no place is sure
        return strip
    out: list[Segment] = []
    start, found = 0, hay.find(wanted)
    for segment in strip:
        end = start + len(segment.text)
        place = start
        while place < end:
            while 0 <= found <= place - len(wanted):
                found = hay.find(wanted, found + len(wanted))
            lit = 0 <= found <= place
            stop = min(end, found + len(wanted) if lit else found if found > place else end)
            out.append(Segment(text[place:stop], style if lit else segment.style))
            place = stop
        start = end
    return Strip(out)
