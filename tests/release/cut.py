"""Cuts a release: the version in `gristmill/__init__.py`, and the changelog's part of it under its number and date.

    python -m tests.release.cut 0.2.0
"""

from __future__ import annotations

import argparse
import datetime as dt
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
UNRELEASED = "## [Unreleased]\n"
VERSION = re.compile(r'^__version__ = "([^"]+)"$', re.MULTILINE)
NUMBER = re.compile(r"(\d+)\.(\d+)\.(\d+)")


def main() -> None:
    """Changes the two files, or says why not."""
    parser = argparse.ArgumentParser(prog="python -m tests.release.cut", description=__doc__.partition("\n")[0])
    parser.add_argument("version", help="MAJOR.MINOR.PATCH")
    version = parser.parse_args().version
    home, log = ROOT / "gristmill" / "__init__.py", ROOT / "CHANGELOG.md"
    try:
        texts = cut(home.read_text(), log.read_text(), version, dt.datetime.now(dt.UTC).date())
    except ValueError as reason:
        parser.error(str(reason))
    for path, text in zip((home, log), texts, strict=True):
        path.write_text(text)
        print(f"changed {path.relative_to(ROOT)}")


def cut(home: str, log: str, version: str, day: dt.date) -> tuple[str, str]:
    """The package's first file and the changelog as the release has them.

    ValueError for what is no version, one that is not above the last one in the changelog, and for nothing to release.
    """
    if not NUMBER.fullmatch(version):
        raise ValueError(f"{version} is no version: three numbers, as in 0.2.0")
    before, found, after = log.partition(UNRELEASED)
    if not found:
        raise ValueError("the changelog has no part [Unreleased]")
    changes, _, _ = after.partition("\n## [")
    if not re.search(r"^- ", changes, re.MULTILINE):
        raise ValueError("nothing is listed under [Unreleased]")
    released = re.search(r"^## \[(\d+\.\d+\.\d+)\]", after, re.MULTILINE)
    if released and order(version) <= order(released[1]):
        raise ValueError(f"{version} is not above {released[1]}, the last one that was released")
    home, count = VERSION.subn(f'__version__ = "{version}"', home)
    if count != 1:
        raise ValueError(f"__version__ is set {count} times")
    return home, f"{before}{UNRELEASED}\n## [{version}] - {day.isoformat()}\n{after}"


def order(version: str) -> list[int]:
    """By which versions are compared."""
    return [int(part) for part in version.split(".")]


if __name__ == "__main__":
    main()
