"""A release is cut in two files, and never twice."""

from __future__ import annotations

import datetime as dt

import pytest

from tests.release.cut import ROOT, cut

HOME = 'import os\n__version__ = "0.1.0"\n'
LOG = "# Changelog\n\n## [Unreleased]\n\n### Added\n- More.\n"
DAY = dt.date(2026, 12, 1)


def test_what_was_unreleased_stands_under_the_number_and_the_day() -> None:
    home, log = cut(HOME, LOG, "0.1.0", DAY)
    assert home == HOME
    assert log == "# Changelog\n\n## [Unreleased]\n\n## [0.1.0] - 2026-12-01\n\n### Added\n- More.\n"
    home, log = cut(home, log.replace("[Unreleased]\n", "[Unreleased]\n\n### Fixed\n- Less.\n"), "0.10.0", DAY)
    assert home == 'import os\n__version__ = "0.10.0"\n'
    assert log.index("## [Unreleased]\n\n## [0.10.0]") < log.index("- Less.") < log.index("## [0.1.0]")


@pytest.mark.parametrize(("version", "log", "why"), [
    ("0.2", LOG, "0.2 is no version"),
    ("v0.2.0", LOG, "v0.2.0 is no version"),
    ("0.2.0", "# Changelog\n", "no part [Unreleased]"),
    ("0.2.0", "## [Unreleased]\n\n## [0.1.0] - 2026-12-01\n- More.\n", "nothing is listed"),
    ("0.9.0", "## [Unreleased]\n- More.\n\n## [0.10.0] - 2026-12-01\n", "0.9.0 is not above 0.10.0"),
])
def test_what_cannot_be_released_is_refused(version: str, log: str, why: str) -> None:
    with pytest.raises(ValueError, match=why.replace("[", r"\[")):
        cut(HOME, log, version, DAY)


def test_the_project_s_own_files_can_be_cut() -> None:
    log = (ROOT / "CHANGELOG.md").read_text().replace("## [Unreleased]\n", "## [Unreleased]\n- More.\n")
    home, log = cut((ROOT / "gristmill" / "__init__.py").read_text(), log, "999.0.0", DAY)
    assert '__version__ = "999.0.0"' in home and "## [Unreleased]\n\n## [999.0.0] - 2026-12-01\n- More.\n" in log
