"""A picture of how costs grow: an SVG of lines over two logarithmic axes, readable on light and on dark."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 720, 380
LEFT, RIGHT, TOP, BOTTOM = 64, 20, 84, 44
STYLE = """
.text { font: 13px system-ui, sans-serif; fill: #24292f } .faint { fill: #57606a } .grid { stroke: #d0d7de }
.line { fill: none; stroke-width: 2.5 } .paper { fill: #ffffff }
.c0 { stroke: #0550ae } .c1 { stroke: #bc4c00 } .c2 { stroke: #116329 } .c3 { stroke: #8250df }
.d0 { fill: #0550ae } .d1 { fill: #bc4c00 } .d2 { fill: #116329 } .d3 { fill: #8250df }
@media (prefers-color-scheme: dark) {
.text { fill: #e6edf3 } .faint { fill: #9198a1 } .grid { stroke: #3d444d } .paper { fill: #0d1117 }
.c0 { stroke: #79c0ff } .c1 { stroke: #ffa657 } .c2 { stroke: #7ee787 } .c3 { stroke: #d2a8ff }
.d0 { fill: #79c0ff } .d1 { fill: #ffa657 } .d2 { fill: #7ee787 } .d3 { fill: #d2a8ff }
}
"""
DIGITS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

Line = Sequence[tuple[float, float]]


def picture(title: str, lines: Mapping[str, Line]) -> str:
    """The SVG of these lines of (x, y), all above 0; y has as many decades as are needed."""
    points = [point for line in lines.values() for point in line]
    if not points or min(min(point) for point in points) <= 0:
        raise ValueError("there is nothing to draw on logarithmic axes")
    across = _decades([x for x, _ in points])
    upward = _decades([y for _, y in points])

    def place(x: float, y: float) -> tuple[float, float]:
        return (LEFT + (WIDTH - LEFT - RIGHT) * _part(x, across),
                HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * _part(y, upward))

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{escape(title)}</title><style>{STYLE}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{HEIGHT}" rx="8"/>',
        f'<text class="text" x="{LEFT}" y="26" font-weight="600">{escape(title)}</text>',
    ]
    for power in range(across[0], across[1] + 1):
        x, _ = place(10.0**power, 10.0 ** upward[0])
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(_label(x, HEIGHT - BOTTOM + 20.0, "middle", power))
    for power in range(upward[0], upward[1] + 1):
        _, y = place(10.0 ** across[0], 10.0**power)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(_label(LEFT - 8.0, y + 4, "end", power))
    for index, (name, line) in enumerate(lines.items()):
        spots = [place(x, y) for x, y in line]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
        parts.append(f'<polyline class="line c{index % 4}" points="{path}"/>')
        parts += [f'<circle class="d{index % 4}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>' for x, y in spots]
        x = LEFT + index * (WIDTH - LEFT - RIGHT) / max(1, len(lines))
        parts.append(f'<circle class="d{index % 4}" cx="{x + 6:.1f}" cy="52" r="4"/>')
        parts.append(f'<text class="text" x="{x + 16:.1f}" y="56">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _decades(values: Sequence[float]) -> tuple[int, int]:
    first, last = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return first, max(last, first + 1)


def _part(value: float, decades: tuple[int, int]) -> float:
    return (math.log10(value) - decades[0]) / (decades[1] - decades[0])


def _label(x: float, y: float, anchor: str, power: int) -> str:
    word = f"10{str(power).translate(DIGITS)}" if power >= 3 else f"{10.0**power:g}"
    return f'<text class="text faint" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{word}</text>'
