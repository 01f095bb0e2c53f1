"""Every file of the program with the first sentence of its docstring, from the bottom layer up.

    python -m tests.reference.tour
"""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
LAYERS = (
    "supervisor/worker", "supervisor/core", "supervisor/edge", "supervisor/executors", "supervisor", "supervisor/cli",
    "supervisor/python", "tui",
)


def main() -> None:
    """Prints it."""
    for layer in LAYERS:
        print(f"\n{layer}/")
        for path in files(layer):
            print(f"  {path.relative_to(ROOT / layer).as_posix():<28} {owns(path)}")


def files(layer: str) -> list[Path]:
    """Those of a layer; the ones of `supervisor` itself are those beside the folders."""
    folder = ROOT / layer
    return sorted(path for path in (folder.glob("*.py") if layer == "supervisor" else folder.rglob("*.py"))
                  if path.stat().st_size)


def owns(path: Path) -> str:
    """The first sentence of its docstring, "" without one."""
    said = ast.get_docstring(ast.parse(path.read_text())) or ""
    return " ".join(said.partition("\n\n")[0].split())


if __name__ == "__main__":
    main()
