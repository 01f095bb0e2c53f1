"""What a partial update sends to the terminal: the cells that changed, from the first to the last, and of their styles
only what is another than before.

Textual sends each changed line from the beginning of its widget on, and each run of text with its whole style. Owns the
bytes and nothing of what they show.
"""

from __future__ import annotations

from functools import lru_cache

from rich.color import ColorSystem
from rich.console import Console
from rich.style import Style
from textual._compositor import ChopsUpdate

_PARTS = {"bold": "1", "dim": "2", "italic": "3", "underline": "4", "blink": "5", "reverse": "7", "strike": "9"}


@lru_cache(8192)
def codes(style: Style, system: ColorSystem) -> tuple[frozenset[str], str, str]:
    """The attributes, the colour and the ground of a style as SGR parameters."""
    attributes = frozenset(code for name, code in _PARTS.items() if getattr(style, name))
    colour = ";".join(style.color.downgrade(system).get_ansi_codes()) if style.color else "39"
    ground = ";".join(style.bgcolor.downgrade(system).get_ansi_codes(foreground=False)) if style.bgcolor else "49"
    return attributes, colour, ground


def between(before: tuple[frozenset[str], str, str] | None, after: tuple[frozenset[str], str, str]) -> str:
    """The control sequence that turns one look into another, "" where they are one. `None`: anything before."""
    if before == after:
        return ""
    attributes, colour, ground = after
    if before is None or not before[0] <= attributes:
        parts = ["0", *sorted(attributes), *([colour] if colour != "39" else []), *([ground] if ground != "49" else [])]
        return f"\x1b[{';'.join(parts)}m"
    parts = sorted(attributes - before[0])
    parts += [colour] if colour != before[1] else []
    parts += [ground] if ground != before[2] else []
    return f"\x1b[{';'.join(parts)}m"


class Changes(ChopsUpdate):
    """The same update, sent in fewer bytes."""

    def render_segments(self, console: Console) -> str:
        """The bytes."""
        system = console._color_system or ColorSystem.STANDARD
        out: list[str] = []
        look: tuple[frozenset[str], str, str] | None = None
        for y, x1, x2 in self.spans:
            for end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                left, right = max(x, x1), min(end, x2)
                if strip is None or left >= right:
                    continue
                out.append(f"\x1b[{y + 1};{left + 1}H")
                for text, style, control in strip.crop(left - x, right - x):
                    if control:
                        continue
                    wanted = codes(style or Style.null(), system)
                    out += [between(look, wanted), text]
                    look = wanted
        return "".join(out) + ("\x1b[0m" if look is not None else "")
