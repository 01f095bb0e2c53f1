"""Tries a release before it is one: the same bytes twice, `pipx install`, and upgrades while tasks run.

    python -m tests.release [--from REVISION]

Minutes, and the package index. What is built is the last commit, in `dist/` when all went well.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.release.cut import ROOT
from tests.release.packages import build, checkout, renumber, run, version
from tests.release.upgrade import tried, with_pip, with_pipx


def main() -> None:
    """Builds, installs, upgrades; the first thing that does not hold ends it."""
    parser = argparse.ArgumentParser(prog="python -m tests.release", description=__doc__.partition("\n")[0])
    parser.add_argument("--from", dest="older", metavar="REVISION",
                        help="upgrade from this one (default: the last tag, else the last commit under another number)")
    older = parser.parse_args().older or last_tag() or "HEAD"
    with tempfile.TemporaryDirectory(prefix="grist-release-") as made:
        base = Path(made)
        epoch = int(run("git", "log", "-1", "--format=%ct", cwd=ROOT))
        new = checkout("HEAD", base / "new")
        packages = build(new, base / "first", epoch)
        again = build(checkout("HEAD", base / "a longer name for the same"), base / "second", epoch)
        for one, other in zip(packages, again, strict=True):
            assert one.read_bytes() == other.read_bytes(), f"{one.name} has other bytes when it is built again"
            print(f"{one.name}: {one.stat().st_size / 1e6:.1f} MB, the same bytes twice", flush=True)
        old = checkout(older, base / "old")
        if version(old) == version(new):
            renumber(old, f"{version(old)}.dev0")
        wheels = build(old, base / "older").wheel, packages.wheel
        for name, environment in (("pip", with_pip), ("pipx", with_pipx)):
            grist, install = environment(base / name)
            print(f"{name}: {tried(base / f'by {name}', grist, install, wheels)}, all tasks went on", flush=True)
        shutil.copytree(base / "first", ROOT / "dist", dirs_exist_ok=True)
        print(f"in {ROOT / 'dist'}: {', '.join(package.name for package in packages)}")


def last_tag() -> str:
    """The last release below the commit, "" while there is none."""
    told = subprocess.run(["git", "describe", "--tags", "--abbrev=0", "--match", "v*", "HEAD^"], cwd=ROOT, check=False,
                          capture_output=True, text=True)
    return told.stdout.strip()


if __name__ == "__main__":
    main()
