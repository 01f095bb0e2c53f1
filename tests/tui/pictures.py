"""Makes the pictures of the README anew: the scene, walked through, as SVG and as PNG.

`python -m tests.tui.pictures [FOLDER]`; PNG by `rsvg-convert` (Debian: librsvg2-bin, with fonts-dejavu-core), where
that is installed. Look at each of them before it is committed.
"""

from __future__ import annotations

import asyncio
import html
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.cells import cell_len

from .walk import walk, walking

WIDTH, HEIGHT = 120, 34
PICTURED = {"overview", "job", "sweep", "log", "why", "machine"}
THEMES = {"overview": ("dark", "light", "colour-blind")}
"""Screens that are pictured in more than the first theme."""
RASTERED = {"overview", "job"}
"""Those that are made as PNG, too: an SVG is small, a PNG is not."""
FONT = "'DejaVu Sans Mono', 'Fira Code', monospace"


_TEXT = re.compile(r'<text class="([^"]*)" x="([^"]*)" y="([^"]*)" textLength="[^"]*" clip-path="[^"]*">([^<]*)</text>')
_WORD = re.compile("[\u2800-\u28ff]+|[^\\s\u2800-\u28ff]+")
_DOTS = (0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80)
CELL = 12.2, 24.4


def clean(svg: str) -> str:
    """The same screen as the same file, that looks alike wherever it is drawn: no fonts from elsewhere, no random name,
    each word at its place, and braille as the dots that it is."""
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    svg = re.sub(r"terminal-\d+", "terminal", svg)
    svg = re.sub(r"font-family: ?[^;]*;", f"font-family: {FONT};", svg)
    svg = re.sub(r"<clipPath id=\"terminal-line-\d+\">.*?</clipPath>", "", svg, flags=re.DOTALL)
    return _TEXT.sub(lambda found: _place(found[1], float(found[2]), float(found[3]), html.unescape(found[4])), svg)


def _place(look: str, x: float, y: float, text: str) -> str:
    out = []
    for word in _WORD.finditer(text):
        left = x + CELL[0] * cell_len(text[: word.start()])
        if "\u2800" <= word[0][0] <= "\u28ff":
            out.append(_braille(look, left, y - 18.5, word[0]))
        else:
            length = CELL[0] * cell_len(word[0])
            shown = html.escape(word[0], quote=False)
            out.append(f'<text class="{look}" x="{left:.1f}" y="{y:g}" textLength="{length:.1f}">{shown}</text>')
    return "".join(out)


def _braille(look: str, x: float, y: float, text: str) -> str:
    dots = []
    for place, char in enumerate(text):
        for column, bits in enumerate(_DOTS):
            for row, bit in enumerate(bits):
                if (ord(char) - 0x2800) & bit:
                    left, top = x + CELL[0] * (place + column / 2) + 1.5, y + CELL[1] / 4 * row + 1.5
                    dots.append(f"M{left:.1f} {top:.1f}h3.2v3.2h-3.2z")
    return f'<path class="{look}" d="{"".join(dots)}"/>'


def draw(path: Path) -> None:
    """The PNG beside an SVG."""
    converter = shutil.which("rsvg-convert")
    if converter is None:
        print(f"{path}: no rsvg-convert, no PNG", file=sys.stderr)
        return
    subprocess.run([converter, "--width", "1100", "-o", str(path.with_suffix(".png")), str(path)], check=True)


async def take(folder: Path, theme: str, wanted: set[str]) -> None:
    """Walk once, in this theme."""
    with tempfile.TemporaryDirectory() as logs:
        async with walking(Path(logs), WIDTH, HEIGHT, wrong=False, theme=theme) as (eye, daemon):

            def look(name: str) -> None:
                if name not in wanted:
                    return
                suffix = "" if theme == "dark" else f"-{theme}"
                path = folder / f"{name}{suffix}.svg"
                path.write_text(clean(eye.app.export_screenshot(title=f"grist tui – {name}")))
                if path.stem in RASTERED:
                    draw(path)
                print(path)

            await walk(eye, daemon, look)


def main() -> None:
    """All of them."""
    os.environ["TZ"] = "UTC"
    time.tzset()
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/pictures")
    folder.mkdir(parents=True, exist_ok=True)
    for theme in ("dark", "light", "colour-blind"):
        wanted = PICTURED if theme == "dark" else {name for name, themes in THEMES.items() if theme in themes}
        asyncio.run(take(folder, theme, wanted))


if __name__ == "__main__":
    main()
