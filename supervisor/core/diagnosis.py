"""All checks of `grist doctor` in the order they are shown, and what they come to.

Pure: each check is a function from what was read to what is found, none knows another, and none reads anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from gristmill.supervisor.core import host, premises
from gristmill.supervisor.core.readings import Finding, Level, Readings
from gristmill.supervisor.core.sanitise import safe

CHECKS: tuple[Callable[[Readings], Iterator[Finding]], ...] = (
    premises.jobs_folder, premises.state_folder, premises.disk, premises.daemon, premises.settings,
    host.account, host.session, host.limits, host.cgroup, host.kernel, host.pressure, host.inotify,
    premises.clock, host.python,
)

GLYPHS = {Level.OK: "✓", Level.WARN: "!", Level.FAIL: "✗"}


def diagnose(readings: Readings) -> list[Finding]:
    """Everything that is found, good and bad."""
    return [finding for check in CHECKS for finding in check(readings)]


def healthy(findings: Iterable[Finding]) -> bool:
    """Whether nothing FAILs; a warning does not."""
    return all(finding.level is not Level.FAIL for finding in findings)


def line(finding: Finding) -> str:
    """A finding as one line that is safe for a terminal: `✗ FAIL  disk          what – mend`."""
    mend = f" – {finding.mend}" if finding.mend else ""
    return f"{GLYPHS[finding.level]} {finding.level:<4}  {finding.check:<12}  {safe(finding.found + mend)}"
