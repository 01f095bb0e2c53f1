"""Colours: which style a tone has in each theme, and what Textual needs to paint its own widgets alike.

Owns the palettes and nothing of layout. Every style has both colours set, since lines are painted without a second
look at what lies beneath them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

from rich.color import Color
from rich.style import Style
from textual.theme import BUILTIN_THEMES, Theme

from gristmill.supervisor.core.sanitise import PLAIN, Sgr

_EMPHASIS = {"title", "strong", "key", "accent", "banner"}


@dataclass(frozen=True)
class Palette:
    """One theme: a colour for each tone. `ansi` themes name the terminal's own colours."""

    name: str
    dark: bool
    colours: dict[str, str]
    sixteen: tuple[str, ...] = ()
    ansi: bool = False

    @cached_property
    def styles(self) -> dict[str, Style]:
        """A style for every tone, on the screen's ground, on the cursor's row, and on a banner."""
        styles = {}
        for tone, colour in self.colours.items():
            if tone in {"ground", "cursor", "raised"}:
                continue
            bold = tone in _EMPHASIS
            for suffix, ground in (("", "ground"), ("+", "cursor"), ("^", "raised")):
                styles[tone + suffix] = Style(color=colour, bgcolor=self.colours[ground], bold=bold)
        styles["banner"] = Style(color=self.colours["ground" if not self.ansi else "banner"],
                                 bgcolor=self.colours["warn"] if not self.ansi else None, bold=True, reverse=self.ansi)
        styles["found"] = Style(color=self.colours["ground"] if not self.ansi else "black",
                                bgcolor=self.colours["accent"], bold=True)
        return styles

    def style(self, tone: str) -> Style:
        """The style of a tone; a tone with a plus is that on the row of the cursor."""
        return self.styles[tone]

    def sgr(self, look: Sgr) -> Style:
        """The style of a run of log text, on this theme's ground."""
        return self.styles["text"] if look == PLAIN else _worn(self.name, look)

    def wear(self, look: Sgr) -> Style:
        """That style, worked out."""
        base = self.styles["text"]
        colour, ground = self._sgr_colour(look.colour), self._sgr_colour(look.background)
        return base + Style(color=colour, bgcolor=ground, bold=look.bold, dim=look.dim, italic=look.italic,
                            underline=look.underline, reverse=look.reverse, strike=look.strike)  # fmt: skip

    def _sgr_colour(self, name: str) -> Color | None:
        """A colour that a log asked for; the first sixteen are ours, so that they can be read on this ground."""
        if not name:
            return None
        if not name.isdigit():
            return Color.parse(name)
        number = int(name)
        return Color.parse(self.sixteen[number]) if number < len(self.sixteen) else Color.from_ansi(number)

    def theme(self) -> Theme:
        """The same colours for Textual's own widgets: inputs and the palette of commands."""
        colours = self.colours
        names = {key: _textual(colours[tone]) for key, tone in {
            "primary": "accent", "secondary": "run", "warning": "warn", "error": "fail", "success": "ok",
            "accent": "accent", "foreground": "text", "background": "ground", "surface": "ground",
            "panel": "cursor"}.items()}  # fmt: skip
        variables = dict(BUILTIN_THEMES["ansi-dark"].variables) if self.ansi else {}
        return Theme(name=self.name, dark=self.dark, ansi=self.ansi, variables=variables, **names)  # type: ignore[arg-type]


@lru_cache(4096)
def _worn(theme: str, look: Sgr) -> Style:
    """A log may change its colours with every character."""
    return PALETTES[theme].wear(look)


def _textual(colour: str) -> str:
    """A Rich name of a colour as Textual spells it."""
    return colour if colour.startswith("#") else f"ansi_{colour}"


_ON_DARK = (
    "#3b4651", "#ec7a74", "#84bd8a", "#e6b45c", "#6db3e2", "#c69ad6", "#67c3c0", "#cfd6dd",
    "#7b8793", "#ff9b95", "#a3d9a8", "#ffd287", "#93cbf2", "#dfb8ec", "#8be0dd", "#eef2f5",
)  # fmt: skip
_ON_LIGHT = (
    "#2d3338", "#b02f33", "#2f7338", "#8f5f00", "#1a639d", "#76478b", "#10706d", "#66707a",
    "#7d868e", "#c73e42", "#3c8746", "#a06c06", "#2b78b6", "#8a58a0", "#1d8582", "#45505a",
)  # fmt: skip
DARK = Palette("grist-dark", True, {
    "ground": "#12161b", "raised": "#191f26", "cursor": "#27313b",
    "text": "#cfd6dd", "strong": "#eef2f5", "title": "#e2b266", "muted": "#8492a0", "faint": "#48545f",
    "accent": "#e2b266", "key": "#e2b266", "banner": "#12161b",
    "ok": "#84bd8a", "run": "#6db3e2", "fail": "#ec7a74", "warn": "#e6b45c", "stop": "#c69ad6", "wait": "#a3afba",
    "g0": "#4f93b8", "g1": "#64ad9c", "g2": "#c9b267", "g3": "#e2866a",
}, _ON_DARK)  # fmt: skip
LIGHT = Palette("grist-light", False, {
    "ground": "#fbf9f4", "raised": "#f2eee4", "cursor": "#e5dece",
    "text": "#2d3338", "strong": "#0f1214", "title": "#8a5a0b", "muted": "#66707a", "faint": "#b9b2a2",
    "accent": "#8a5a0b", "key": "#8a5a0b", "banner": "#fbf9f4",
    "ok": "#2f7338", "run": "#1a639d", "fail": "#b02f33", "warn": "#8f5f00", "stop": "#76478b", "wait": "#59646e",
    "g0": "#3d83ab", "g1": "#2f8873", "g2": "#a1832a", "g3": "#bd5334",
}, _ON_LIGHT)  # fmt: skip
COLOUR_BLIND = Palette("grist-colour-blind", True, {
    "ground": "#101214", "raised": "#171b1f", "cursor": "#2b3137",
    "text": "#d9dcdf", "strong": "#ffffff", "title": "#f0e442", "muted": "#909aa3", "faint": "#4b545c",
    "accent": "#f0e442", "key": "#f0e442", "banner": "#101214",
    "ok": "#1fb88c", "run": "#56b4e9", "fail": "#e8702a", "warn": "#e69f00", "stop": "#cc79a7", "wait": "#a9b2ba",
    "g0": "#3f8fbf", "g1": "#56b4e9", "g2": "#e69f00", "g3": "#e8702a",
}, _ON_DARK)  # fmt: skip
TERMINAL = Palette("grist-terminal", True, {
    "ground": "default", "raised": "default", "cursor": "bright_black",
    "text": "default", "strong": "default", "title": "yellow", "muted": "white", "faint": "bright_black",
    "accent": "yellow", "key": "yellow", "banner": "default",
    "ok": "green", "run": "cyan", "fail": "red", "warn": "yellow", "stop": "magenta", "wait": "white",
    "g0": "blue", "g1": "cyan", "g2": "yellow", "g3": "red",
}, ansi=True)  # fmt: skip

PALETTES = {palette.name: palette for palette in (DARK, LIGHT, COLOUR_BLIND, TERMINAL)}
NAMES = {"dark": DARK, "light": LIGHT, "colour-blind": COLOUR_BLIND, "terminal-16": TERMINAL}
"""What `--theme` takes."""
